//! The hand-off from many callers to the one writer: a queue that is taken whole, a block at a time.
//!
//! Its bounds are the node's (`in_flight_max` and `in_flight_bytes_max`); pushing never waits.
//!
//! ```
//! let queue = csroute_node::queue::Queue::default();
//! assert!(queue.push(|items| items.extend([1, 2])));
//! let mut block = Vec::new();
//! queue.take(&mut block, std::time::Duration::ZERO);
//! queue.close();
//! assert_eq!(block, [1, 2]);
//! assert!(!queue.push(|items| items.push(3)));
//! ```

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug)]
struct Inner<T> {
    items: Vec<T>,
    closed: bool,
    /// The writer sleeps: only then need it be woken.
    asleep: bool,
    /// Somebody woke it though nothing is queued; it may not have slept yet.
    woken: bool,
}

/// Many push, one takes.
#[derive(Debug)]
pub struct Queue<T> {
    inner: Mutex<Inner<T>>,
    pushed: Condvar,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                items: Vec::new(),
                closed: false,
                asleep: false,
                woken: false,
            }),
            pushed: Condvar::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Appends what `add` appends, with one wake-up. False when closed: then `add` was not called.
    pub fn push(&self, add: impl FnOnce(&mut Vec<T>)) -> bool {
        let mut inner = self.lock();
        if inner.closed {
            return false;
        }
        add(&mut inner.items);
        let wake = !inner.items.is_empty() && mem::take(&mut inner.asleep);
        drop(inner);
        if wake {
            self.pushed.notify_one();
        }
        true
    }

    /// Swaps all that is queued into `block`, which must be empty; waits at most so long for something. True while
    /// more may come.
    pub fn take(&self, block: &mut Vec<T>, wait: Duration) -> bool {
        debug_assert!(block.is_empty());
        let mut inner = self.lock();
        let woken = mem::take(&mut inner.woken);
        if inner.items.is_empty() && !inner.closed && !woken && !wait.is_zero() {
            inner.asleep = true;
            let waiting =
                |inner: &mut Inner<T>| inner.items.is_empty() && !inner.closed && inner.asleep && !inner.woken;
            let waited = self.pushed.wait_timeout_while(inner, wait, waiting);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
            (inner.asleep, inner.woken) = (false, false);
        }
        mem::swap(&mut inner.items, block);
        !inner.closed || !block.is_empty()
    }

    /// Wakes the writer though nothing is queued.
    pub fn wake(&self) {
        self.lock().woken = true;
        self.pushed.notify_one();
    }

    /// Takes no more; what is queued can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.pushed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // Nothing panics while it is held; a poisoned one is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn many_push_one_takes_each_once_in_each_ones_order() {
        const PUSHERS: u64 = 8;
        const ITEMS: u64 = 20_000;
        let queue = Queue::default();
        let mut taken: Vec<Vec<u64>> = vec![Vec::new(); PUSHERS as usize];
        thread::scope(|scope| {
            let pushers: Vec<_> = (0..PUSHERS)
                .map(|pusher| {
                    scope.spawn({
                        let queue = &queue;
                        move || (0..ITEMS).all(|item| queue.push(|items| items.push((pusher, item))))
                    })
                })
                .collect();
            scope.spawn(|| {
                for pusher in pushers {
                    assert!(pusher.join().expect("it pushes"));
                }
                queue.close();
            });
            let mut block = Vec::new();
            while queue.take(&mut block, Duration::from_secs(10)) {
                block
                    .drain(..)
                    .for_each(|(pusher, item): (u64, u64)| taken[pusher as usize].push(item));
            }
        });
        let all: Vec<u64> = (0..ITEMS).collect();
        assert!(taken.iter().all(|one| *one == all));
    }

    #[test]
    fn waits_no_longer_than_told() {
        let queue = Queue::<u8>::default();
        let started = std::time::Instant::now();
        assert!(queue.take(&mut Vec::new(), Duration::from_millis(20)));
        assert!(started.elapsed() >= Duration::from_millis(20));
        queue.close();
        assert!(!queue.take(&mut Vec::new(), Duration::from_secs(100)));
    }
}
