//! A hierarchical timing wheel: at most one due time a key, in whole ms; insert, move and remove in O(1).
//!
//! Eleven levels of 64 slots reach over all 64 bits. A key sits at the level of the highest bit in which its due
//! time differs from the time reached, and comes down a level when that is reached: at most ten times, in practice two.

const LEVELS: usize = 11;
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Node {
    due_ms: i64,
    prev: u32,
    next: u32,
    /// level × 64 + slot; `u16::MAX`: not in the wheel.
    slot: u16,
}

const IDLE: Node = Node {
    due_ms: 0,
    prev: NONE,
    next: NONE,
    slot: u16::MAX,
};

/// Keys by due time.
#[derive(Debug)]
pub(crate) struct Wheel {
    nodes: Vec<Node>,
    heads: [u32; LEVELS * 64],
    occupied: [u64; LEVELS],
    reached_ms: i64,
}

impl Wheel {
    pub(crate) fn new(reached_ms: i64) -> Self {
        Self {
            nodes: Vec::new(),
            heads: [NONE; LEVELS * 64],
            occupied: [0; LEVELS],
            reached_ms,
        }
    }

    /// The due time that a key stands at, if it does.
    pub(crate) fn due_ms(&self, key: u32) -> Option<i64> {
        self.nodes
            .get(key as usize)
            .filter(|node| node.slot != u16::MAX)
            .map(|node| node.due_ms)
    }

    /// Puts a key at a due time, wherever it stood. A past one counts as the time reached.
    pub(crate) fn put(&mut self, key: u32, due_ms: i64) {
        if key as usize >= self.nodes.len() {
            self.nodes.resize(key as usize + 1, IDLE);
        } else {
            self.remove(key);
        }
        let due_ms = due_ms.max(self.reached_ms);
        self.link(key, due_ms);
    }

    fn link(&mut self, key: u32, due_ms: i64) {
        let differs = (due_ms ^ self.reached_ms) as u64;
        let level = if differs == 0 { 0 } else { differs.ilog2() as usize / 6 };
        let slot = level * 64 + (due_ms >> (6 * level)) as usize % 64;
        let next = self.heads[slot];
        self.nodes[key as usize] = Node {
            due_ms,
            prev: NONE,
            next,
            slot: slot as u16,
        };
        if next != NONE {
            self.nodes[next as usize].prev = key;
        }
        self.heads[slot] = key;
        self.occupied[level] |= 1 << (slot % 64);
    }

    pub(crate) fn remove(&mut self, key: u32) {
        let Some(&node) = self.nodes.get(key as usize) else {
            return;
        };
        if node.slot == u16::MAX {
            return;
        }
        let slot = node.slot as usize;
        if node.prev == NONE {
            self.heads[slot] = node.next;
            if node.next == NONE {
                self.occupied[slot / 64] &= !(1 << (slot % 64));
            }
        } else {
            self.nodes[node.prev as usize].next = node.next;
        }
        if node.next != NONE {
            self.nodes[node.next as usize].prev = node.prev;
        }
        self.nodes[key as usize] = IDLE;
    }

    /// The first slot that holds anything: (level, slot, the time it begins).
    fn first_slot(&self) -> Option<(usize, usize, i64)> {
        for level in 0..LEVELS {
            let shift = 6 * level;
            let here = (self.reached_ms >> shift) as usize % 64;
            // Slots of a level are never before the one reached: a smaller due time would stand a level higher.
            let ahead = self.occupied[level] & (u64::MAX << here);
            if ahead != 0 {
                let slot = ahead.trailing_zeros() as usize;
                let span = if shift + 6 >= 64 {
                    0
                } else {
                    (self.reached_ms >> (shift + 6)) << (shift + 6)
                };
                return Some((level, slot, span + ((slot as i64) << shift)));
            }
        }
        None
    }

    /// No key is due before this; None: there is no key. Exact within 64 ms of the time reached.
    pub(crate) fn next_ms(&self) -> Option<i64> {
        self.first_slot().map(|(_, _, begins)| begins.max(self.reached_ms))
    }

    /// Takes all keys of the earliest due time, if that is at most `limit_ms`: the due time and, in `keys`, whose it is,
    /// in no particular order. The time reached moves there; without any, to `limit_ms`.
    pub(crate) fn take_next(&mut self, limit_ms: i64, keys: &mut Vec<u32>) -> Option<i64> {
        while let Some((level, slot, begins)) = self.first_slot() {
            if begins > limit_ms {
                break;
            }
            self.reached_ms = self.reached_ms.max(begins);
            let mut key = std::mem::replace(&mut self.heads[level * 64 + slot], NONE);
            self.occupied[level] &= !(1 << slot);
            while key != NONE {
                let node = std::mem::replace(&mut self.nodes[key as usize], IDLE);
                if level == 0 {
                    keys.push(key);
                } else {
                    self.link(key, node.due_ms);
                }
                key = node.next;
            }
            if level == 0 {
                return Some(begins);
            }
        }
        self.reached_ms = self.reached_ms.max(limit_ms);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Put(u32, i64),
        Remove(u32),
        Advance(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let far = prop_oneof![0i64..70, 0i64..5000, 0i64..400_000, 0i64..40_000_000_000];
        prop_oneof![
            (0u32..60, far.clone()).prop_map(|(key, ahead)| Step::Put(key, ahead)),
            (0u32..60).prop_map(Step::Remove),
            far.prop_map(Step::Advance),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_btree_map(start in 0i64..2_000_000_000_000, steps in prop::collection::vec(step(), 1..300)) {
            let mut wheel = Wheel::new(start);
            let mut naive: BTreeMap<u32, i64> = BTreeMap::new();
            let mut now = start;
            for step in steps {
                match step {
                    Step::Put(key, ahead) => { wheel.put(key, now + ahead); naive.insert(key, now + ahead); }
                    Step::Remove(key) => { wheel.remove(key); naive.remove(&key); }
                    Step::Advance(ahead) => {
                        let until = now + ahead;
                        loop {
                            let mut keys = Vec::new();
                            let first = naive.values().min().copied().filter(|due| *due <= until);
                            prop_assert_eq!(wheel.take_next(until, &mut keys), first);
                            let Some(first) = first else { break };
                            keys.sort_unstable();
                            let expected: Vec<u32> = naive.iter().filter(|(_, due)| **due == first).map(|(key, _)| *key).collect();
                            prop_assert_eq!(keys, expected);
                            naive.retain(|_, due| *due != first);
                        }
                        now = until;
                    }
                }
                let first = naive.values().min().copied();
                prop_assert_eq!(wheel.next_ms().is_some(), first.is_some());
                if let (Some(hint), Some(first)) = (wheel.next_ms(), first) { prop_assert!(hint <= first); }
                for (key, due) in &naive { prop_assert_eq!(wheel.due_ms(*key), Some(*due)); }
            }
        }
    }
}
