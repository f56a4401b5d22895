//! Names as small numbers: skills, channels, clocks, moments, queues (kept), sources (counted and given back), ticket ids.

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
    /// Held last.
    last: u32,
}

impl Counted {
    pub(crate) fn hold(&mut self, name: &str) -> u32 {
        // Tickets come in batches of one source.
        if let Some((known, users)) = self.names.get_mut(self.last as usize)
            && known == name
            && *users > 0
        {
            *users += 1;
            return self.last;
        }
        self.last = self.hold_other(name);
        self.last
    }

    fn hold_other(&mut self, name: &str) -> u32 {
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
const VACANT: u64 = u64::MAX;
/// A shard below this is not made smaller.
const SHRINK_ABOVE: usize = 1024;

/// Ticket ids to handles, by the ids' hashes. In shards, so that growth never stops the engine for long; a slot is half
/// hash, half handle, so that growth touches no ticket and a look is one cache line nearly always.
#[derive(Debug)]
pub(crate) struct Ids {
    shards: Vec<Shard>,
}

/// Open addressing with linear steps; at most three quarters full.
#[derive(Debug, Default, Clone)]
struct Shard {
    slots: Vec<u64>,
    len: usize,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            shards: vec![Shard::default(); SHARDS],
        }
    }
}

/// Hashes that are the same on every machine.
pub(crate) fn hasher() -> impl Hasher {
    foldhash::fast::FixedState::with_seed(0x5eed).build_hasher()
}

/// Two numbers into one: both halves of the product, so that every bit counts.
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd1b5_4a32_d192_ed03);
    product as u64 ^ (product >> 64) as u64
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = hasher();
    hasher.write(bytes);
    hasher.finish()
}

impl Shard {
    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    /// Where a slot with these upper bits, for which `is` holds, stands.
    fn find(&self, short: u32, is: impl Fn(u32) -> bool) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let mut at = short as usize & self.mask();
        loop {
            let slot = self.slots[at];
            if slot == VACANT {
                return None;
            }
            if (slot >> 32) as u32 == short && is(slot as u32) {
                return Some(at);
            }
            at = (at + 1) & self.mask();
        }
    }

    fn put(&mut self, slot: u64) {
        let mut at = (slot >> 32) as usize & self.mask();
        while self.slots[at] != VACANT {
            at = (at + 1) & self.mask();
        }
        self.slots[at] = slot;
    }

    fn resize(&mut self, slots: usize) {
        for slot in std::mem::replace(&mut self.slots, vec![VACANT; slots]) {
            if slot != VACANT {
                self.put(slot);
            }
        }
    }

    fn insert(&mut self, short: u32, handle: u32) {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.resize((self.slots.len() * 2).max(8));
        }
        self.put(u64::from(short) << 32 | u64::from(handle));
        self.len += 1;
    }

    /// Empties a slot; those behind it that stand further on than they would like move up.
    fn remove(&mut self, mut hole: usize) {
        let mask = self.mask();
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot == VACANT {
                break;
            }
            let home = (slot >> 32) as usize & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = VACANT;
        self.len -= 1;
        // Memory returns once a night's tickets are forgotten.
        if self.slots.len() > SHRINK_ABOVE && self.len * 8 < self.slots.len() {
            self.resize(self.slots.len() / 2);
        }
    }
}

impl Ids {
    /// What an id is found by.
    pub(crate) fn hash(id: &str) -> u64 {
        hash_bytes(id.as_bytes())
    }

    fn shard(hash: u64) -> usize {
        (hash >> 56) as usize % SHARDS
    }

    /// The handle of an id; `same` tells whether a handle is that id's.
    pub(crate) fn get(&self, hash: u64, same: impl Fn(u32) -> bool) -> Option<u32> {
        let shard = &self.shards[Self::shard(hash)];
        shard.find(hash as u32, same).map(|at| shard.slots[at] as u32)
    }

    /// The handle that an id most likely has: nobody's id is compared.
    pub(crate) fn likely(&self, hash: u64) -> Option<u32> {
        self.get(hash, |_| true)
    }

    /// Brings an id's place into the cache.
    pub(crate) fn touch(&self, hash: u64) {
        let shard = &self.shards[Self::shard(hash)];
        std::hint::black_box(shard.slots.get(hash as u32 as usize & shard.mask()).copied());
    }

    pub(crate) fn insert(&mut self, hash: u64, handle: u32) {
        self.shards[Self::shard(hash)].insert(hash as u32, handle);
    }

    /// Points an id at another handle.
    pub(crate) fn change(&mut self, hash: u64, from: u32, to: u32) {
        let shard = &mut self.shards[Self::shard(hash)];
        if let Some(at) = shard.find(hash as u32, |handle| handle == from) {
            shard.slots[at] = u64::from(hash as u32) << 32 | u64::from(to);
        }
    }

    pub(crate) fn remove(&mut self, hash: u64, handle: u32) {
        let shard = &mut self.shards[Self::shard(hash)];
        if let Some(at) = shard.find(hash as u32, |other| other == handle) {
            shard.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few hashes, so that many stand in each other's way, around the end of the table too.
        #[test]
        fn a_shard_behaves_like_a_map(steps in prop::collection::vec((0u8..3, prop_oneof![0u32..40, 0xffff_fff0u32..=0xffff_ffff], 0u32..6), 1..600)) {
            let (mut shard, mut naive) = (Shard::default(), BTreeSet::new());
            for (what, short, handle) in steps {
                let at = shard.find(short, |other| other == handle);
                prop_assert_eq!(at.is_some(), naive.contains(&(short, handle)));
                match (what, at) {
                    (0, Some(at)) => { shard.remove(at); naive.remove(&(short, handle)); }
                    (_, None) => { shard.insert(short, handle); naive.insert((short, handle)); }
                    _ => {}
                }
                prop_assert_eq!(shard.len, naive.len());
            }
            for (short, handle) in &naive { prop_assert!(shard.find(*short, |other| other == *handle).is_some()); }
        }
    }
}
