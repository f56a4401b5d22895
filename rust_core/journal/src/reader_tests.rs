//! Bytes whose checksums are right and whose words are wrong: heads that say anything, bodies that are anything. Nothing
//! panics, nothing is served that does not follow from the block before it.

use std::sync::Arc;

use proptest::prelude::*;

use crate::disk::Disk;
use crate::error::Error;
use crate::format::{
    BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, BLOCKS_MAX, BadHeader, BlockHeader, FileHeader, Id, Magic, Position, frame,
    segment_name,
};
use crate::reader::{Reader, Start};
use crate::segment::list_segments;
use crate::sim::SimDisk;
use crate::snapshot::{newest_good, verify_snapshot};

const JOURNAL: Id = [7; 16];

/// A small number now and then, else anything.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..5_u64, 2 => any::<u64>(), 1 => Just(u64::MAX), 1 => Just(u64::MAX >> 1)]
}

prop_compose! {
    fn block_header()(body_bytes in prop_oneof![0..200_u32, any::<u32>()], block in number(), synced in number(),
        events_hash: u64, time_us: i64, chain: [u8; 16], records in prop_oneof![0..4_u32, any::<u32>()]) -> BlockHeader {
        BlockHeader { body_bytes, block, synced, events_hash, time_us, chain, records }
    }
}

prop_compose! {
    fn file_header()(semantics in 0..3_u32, block in number(), chain in prop_oneof![Just(JOURNAL), any::<[u8; 16]>()],
        journal in prop_oneof![3 => Just(JOURNAL), 1 => any::<[u8; 16]>()], time_us: i64) -> FileHeader {
        FileHeader { semantics, position: Position { journal, block, chain }, time_us }
    }
}

/// Pieces of a file.
#[derive(Debug, Clone)]
enum Piece {
    Block(BlockHeader, Vec<Vec<u8>>),
    /// One that follows from the beginning, if it is the first.
    Right(Vec<Vec<u8>>),
    Bytes(Vec<u8>),
}

fn piece() -> impl Strategy<Value = Piece> {
    let records = || prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4);
    prop_oneof![
        (block_header(), records()).prop_map(|(header, records)| Piece::Block(header, records)),
        records().prop_map(Piece::Right),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Piece::Bytes),
    ]
}

fn body(records: &[Vec<u8>]) -> Vec<u8> {
    records
        .iter()
        .flat_map(|record| [&frame(&[record])[..], record].concat())
        .collect()
}

fn put(disk: &SimDisk, name: &str, bytes: &[u8]) {
    let mut file = disk.create(name).expect("a new file");
    if !bytes.is_empty() {
        file.append(bytes).expect("space");
    }
    file.sync().expect("a sound disk");
    disk.sync_folder().expect("a sound disk");
}

/// The file's bytes, and the records of the blocks at its beginning that are right.
fn made(header: &FileHeader, pieces: &[Piece]) -> (Vec<u8>, Vec<Vec<Vec<u8>>>) {
    let mut bytes = header.encode(Magic::Segment).to_vec();
    let (mut right, mut last, mut sound) = (Vec::new(), header.position, true);
    for piece in pieces {
        match piece {
            Piece::Block(header, records) => {
                bytes.extend_from_slice(&header.encode(&JOURNAL));
                bytes.extend_from_slice(&body(records));
                sound = false; // by chance it would need the right chain value
            }
            Piece::Right(records) => {
                let body = body(records);
                let header = BlockHeader {
                    body_bytes: body.len() as u32,
                    block: last.block.wrapping_add(1),
                    synced: last.block,
                    events_hash: 0,
                    time_us: 0,
                    chain: [0; 16],
                    records: records.len() as u32,
                }
                .chained(&last.chain, &body);
                bytes.extend_from_slice(&header.encode(&last.journal));
                bytes.extend_from_slice(&body);
                last = Position {
                    block: header.block,
                    chain: header.chain,
                    ..last
                };
                if sound {
                    right.push(records.clone());
                }
            }
            Piece::Bytes(some) => {
                bytes.extend_from_slice(some);
                sound &= some.is_empty();
            }
        }
    }
    (bytes, right)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_a_segment_says_only_what_follows_is_served(header in file_header(), pieces in prop::collection::vec(piece(), 0..6),
        named in prop_oneof![3 => Just(None), 1 => any::<u64>().prop_map(Some)]) {
        let disk = SimDisk::new(1);
        let (bytes, right) = made(&header, &pieces);
        put(&disk, &segment_name(named.unwrap_or(header.position.block.wrapping_add(1))), &bytes);
        let shared: Arc<dyn Disk> = Arc::new(disk);
        let _ = list_segments(shared.as_ref());
        let mut starts = vec![Start::Oldest, Start::Beginning, Start::At(header.position.block)];
        // Positions come from heads that were read.
        starts.extend((header.position.block < BLOCKS_MAX).then_some(Start::After(header.position)));
        for start in starts {
            let Ok(mut reader) = Reader::open(shared.clone(), start) else { continue };
            let mut served = Vec::new();
            let end = loop {
                match reader.next_block() {
                    Ok(Some(block)) => served.push(block.records().map(<[u8]>::to_vec).collect::<Vec<_>>()),
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            prop_assert!(served.len() <= right.len() && right.starts_with(&served), "{:?}", served);
            prop_assert!(matches!(end, Ok(()) | Err(Error::Damaged { .. } | Error::Missing { .. })), "{:?}", end);
        }
    }

    #[test]
    fn whatever_a_snapshot_says_it_does_not_panic(header in file_header(),
        frames in prop::collection::vec((0..5_u8, prop::collection::vec(any::<u8>(), 0..60), any::<bool>()), 0..6)) {
        let disk = SimDisk::new(1);
        let mut bytes = header.encode(Magic::Snapshot).to_vec();
        for (kind, content, whole) in &frames {
            let head = frame(&[&[*kind], content]);
            bytes.extend_from_slice(&head);
            bytes.push(*kind);
            bytes.extend_from_slice(&content[..if *whole { content.len() } else { content.len() / 2 }]);
        }
        let name = crate::format::snapshot_name(header.position.block);
        put(&disk, &name, &bytes);
        // Without the right end, which chance does not bring, it is no snapshot.
        prop_assert!(verify_snapshot(&disk, &name).is_err());
        prop_assert!(newest_good(&disk).is_ok_and(|(good, bad)| good.is_none() && bad.len() == 1));
    }

    #[test]
    fn heads_come_back(block in block_header(), file in file_header(), at in 0..BLOCK_HEADER_BYTES, bit in 0..8_u8) {
        let bytes = block.encode(&JOURNAL);
        let possible = block.body_bytes as usize <= BLOCK_BYTES_MAX && block.block < BLOCKS_MAX;
        let sound = possible && block.synced < block.block;
        prop_assert_eq!(BlockHeader::decode(&bytes, &JOURNAL), sound.then_some(block));
        prop_assert_eq!(BlockHeader::decode(&bytes, &[8; 16]), None, "another journal's");
        let mut wrong = bytes;
        wrong[at] ^= 1 << bit;
        prop_assert_eq!(BlockHeader::decode(&wrong, &JOURNAL), None);
        let bytes = file.encode(Magic::Snapshot);
        let read = FileHeader::decode(&bytes, Magic::Snapshot);
        prop_assert_eq!(read, if file.position.block < BLOCKS_MAX { Ok(file) } else { Err(BadHeader::Range) });
        prop_assert!(FileHeader::decode(&bytes, Magic::Segment).is_err());
    }
}
