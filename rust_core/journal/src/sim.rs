//! A disk in memory that does what disks do when power goes or space ends, by a seed: for tests.
//!
//! What was not synced at a power cut is lost, kept, reordered and torn at 512 B or 4 KiB, file by file; names come and
//! go likewise. After an fsync that failed the memory still shows what the disk does not hold, and the next fsync says
//! yes: as systems do.
//!
//! ```
//! use csroute_journal::{Disk, SimDisk};
//!
//! let disk = SimDisk::new(7);
//! let mut file = disk.create("a")?;
//! file.append(b"kept")?;
//! file.sync()?;
//! disk.sync_folder()?;
//! file.append(b"perhaps")?;
//! disk.cut_power();
//! assert!(file.append(b"x").is_err()); // the process is gone, too
//! assert!(disk.open("a")?.len()? >= 4);
//! # Ok::<(), std::io::Error>(())
//! ```

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};

/// An operation that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Op {
    Create,
    Open,
    Read,
    Append,
    Truncate,
    Sync,
    Rename,
    Remove,
    SyncFolder,
    Reserve,
}

/// How it fails by itself.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Of these operations, so many in a thousand end in EIO.
    pub eio_per_mille: BTreeMap<Op, u32>,
    /// Of a thousand appends, so many take only a part.
    pub short_per_mille: u32,
    /// Past so many operations everything fails, until `cut_power` or `restart`. Counted from now.
    pub crash_after: Option<u64>,
    /// Space of the whole disk, bytes.
    pub capacity: Option<u64>,
}

/// A shared handle: clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

#[derive(Debug, Default)]
struct Inode {
    /// What reading shows.
    content: Vec<u8>,
    /// What the disk holds.
    durable: Vec<u8>,
    /// What lies between.
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Debug, Clone)]
enum NameChange {
    Set(String, usize),
    Remove(String),
    Rename(String, String),
}

#[derive(Debug)]
struct World {
    random: u64,
    faults: Faults,
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    locks: BTreeSet<String>,
    /// Handles of an earlier life are dead.
    life: u64,
    ops: u64,
    crashed: bool,
}

impl SimDisk {
    /// An empty disk whose accidents follow from the seed.
    pub fn new(seed: u64) -> Self {
        let world = World {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03,
            faults: Faults::default(),
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            locks: BTreeSet::new(),
            life: 0,
            ops: 0,
            crashed: false,
        };
        Self {
            world: Arc::new(Mutex::new(world)),
        }
    }

    /// Fails like this from now on.
    pub fn set_faults(&self, faults: Faults) {
        let mut world = self.world();
        world.faults = faults;
        world.ops = 0;
    }

    /// Operations since the faults were set.
    pub fn ops(&self) -> u64 {
        self.world().ops
    }

    /// Whether `crash_after` was reached.
    pub fn crashed(&self) -> bool {
        self.world().crashed
    }

    /// The process ends; the system and its memory live on.
    pub fn restart(&self) {
        self.world().new_life();
    }

    /// Power goes and comes back.
    pub fn cut_power(&self) {
        let mut world = self.world();
        let changes = std::mem::take(&mut world.pending_names);
        let mut names = std::mem::take(&mut world.durable_names);
        let (kept, any) = (world.below(changes.len() as u64 + 1), world.below(2) == 0);
        for (number, change) in changes.into_iter().enumerate() {
            if any && world.below(2) == 0 || !any && (number as u64) < kept {
                change.apply(&mut names);
            }
        }
        world.durable_names.clone_from(&names);
        world.names = names;
        for number in 0..world.inodes.len() {
            world.settle(number);
            let inode = &mut world.inodes[number];
            inode.content.clone_from(&inode.durable);
        }
        world.new_life();
    }

    /// Turns one bit of what the disk holds.
    pub fn flip(&self, name: &str, offset: usize, bit: u8) {
        self.damage(name, |bytes| {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 1 << (bit % 8);
            }
        });
    }

    /// Changes what the disk holds.
    pub fn damage(&self, name: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut world = self.world();
        if let Some(&number) = world.names.get(name) {
            let inode = &mut world.inodes[number];
            change(&mut inode.content);
            change(&mut inode.durable);
        }
    }

    /// What a file shows.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let world = self.world();
        world
            .names
            .get(name)
            .map_or_else(Vec::new, |&number| world.inodes[number].content.clone())
    }

    /// What all files take, bytes.
    pub fn used(&self) -> u64 {
        self.world().used()
    }

    /// A number below `bound`, from the disk's own seed.
    pub fn below(&self, bound: u64) -> u64 {
        self.world().below(bound)
    }

    /// So many bytes, from the disk's own seed.
    pub fn random_bytes(&self, length: usize) -> Vec<u8> {
        let mut world = self.world();
        let mut bytes: Vec<u8> = (0..length.div_ceil(4))
            .flat_map(|_| (world.next() as u32).to_le_bytes())
            .collect();
        bytes.truncate(length);
        bytes
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Truncate(length) => bytes.resize(*length, 0),
            Change::Write(offset, data) => {
                let end = offset + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(data);
            }
        }
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Set(name, inode) => {
                names.insert(name, inode);
            }
            NameChange::Remove(name) => {
                names.remove(&name);
            }
            NameChange::Rename(from, to) => {
                if let Some(inode) = names.remove(&from) {
                    names.insert(to, inode);
                }
            }
        }
    }
}

impl World {
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// xorshift64*.
    fn next(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn new_life(&mut self) {
        self.life += 1;
        self.locks.clear();
        self.crashed = false;
        self.ops = 0;
        self.faults = Faults {
            capacity: self.faults.capacity,
            ..Faults::default()
        };
    }

    /// Counts an operation and lets it fail.
    fn step(&mut self, op: Op) -> io::Result<()> {
        self.ops += 1;
        if self.faults.crash_after.is_some_and(|after| self.ops > after) {
            self.crashed = true;
        }
        if self.crashed {
            return Err(io::Error::other("the power is gone"));
        }
        let chance = self.faults.eio_per_mille.get(&op).copied().unwrap_or(0);
        if chance > 0 && self.below(1000) < u64::from(chance) {
            return Err(eio());
        }
        Ok(())
    }

    fn inode(&self, name: &str) -> io::Result<usize> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename_all(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.pending_names.push(change);
    }

    fn used(&self) -> u64 {
        let lengths = self
            .names
            .values()
            .map(|&number| self.inodes[number].content.len() as u64);
        lengths.sum()
    }

    fn room(&self) -> u64 {
        let used = self.used();
        self.faults
            .capacity
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(used))
    }

    /// Some of what is pending reaches the disk, in any order, torn.
    fn settle(&mut self, number: usize) {
        let changes = std::mem::take(&mut self.inodes[number].pending);
        let mut bytes = std::mem::take(&mut self.inodes[number].durable);
        let sector = if self.below(2) == 0 { 512 } else { 4096 };
        // All, a beginning (the last of it torn), or any.
        let (mode, kept) = (self.below(4), self.below(changes.len() as u64 + 1) as usize);
        for (at, change) in changes.into_iter().enumerate() {
            match change {
                Change::Truncate(length) => {
                    if mode == 0 || mode == 1 && at < kept || mode > 1 && self.below(2) == 0 {
                        bytes.resize(length, 0);
                    }
                }
                Change::Write(offset, data) => {
                    let mut from = 0;
                    while from < data.len() {
                        let to = data.len().min(((offset + from) / sector + 1) * sector - offset);
                        let lands = match mode {
                            0 => true,
                            1 => at < kept || at == kept && self.below(2) == 0,
                            _ => self.below(4) > 0,
                        };
                        // A file may be as long as its last write though that never landed.
                        if lands || self.below(16) == 0 {
                            let end = offset + to;
                            bytes.resize(bytes.len().max(end), 0);
                        }
                        if lands {
                            bytes[offset + from..offset + to].copy_from_slice(&data[from..to]);
                            if mode == 3 && self.below(64) == 0 {
                                let place = offset + from + self.below((to - from) as u64) as usize;
                                bytes[place] ^= 1 << self.below(8);
                            }
                        }
                        from = to;
                    }
                }
            }
        }
        self.inodes[number].durable = bytes;
    }
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

struct Lock {
    world: Arc<Mutex<World>>,
    name: String,
    life: u64,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if world.life == self.life {
            world.locks.remove(&self.name);
        }
    }
}

impl SimDisk {
    fn handle(&self, world: &World, inode: usize) -> Box<dyn DiskFile> {
        Box::new(SimFile {
            disk: self.clone(),
            inode,
            life: world.life,
        })
    }
}

impl Disk for SimDisk {
    fn folder(&self) -> String {
        "simulated".to_owned()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        world.step(Op::Create)?;
        if world.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = world.inodes.len();
        world.inodes.push(Inode::default());
        world.rename_all(NameChange::Set(name.to_owned(), inode));
        Ok(self.handle(&world, inode))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        world.step(Op::Open)?;
        let inode = world.inode(name)?;
        Ok(self.handle(&world, inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.step(Op::Rename)?;
        world.inode(from)?;
        world.rename_all(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.step(Op::Remove)?;
        world.inode(name)?;
        world.rename_all(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut world = self.world();
        world.step(Op::Open)?;
        Ok(world.names.keys().cloned().collect())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut world = self.world();
        world.step(Op::SyncFolder)?;
        world.pending_names.clear();
        world.durable_names = world.names.clone();
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let mut world = self.world();
        if !world.locks.insert(name.to_owned()) {
            return Ok(None);
        }
        let lock = Lock {
            world: self.world.clone(),
            name: name.to_owned(),
            life: world.life,
        };
        Ok(Some(Box::new(lock)))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.world().room())
    }

    fn identity(&self) -> io::Result<[u8; 16]> {
        let mut world = self.world();
        Ok(std::array::from_fn(|_| world.below(256) as u8))
    }
}

struct SimFile {
    disk: SimDisk,
    inode: usize,
    life: u64,
}

impl SimFile {
    fn world(&self, op: Op) -> io::Result<MutexGuard<'_, World>> {
        let mut world = self.disk.world();
        if world.life != self.life {
            return Err(io::Error::other("this handle's process is gone"));
        }
        match world.step(op) {
            Ok(()) => Ok(world),
            Err(error) if op == Op::Sync && !world.crashed => {
                // What was dirty counts as clean from now on, whatever reached the disk.
                world.settle(self.inode);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.world(Op::Read)?.inodes[self.inode].content.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let world = self.world(Op::Read)?;
        let from = &world.inodes[self.inode].content;
        let from = from.get((offset as usize).min(from.len())..).unwrap_or_default();
        let length = from.len().min(into.len());
        into[..length].copy_from_slice(&from[..length]);
        Ok(length)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut world = self.world(Op::Append)?;
        let mut length = bytes.len().min(usize::try_from(world.room()).unwrap_or(usize::MAX));
        if length == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let chance = u64::from(world.faults.short_per_mille);
        if chance > 0 && world.below(1000) < chance {
            length = 1 + world.below(length as u64) as usize;
        }
        let inode = &mut world.inodes[self.inode];
        let offset = inode.content.len();
        inode.content.extend_from_slice(&bytes[..length]);
        inode.pending.push(Change::Write(offset, bytes[..length].to_vec()));
        Ok(length)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let mut world = self.world(Op::Truncate)?;
        let inode = &mut world.inodes[self.inode];
        inode.content.resize(bytes as usize, 0);
        inode.pending.push(Change::Truncate(bytes as usize));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut world = self.world(Op::Sync)?;
        let inode = &mut world.inodes[self.inode];
        for change in std::mem::take(&mut inode.pending) {
            change.apply(&mut inode.durable);
        }
        Ok(())
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        let mut world = self.world(Op::Reserve)?;
        if world.room() < bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = &mut world.inodes[self.inode];
        inode.content.resize(bytes as usize, 0);
        inode.durable.resize(bytes as usize, 0);
        Ok(())
    }

    fn forget_cache(&self) {
        let mut world = self.disk.world();
        let inode = &mut world.inodes[self.inode];
        let mut bytes = inode.durable.clone();
        for change in &inode.pending {
            change.apply(&mut bytes);
        }
        inode.content = bytes;
    }
}
