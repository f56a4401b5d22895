//! What people will do, in order of time; at one moment in the order in which it was decided.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use csroute_engine::Micros;

/// Something to do. About a contact it names its place and a serial: a later serial there makes it void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// An item's place in time: when, then which was planned first. One number, so that one comparison orders two.
#[derive(Debug)]
struct Planned {
    order: u128,
    item: Item,
}

impl Planned {
    fn at(&self) -> Micros {
        (self.order >> 64) as Micros
    }
}

impl Ord for Planned {
    /// The earliest is the greatest: that is what a heap gives first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.order.cmp(&self.order)
    }
}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Planned {}

/// The items to come.
#[derive(Debug, Default)]
pub struct Agenda {
    heap: BinaryHeap<Planned>,
    made: u64,
}

impl Agenda {
    /// Adds one, at a time since the start.
    pub fn add(&mut self, at: Micros, item: Item) {
        self.made += 1;
        let order = (at.max(0) as u128) << 64 | u128::from(self.made);
        self.heap.push(Planned { order, item });
    }

    /// When the next is due.
    pub fn next(&self) -> Option<Micros> {
        self.heap.peek().map(Planned::at)
    }

    /// The next.
    pub fn pop(&mut self) -> Option<Item> {
        self.heap.pop().map(|planned| planned.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_of_time_then_of_planning() {
        let mut agenda = Agenda::default();
        for (at, agent) in [(5, 0), (3, 1), (5, 2), (0, 3), (3, 4)] {
            agenda.add(at, Item::Turn { agent });
        }
        let agents: Vec<Item> = std::iter::from_fn(|| agenda.pop()).collect();
        assert_eq!(agents, [3, 1, 4, 0, 2].map(|agent| Item::Turn { agent }));
    }
}
