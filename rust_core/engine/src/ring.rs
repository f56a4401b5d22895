//! Records in the order they came, the oldest out first: dense in memory, and growth copies nothing.

use std::collections::VecDeque;

const CHUNK: usize = 1024;

/// A record's number counts those before it since the beginning; its handle is what is left of that by `HANDLES`.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    chunks: VecDeque<Vec<Option<T>>>,
    /// A chunk's memory, for the next one.
    spare: Vec<Option<T>>,
    /// The oldest record's number.
    first: u64,
    len: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self {
            chunks: VecDeque::new(),
            spare: Vec::new(),
            first: 0,
            len: 0,
        }
    }
}

impl<T> Ring<T> {
    /// Handles are below this; so many records there may be.
    const HANDLES: u64 = (1 << 31) - 1;

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts a record last: its handle.
    pub(crate) fn push(&mut self, item: T) -> u32 {
        let number = self.first + self.len as u64;
        if (number as usize).is_multiple_of(CHUNK) || self.chunks.is_empty() {
            let mut chunk = std::mem::take(&mut self.spare);
            chunk.reserve_exact(CHUNK);
            // Behind a start within a chunk there is nobody.
            chunk.resize_with(number as usize % CHUNK, || None);
            self.chunks.push_back(chunk);
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.push(Some(item));
        }
        self.len += 1;
        (number % Self::HANDLES) as u32
    }

    /// Takes the oldest out, with its handle.
    pub(crate) fn pop(&mut self) -> Option<(u32, T)> {
        let at = self.first as usize % CHUNK;
        let chunk = self.chunks.front_mut()?;
        let item = chunk.get_mut(at)?.take()?;
        let handle = (self.first % Self::HANDLES) as u32;
        (self.first, self.len) = (self.first + 1, self.len - 1);
        if at + 1 == CHUNK || self.len == 0 {
            self.spare = self.chunks.pop_front().unwrap_or_default();
            self.spare.clear();
        }
        Some((handle, item))
    }

    /// The record so many places behind the oldest.
    pub(crate) fn ahead(&self, places: usize) -> Option<&T> {
        let at = self.first as usize % CHUNK + places;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)?.as_ref()
    }

    pub(crate) fn get(&self, handle: u32) -> Option<&T> {
        self.ahead(((u64::from(handle) + Self::HANDLES - self.first % Self::HANDLES) % Self::HANDLES) as usize)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().flatten()
    }
}

impl<T> std::ops::Index<u32> for Ring<T> {
    type Output = T;
    fn index(&self, handle: u32) -> &T {
        self.get(handle).expect("a handle names a live record")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_queue(start in prop_oneof![Just(0u64), Just((1u64 << 31) - 700), 0u64..5000], steps in prop::collection::vec((any::<bool>(), 1usize..1500), 1..40)) {
            let (mut ring, mut naive) = (Ring { first: start, ..Ring::default() }, VecDeque::new());
            let mut next = 0u32;
            for (add, times) in steps {
                for _ in 0..times {
                    if add {
                        naive.push_back((ring.push(next), next));
                        next += 1;
                    } else {
                        prop_assert_eq!(ring.pop(), naive.pop_front());
                    }
                }
                prop_assert_eq!(ring.len(), naive.len());
                prop_assert!(ring.iter().eq(naive.iter().map(|(_, item)| item)));
                for (handle, item) in &naive { prop_assert_eq!(ring.get(*handle), Some(item)); }
                prop_assert_eq!(ring.ahead(naive.len()), None);
            }
        }
    }
}
