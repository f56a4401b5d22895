//! Between the writer's thread and the door's: answers cross a block at a time, with one wake-up.
//!
//! Several doors share a node: the tokens of this one have their highest bit set, and whoever is the node's sink hands
//! over what is ours.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use csroute_node::{Completion, Sink};
use tokio::sync::Notify;

/// The mark of this door's tokens.
pub const NATIVE: u64 = 1 << 63;

/// Answers that the door has not taken yet. How many is bounded by the node: its calls in flight, and those parked.
#[derive(Debug, Default)]
pub struct Mail {
    answers: Mutex<Vec<Completion>>,
    came: Notify,
}

impl Mail {
    /// Takes all that is ours out of a block.
    pub fn sort_out(&self, block: &mut Vec<Completion>) {
        if block.iter().all(|answer| answer.token & NATIVE != 0) {
            return self.add(block);
        }
        let mut ours: Vec<_> = block.extract_if(.., |answer| answer.token & NATIVE != 0).collect();
        self.add(&mut ours);
    }

    fn add(&self, block: &mut Vec<Completion>) {
        if block.is_empty() {
            return;
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let wake = answers.is_empty();
        if wake && answers.capacity() < block.len() {
            mem::swap(&mut *answers, block);
        } else {
            answers.append(block);
        }
        drop(answers);
        if wake {
            self.came.notify_one();
        }
    }

    /// Swaps what has come into `block`, which must be empty; waits until there is something.
    pub(crate) async fn take(&self, block: &mut Vec<Completion>) {
        loop {
            mem::swap(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner), block);
            if !block.is_empty() {
                return;
            }
            self.came.notified().await;
        }
    }
}

/// The sink of a node with no other door.
pub struct Inbox(pub Arc<Mail>);

impl Sink for Inbox {
    fn deliver(&self, block: &mut Vec<Completion>) {
        self.0.sort_out(block);
        block.clear();
    }
}
