//! Names as small numbers: skills, channels, clocks, moments, queues (kept), sources (counted and given back), ticket ids.

use hashbrown::HashTable;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use std::hash::{BuildHasher, Hasher};

/// Names that are kept once met; how many there may be is the caller's to check.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_name: FxHashMap<SmolStr, u32>,
    names: Vec<SmolStr>,
}

impl Names {
    pub(crate) fn of(names: &[&str]) -> Self {
        let mut all = Self::default();
        for name in names {
            all.intern(name);
        }
        all
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.by_name.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        let name = SmolStr::new(name);
        self.names.push(name.clone());
        self.by_name.insert(name, number);
        number
    }

    pub(crate) fn name(&self, number: u32) -> &SmolStr {
        &self.names[number as usize]
    }
}

/// Names that are given back with their last user.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    by_name: FxHashMap<SmolStr, u32>,
    names: Vec<(SmolStr, u32)>,
    free: Vec<u32>,
}

impl Counted {
    pub(crate) fn hold(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.by_name.get(name) {
            self.names[number as usize].1 += 1;
            return number;
        }
        let name = SmolStr::new(name);
        let number = if let Some(number) = self.free.pop() {
            self.names[number as usize] = (name.clone(), 1);
            number
        } else {
            self.names.push((name.clone(), 1));
            self.names.len() as u32 - 1
        };
        self.by_name.insert(name, number);
        number
    }

    pub(crate) fn release(&mut self, number: u32) {
        let (name, users) = &mut self.names[number as usize];
        *users -= 1;
        if *users == 0 {
            self.by_name.remove(name);
            *name = SmolStr::default();
            self.free.push(number);
        }
    }

    pub(crate) fn name(&self, number: u32) -> &SmolStr {
        &self.names[number as usize].0
    }

    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }
}

const SHARDS: usize = 256;

/// Ticket ids to handles. In shards, so that growth never stops the engine for long; an entry carries its hash, so that
/// growth touches no ticket.
#[derive(Debug)]
pub(crate) struct Ids {
    shards: Vec<HashTable<(u32, u32)>>,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
        }
    }
}

/// A hash that is the same on every machine.
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = foldhash::fast::FixedState::with_seed(0x5eed).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

fn widen(short: u32) -> u64 {
    u64::from(short).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Ids {
    fn place(id: &str) -> (usize, u32) {
        let hash = hash_bytes(id.as_bytes());
        ((hash >> 56) as usize % SHARDS, hash as u32)
    }

    /// The handle of an id; `same` tells whether a handle is that id's.
    pub(crate) fn get(&self, id: &str, same: impl Fn(u32) -> bool) -> Option<u32> {
        let (shard, short) = Self::place(id);
        self.shards[shard]
            .find(widen(short), |&(kept, handle)| kept == short && same(handle))
            .map(|&(_, handle)| handle)
    }

    pub(crate) fn insert(&mut self, id: &str, handle: u32) {
        let (shard, short) = Self::place(id);
        self.shards[shard].insert_unique(widen(short), (short, handle), |&(kept, _)| widen(kept));
    }

    /// Points an id at another handle.
    pub(crate) fn change(&mut self, id: &str, from: u32, to: u32) {
        let (shard, short) = Self::place(id);
        if let Some(entry) =
            self.shards[shard].find_mut(widen(short), |&(kept, handle)| kept == short && handle == from)
        {
            entry.1 = to;
        }
    }

    pub(crate) fn remove(&mut self, id: &str, handle: u32) {
        let (shard, short) = Self::place(id);
        let table = &mut self.shards[shard];
        if let Ok(entry) = table.find_entry(widen(short), |&(kept, other)| kept == short && other == handle) {
            entry.remove();
        }
        // Memory returns once a night's tickets are forgotten.
        if table.capacity() > 1024 && table.len() * 8 < table.capacity() {
            table.shrink_to(table.len() * 2, |&(kept, _)| widen(kept));
        }
    }
}
