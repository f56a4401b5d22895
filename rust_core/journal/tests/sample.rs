//! The format stays: a journal made from fixed records is, byte for byte, the committed sample, which readers in other
//! languages are tested with. `CSROUTE_SAMPLE=write` makes the sample anew, when a new format is meant.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use csroute_journal::{BlockBuilder, Disk, Folder, Options, SimDisk, SnapshotWriter};

const BEGAN_US: i64 = 1_762_790_400_000_000;

fn made() -> SimDisk {
    let disk = SimDisk::new(11);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = Options {
        semantics: 2,
        reserve_bytes: 0,
        ..Options::default()
    };
    let folder = Folder::lock(shared.clone()).expect("nobody has it");
    let (mut log, _) = folder.recover(options, None).expect("empty").finish().expect("empty");
    let mut block = BlockBuilder::default();
    let blocks: [&[&[u8]]; 3] = [
        &[b"route ticket-1", b"", b"accept ticket-1"],
        &["ticket-2 は日本語".as_bytes()],
        &[&[0xff; 300], b"complete ticket-1"],
    ];
    for (at, records) in blocks.into_iter().enumerate() {
        for record in records {
            block.push(&[record]).expect("it is small");
        }
        let time_us = BEGAN_US + at as i64 * 1000;
        log.write(&mut block.seal(0x1111 * at as u64, time_us))
            .expect("a sound disk");
        log.sync().expect("a sound disk");
        if at == 1 {
            let mut snapshot =
                SnapshotWriter::create(shared.clone(), log.position(), 2, time_us).expect("a sound disk");
            snapshot.part("node").expect("a sound disk");
            snapshot.part("tenant/default").expect("a sound disk");
            snapshot
                .write(&(0..=255).cycle().take(300_000).collect::<Vec<u8>>())
                .expect("a sound disk");
            snapshot.finish().expect("a sound disk");
            log.rotate(time_us + 1).expect("a sound disk");
        }
    }
    log.close(0x3333, BEGAN_US + 5000).expect("a sound disk");
    disk
}

#[test]
fn the_format_stays() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/journal/sample/format-1");
    let disk = made();
    for name in disk.list().expect("a sound disk") {
        let (path, bytes) = (folder.join(&name), disk.bytes(&name));
        if std::env::var("CSROUTE_SAMPLE").as_deref() == Ok("write") {
            fs::write(&path, &bytes).expect("the sample can be written");
        }
        let kept = fs::read(&path).expect("the sample is there");
        assert!(
            kept == bytes,
            "{name} is written otherwise than before: that is a new format"
        );
    }
}
