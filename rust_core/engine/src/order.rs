//! Tickets by the order of their submission: a handle a sequence, in chunks that go back when nobody of them is left.

use std::collections::VecDeque;

use crate::ticket::NONE;

const CHUNK: u64 = 1024;

#[derive(Debug)]
struct Chunk {
    handles: Box<[u32]>,
    live: u32,
}

/// Handles by sequence. Sequences are dense, so that a place is a division, not a search.
#[derive(Debug, Default)]
pub(crate) struct Order {
    chunks: VecDeque<Option<Chunk>>,
    /// The number of the first chunk.
    first: u64,
}

impl Order {
    pub(crate) fn set(&mut self, sequence: u64, handle: u32) {
        let number = sequence / CHUNK;
        if self.chunks.is_empty() {
            self.first = number;
        }
        while number < self.first {
            self.chunks.push_front(None);
            self.first -= 1;
        }
        while number >= self.first + self.chunks.len() as u64 {
            self.chunks.push_back(None);
        }
        let chunk = self.chunks[(number - self.first) as usize].get_or_insert_with(|| Chunk {
            handles: vec![NONE; CHUNK as usize].into(),
            live: 0,
        });
        let handle_at = &mut chunk.handles[(sequence % CHUNK) as usize];
        chunk.live += u32::from(*handle_at == NONE);
        *handle_at = handle;
    }

    pub(crate) fn clear(&mut self, sequence: u64) {
        let Some(at) = (sequence / CHUNK).checked_sub(self.first) else {
            return;
        };
        let Some(Some(chunk)) = self.chunks.get_mut(at as usize) else {
            return;
        };
        let handle_at = &mut chunk.handles[(sequence % CHUNK) as usize];
        chunk.live -= u32::from(*handle_at != NONE);
        *handle_at = NONE;
        if chunk.live == 0 {
            self.chunks[at as usize] = None;
            while let Some(None) = self.chunks.front() {
                self.chunks.pop_front();
                self.first += 1;
            }
        }
    }

    /// (sequence, handle) of each past `after`, rising.
    pub(crate) fn after(&self, after: u64) -> impl Iterator<Item = (u64, u32)> + '_ {
        let start = (after + 1).max(self.first * CHUNK);
        let skipped = ((start / CHUNK) - self.first) as usize;
        let chunks = self
            .chunks
            .iter()
            .enumerate()
            .skip(skipped)
            .filter_map(|(at, chunk)| Some((at as u64, chunk.as_ref()?)));
        let base = self.first;
        chunks
            .flat_map(move |(at, chunk)| {
                let of = (base + at) * CHUNK;
                chunk
                    .handles
                    .iter()
                    .enumerate()
                    .map(move |(place, &handle)| (of + place as u64, handle))
            })
            .filter(move |&(sequence, handle)| sequence >= start && handle != NONE)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_btree_map(steps in prop::collection::vec((any::<bool>(), 1u64..6000), 1..300), after in 0u64..6000) {
            let (mut order, mut naive) = (Order::default(), BTreeMap::new());
            for (set, sequence) in steps {
                if set {
                    order.set(sequence, sequence as u32 * 2);
                    naive.insert(sequence, sequence as u32 * 2);
                } else {
                    order.clear(sequence);
                    naive.remove(&sequence);
                }
            }
            let expected: Vec<(u64, u32)> = naive.range(after + 1..).map(|(a, b)| (*a, *b)).collect();
            prop_assert_eq!(order.after(after).collect::<Vec<_>>(), expected);
            if naive.is_empty() { prop_assert!(order.chunks.is_empty(), "memory goes back"); }
        }
    }
}
