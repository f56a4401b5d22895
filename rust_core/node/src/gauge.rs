//! How much there is of something bounded: counted from any thread.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How much there is of something bounded.
pub(crate) struct Gauge {
    now: AtomicUsize,
    max: AtomicUsize,
}

impl Gauge {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            now: AtomicUsize::new(0),
            max: AtomicUsize::new(max),
        }
    }

    /// False, and nothing is taken, past the bound.
    pub(crate) fn take(&self, amount: usize) -> bool {
        let fits = self.now.fetch_add(amount, Ordering::Relaxed) + amount <= self.max();
        if !fits {
            self.give(amount);
        }
        fits
    }

    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    pub(crate) fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    pub(crate) fn give(&self, amount: usize) {
        self.now.fetch_sub(amount, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }
}
