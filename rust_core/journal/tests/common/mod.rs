//! A journal's owner on a simulated disk, who remembers what was promised.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use csroute_journal::{
    BlockBuilder, Disk, Error, Folder, Log, Options, Recovered, Retention, Sealed, SimDisk, SnapshotReader,
    SnapshotWriter, newest_good, prune,
};

pub const OPTIONS: Options = Options {
    semantics: 3,
    segment_bytes: 20_000,
    reserve_bytes: 5_000,
};

fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let first = number("CSROUTE_SEED").unwrap_or(0);
    first..first + number("CSROUTE_SEEDS").unwrap_or(default)
}

/// Runs the test with each seed; a failure says how to repeat it.
pub fn each_seed(test: &str, default: u64, run: impl Fn(u64)) {
    for seed in seeds(default) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            eprintln!("repeat it: CSROUTE_SEED={seed} CSROUTE_SEEDS=1 cargo test -p csroute-journal --test {test}");
            resume_unwind(panic);
        }
    }
}

/// The records of block `number` as its writer of this life made them.
pub type Records = Vec<Vec<u8>>;

/// What the state is after these blocks: for snapshots.
pub fn state_of(blocks: &[Records]) -> Vec<u8> {
    let mut state = (blocks.len() as u64).to_le_bytes().to_vec();
    for record in blocks.iter().flatten() {
        state.extend_from_slice(&crc32c::crc32c(record).to_le_bytes());
    }
    state
}

/// Blocks written so far, of which the first `acked` may never be lost.
pub struct Owner {
    pub disk: SimDisk,
    pub blocks: Vec<Records>,
    pub acked: usize,
    pub log: Option<Log>,
}

impl Owner {
    pub fn new(seed: u64) -> Self {
        Self {
            disk: SimDisk::new(seed),
            blocks: Vec::new(),
            acked: 0,
            log: None,
        }
    }

    pub fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }

    /// Starts, and checks all that is served against what was written.
    pub fn recover(&mut self) -> Result<Recovered, Error> {
        let folder = Folder::lock(self.shared())?;
        let (snapshot, _) = newest_good(folder.disk().as_ref())?;
        let mut next = 0;
        if let Some(snapshot) = &snapshot {
            next = snapshot.position.block as usize;
            assert!(next <= self.blocks.len(), "a snapshot of blocks that nobody wrote");
            let mut reader = SnapshotReader::open(folder.disk().as_ref(), &snapshot.name)?;
            assert_eq!(reader.next_part()?.as_deref(), Some("state"));
            assert_eq!(
                reader.read_part()?,
                state_of(&self.blocks[..next]),
                "a snapshot of another state"
            );
        }
        let mut recovery = folder.recover(OPTIONS, snapshot.map(|snapshot| snapshot.position))?;
        while let Some(block) = recovery.next_block()? {
            let written = self.blocks.get(next).expect("a block that nobody wrote");
            assert_eq!(block.position.block as usize, next + 1, "blocks come in order");
            assert_eq!(block.records as usize, written.len());
            assert!(
                block.records().eq(written.iter().map(Vec::as_slice)),
                "a wrong record was served"
            );
            assert_eq!(block.events_hash, next as u64);
            next += 1;
        }
        let (log, recovered) = recovery.finish()?;
        assert!(next >= self.acked, "acknowledged {}, recovered {next}", self.acked);
        assert_eq!(recovered.position.block as usize, next);
        self.blocks.truncate(next); // nobody will ever hear of the others
        self.acked = next; // what was replayed may be served
        self.log = Some(log);
        Ok(recovered)
    }

    pub fn block(&self, records: Records) -> Sealed {
        let mut builder = BlockBuilder::default();
        for record in &records {
            let (one, two) = record.split_at(record.len() / 2);
            builder.push(&[one, two]).expect("it is small");
        }
        builder.seal(self.blocks.len() as u64, self.blocks.len() as i64 * 1000)
    }

    pub fn random_records(&self) -> Records {
        let large = self.disk.below(8) == 0;
        let count = self.disk.below(5);
        let bytes = if large { 6000 } else { 300 };
        (0..count)
            .map(|_| self.disk.random_bytes(self.disk.below(bytes) as usize))
            .collect()
    }

    pub fn write(&mut self) -> Result<(), Error> {
        let records = self.random_records();
        let mut sealed = self.block(records.clone());
        let log = self.log.as_mut().expect("recovered");
        // What fails half-way may be there after all, unacknowledged.
        self.blocks.push(records);
        let mut written = log.write(&mut sealed);
        if matches!(written, Err(Error::Full { .. })) && log.give_up_reserve()? {
            written = log.write(&mut sealed);
        }
        if matches!(written, Err(Error::Full { .. })) {
            self.blocks.pop(); // cut back
        }
        written
    }

    pub fn sync(&mut self) -> Result<(), Error> {
        self.log.as_mut().expect("recovered").sync()?;
        self.acked = self.blocks.len();
        Ok(())
    }

    pub fn rotate(&mut self) -> Result<(), Error> {
        self.log
            .as_mut()
            .expect("recovered")
            .rotate(self.blocks.len() as i64 * 1000)?;
        Ok(())
    }

    /// Of the durable state: a snapshot may not know more than the journal.
    pub fn snapshot(&mut self) -> Result<(), Error> {
        self.sync()?;
        let position = self.log.as_ref().expect("recovered").position();
        let mut snapshot =
            SnapshotWriter::create(self.shared(), position, OPTIONS.semantics, position.block as i64 * 1000)?;
        snapshot.part("state")?;
        for piece in state_of(&self.blocks).chunks(100) {
            snapshot.write(piece)?;
        }
        snapshot.finish()?;
        Ok(())
    }

    pub fn prune(&mut self) -> Result<(), Error> {
        let retention = Retention {
            snapshots: 1 + self.disk.below(3) as usize,
            history_ms: (self.disk.below(2) == 0).then(|| self.disk.below(100)),
        };
        prune(&self.disk, retention, self.blocks.len() as i64 * 1000)?;
        Ok(())
    }

    pub fn close(&mut self) -> Result<(), Error> {
        self.blocks.push(Vec::new());
        let log = self.log.as_mut().expect("recovered");
        log.close(self.blocks.len() as u64 - 1, self.blocks.len() as i64 * 1000)?;
        self.acked = self.blocks.len();
        Ok(())
    }

    /// One thing that owners do.
    pub fn act(&mut self) -> Result<(), Error> {
        match self.disk.below(40) {
            0 => self.rotate(),
            1 => self.snapshot(),
            2 => self.prune(),
            3..=12 => self.sync(),
            _ => self.write(),
        }
    }
}
