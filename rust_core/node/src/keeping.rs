//! How a node keeps what it decides: the settings, and a disk whose fsyncs are measured.
//!
//! ```
//! use std::sync::Arc;
//! use csroute_journal::OsDisk;
//! use csroute_node::keeping::Keeping;
//! let folder = std::env::temp_dir().join(format!("csroute-keeping-{}", std::process::id()));
//! let keeping = Keeping::on(Arc::new(OsDisk::open(&folder)?));
//! assert_eq!(keeping.durability, csroute_journal::Durability::Fsync);
//! std::fs::remove_dir_all(folder)?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::any::Any;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use csroute_engine::Millis;
use csroute_journal::{Disk, DiskFile, Durability, Folder, Retention};

use crate::histogram::Histogram;
use crate::trouble::Trouble;

/// Where and how the journal is kept.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// The folder.
    pub disk: Arc<dyn Disk>,
    /// When a command counts as kept, and may be answered.
    pub durability: Durability,
    /// After a restart: no lease or offer ends sooner than this, ms.
    pub grace: Millis,
    /// A segment of so many bytes is closed.
    pub segment_bytes: u64,
    /// Space kept for finishing what is under way when the disk is full.
    pub reserve_bytes: u64,
    /// Bytes that are not durable yet, at most: past it the writer waits for the disk.
    pub pending_bytes_max: usize,
    /// A snapshot after this time, if anything happened; zero: never by time.
    pub snapshot_every: Duration,
    /// A snapshot after so many bytes of journal; 0: never by size.
    pub snapshot_bytes: u64,
    /// A snapshot when the node stops.
    pub snapshot_at_stop: bool,
    /// Which snapshots, and how much of the journal, stay.
    pub retention: Retention,
}

impl Keeping {
    /// In this folder, all else as a server has it unless told otherwise.
    pub fn on(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            durability: Durability::Fsync,
            grace: 30_000,
            segment_bytes: 256 << 20,
            reserve_bytes: 64 << 20,
            pending_bytes_max: 64 << 20,
            snapshot_every: Duration::from_mins(10),
            snapshot_bytes: 1 << 30,
            snapshot_at_stop: true,
            retention: Retention::default(),
        }
    }
}

/// A folder that is this node's alone, its fsyncs measured.
pub(crate) struct Opened {
    pub keeping: Keeping,
    pub folder: Folder,
    pub syncs: Syncs,
}

impl Opened {
    pub fn new(mut keeping: Keeping) -> Result<Self, Trouble> {
        let (disk, syncs) = Measured::on(keeping.disk);
        keeping.disk = disk;
        Ok(Self {
            folder: Folder::lock(keeping.disk.clone())?,
            keeping,
            syncs,
        })
    }
}

/// The times of fsyncs.
pub(crate) type Syncs = Arc<Mutex<Histogram>>;

/// A disk that measures its fsyncs.
#[derive(Debug)]
pub(crate) struct Measured {
    disk: Arc<dyn Disk>,
    syncs: Syncs,
}

impl Measured {
    pub fn on(disk: Arc<dyn Disk>) -> (Arc<dyn Disk>, Syncs) {
        let syncs = Syncs::default();
        let measured = Self {
            disk,
            syncs: syncs.clone(),
        };
        (Arc::new(measured), syncs)
    }

    fn file(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(MeasuredFile {
            file,
            syncs: self.syncs.clone(),
        })
    }
}

impl Disk for Measured {
    fn folder(&self) -> String {
        self.disk.folder()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(name).map(|file| self.file(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(name).map(|file| self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.disk.sync_folder()
    }

    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        self.disk.lock(name)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn identity(&self) -> io::Result<[u8; 16]> {
        self.disk.identity()
    }
}

struct MeasuredFile {
    file: Box<dyn DiskFile>,
    syncs: Syncs,
}

impl DiskFile for MeasuredFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, into)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.append(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let started = Instant::now();
        let synced = self.file.sync();
        let took = started.elapsed().as_nanos() as u64;
        self.syncs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(took, 1);
        synced
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        self.file.reserve(bytes)
    }

    fn forget_cache(&self) {
        self.file.forget_cache();
    }
}
