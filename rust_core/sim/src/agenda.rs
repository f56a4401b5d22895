//! What people will do, in order of time; at one moment in the order in which it was decided.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use csroute_engine::Micros;

/// Something to do. About a contact it names its place and a serial: a later serial there makes it void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// The agent's presence may have to be another: by the roster, or because the last ticket after a shift is done.
    Turn { agent: u32 },
    /// The offer is answered.
    Answer { contact: u32, serial: u32 },
    /// A moment is marked.
    Mark { contact: u32, serial: u32, mark: u8 },
    /// The work is done.
    Finish { contact: u32, serial: u32 },
    /// It is written up.
    WrittenUp { contact: u32, serial: u32 },
    /// The customer's patience ends.
    Leave { contact: u32, serial: u32 },
    /// The customer is back.
    Return { place: u32 },
    /// The session's lease is renewed.
    Renew,
}

/// The items to come.
#[derive(Debug, Default)]
pub struct Agenda {
    heap: BinaryHeap<Reverse<(Micros, u64, Item)>>,
    made: u64,
}

impl Agenda {
    /// Adds one.
    pub fn add(&mut self, at: Micros, item: Item) {
        self.made += 1;
        self.heap.push(Reverse((at, self.made, item)));
    }

    /// When the next is due.
    pub fn next(&self) -> Option<Micros> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// The next.
    pub fn pop(&mut self) -> Option<Item> {
        self.heap.pop().map(|Reverse((_, _, item))| item)
    }
}
