//! One line's tickets in order of arrival. Nearly always an append at the end and a removal at the front;
//! anything in between costs a search and a short move. No heap.

use std::collections::VecDeque;

const CHUNK: usize = 128;

/// A ticket's place in its line: who came first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) arrival: i64,
    pub(crate) sequence: u64,
    pub(crate) ticket: u32,
}

/// Entries in order, in chunks of at most `CHUNK`.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    chunks: VecDeque<Chunk>,
    len: usize,
}

#[derive(Debug, Default)]
struct Chunk {
    items: Vec<Entry>,
    /// Items before this were removed from the front.
    front: usize,
}

impl Chunk {
    fn live(&self) -> &[Entry] {
        &self.items[self.front..]
    }
}

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn first(&self) -> Option<Entry> {
        self.chunks
            .front()
            .and_then(|chunk| chunk.items.get(chunk.front))
            .copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.chunks.iter().flat_map(|chunk| chunk.live().iter().copied())
    }

    pub(crate) fn insert(&mut self, entry: Entry) {
        self.len += 1;
        let last_is_before = self
            .chunks
            .back()
            .is_none_or(|chunk| chunk.items.last().is_none_or(|last| *last < entry));
        if last_is_before {
            match self.chunks.back_mut() {
                Some(chunk) if chunk.items.len() < CHUNK => chunk.items.push(entry),
                _ => self.chunks.push_back(Chunk {
                    items: vec![entry],
                    front: 0,
                }),
            }
            return;
        }
        let at = self.chunk_of(entry);
        let chunk = &mut self.chunks[at];
        if chunk.front > 0 {
            chunk.items.drain(..chunk.front);
            chunk.front = 0;
        }
        let place = chunk.items.partition_point(|item| *item < entry);
        chunk.items.insert(place, entry);
        if chunk.items.len() > CHUNK {
            let tail = chunk.items.split_off(CHUNK / 2);
            self.chunks.insert(at + 1, Chunk { items: tail, front: 0 });
        }
    }

    /// The first chunk whose last entry is not before `entry`; the last chunk if there is none.
    fn chunk_of(&self, entry: Entry) -> usize {
        let at = self
            .chunks
            .partition_point(|chunk| chunk.items.last().is_some_and(|last| *last < entry));
        at.min(self.chunks.len().saturating_sub(1))
    }

    /// Removes an entry; false if it is not there.
    pub(crate) fn remove(&mut self, entry: Entry) -> bool {
        if self.chunks.is_empty() {
            return false;
        }
        let at = if self.first() == Some(entry) {
            0
        } else {
            self.chunk_of(entry)
        };
        let chunk = &mut self.chunks[at];
        if chunk.items.get(chunk.front) == Some(&entry) {
            chunk.front += 1;
        } else {
            let Ok(place) = chunk.live().binary_search(&entry) else {
                return false;
            };
            let place = place + chunk.front;
            chunk.items.remove(place);
        }
        self.len -= 1;
        if chunk.live().is_empty() {
            // The last chunk keeps its room: a line that empties is about to fill again.
            if self.chunks.len() == 1 {
                let chunk = &mut self.chunks[0];
                chunk.items.clear();
                chunk.front = 0;
            } else {
                self.chunks.remove(at);
            }
        }
        true
    }

    /// How many stand before `entry`, for each of `entries`, which must rise. One pass over the chunks.
    pub(crate) fn ranks(&self, entries: &[Entry]) -> Vec<usize> {
        let mut ranks = Vec::with_capacity(entries.len());
        let (mut chunk_at, mut before) = (0, 0);
        for entry in entries {
            while let Some(chunk) = self.chunks.get(chunk_at) {
                if chunk.items.last().is_some_and(|last| *last < *entry) {
                    before += chunk.live().len();
                    chunk_at += 1;
                } else {
                    break;
                }
            }
            let within = self
                .chunks
                .get(chunk_at)
                .map_or(0, |chunk| chunk.live().partition_point(|item| item < entry));
            ranks.push(before + within);
        }
        ranks
    }

    /// How many stand before `entry`. A newcomer is last: no search.
    pub(crate) fn rank(&self, entry: Entry) -> usize {
        match self.chunks.back().and_then(|chunk| chunk.items.last()) {
            None => 0,
            Some(last) if *last < entry => self.len,
            Some(last) if *last == entry => self.len - 1,
            Some(_) => self.ranks(&[entry])[0],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_sorted_list(steps in prop::collection::vec((any::<bool>(), 0i64..400), 1..1500)) {
            let (mut backlog, mut naive) = (Backlog::default(), Vec::new());
            for (number, (add, arrival)) in steps.into_iter().enumerate() {
                let entry = Entry { arrival, sequence: number as u64, ticket: number as u32 };
                if add {
                    backlog.insert(entry);
                    naive.push(entry);
                    naive.sort();
                } else if !naive.is_empty() {
                    let gone = naive.remove(arrival as usize % naive.len());
                    prop_assert!(backlog.remove(gone));
                    prop_assert!(!backlog.remove(gone));
                }
                prop_assert_eq!(backlog.len, naive.len());
                prop_assert_eq!(backlog.is_empty(), naive.is_empty());
                prop_assert_eq!(backlog.first(), naive.first().copied());
                prop_assert_eq!(backlog.rank(entry), naive.iter().filter(|item| **item < entry).count());
            }
            prop_assert_eq!(backlog.iter().collect::<Vec<_>>(), naive.clone());
            prop_assert_eq!(backlog.ranks(&naive), (0..naive.len()).collect::<Vec<_>>());
        }
    }
}
