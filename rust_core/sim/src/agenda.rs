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

/// A bucket's width: 2^20 µs, about a second.
const BUCKET_BITS: u32 = 20;
/// Buckets ahead: 4 h 46 min; what is later waits in a heap.
const BUCKETS: usize = 1 << 14;

/// The items to come. A night has a million of them: those of the present second are in a heap, the others lie unsorted in
/// a bucket a second until it comes.
#[derive(Debug)]
pub struct Agenda {
    near: BinaryHeap<Planned>,
    /// Buckets after the present one, by their number modulo `BUCKETS`.
    buckets: Vec<Vec<Planned>>,
    /// How many lie in them.
    bucketed: usize,
    /// The present bucket: all of it, and what is earlier, is near.
    present: i64,
    far: BinaryHeap<Planned>,
    made: u64,
}

impl Default for Agenda {
    fn default() -> Self {
        Self {
            near: BinaryHeap::new(),
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
            bucketed: 0,
            present: 0,
            far: BinaryHeap::new(),
            made: 0,
        }
    }
}

impl Agenda {
    /// Adds one, at a time since the start.
    pub fn add(&mut self, at: Micros, item: Item) {
        self.made += 1;
        let order = (at.max(0) as u128) << 64 | u128::from(self.made);
        self.put(Planned { order, item });
    }

    /// When the next is due.
    pub fn next(&mut self) -> Option<Micros> {
        self.advance();
        self.near.peek().map(Planned::at)
    }

    /// The next.
    pub fn pop(&mut self) -> Option<Item> {
        self.advance();
        self.near.pop().map(|planned| planned.item)
    }

    fn put(&mut self, planned: Planned) {
        let bucket = planned.at() >> BUCKET_BITS;
        if bucket <= self.present {
            self.near.push(planned);
        } else if bucket - self.present < BUCKETS as i64 {
            self.buckets[bucket as usize % BUCKETS].push(planned);
            self.bucketed += 1;
        } else {
            self.far.push(planned);
        }
    }

    /// If nothing is near: on to the next bucket with anything in it.
    fn advance(&mut self) {
        while self.near.is_empty() && (self.bucketed > 0 || !self.far.is_empty()) {
            self.present = match self.far.peek() {
                Some(first) if self.bucketed == 0 => first.at() >> BUCKET_BITS,
                _ => self.present + 1,
            };
            let bucket = &mut self.buckets[self.present as usize % BUCKETS];
            self.bucketed -= bucket.len();
            self.near.extend(bucket.drain(..));
            let ahead = self.present + BUCKETS as i64;
            while self.far.peek().is_some_and(|first| first.at() >> BUCKET_BITS < ahead) {
                if let Some(first) = self.far.pop() {
                    self.put(first);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{Purpose, uniform};

    #[test]
    fn in_order_of_time_then_of_planning() {
        let mut agenda = Agenda::default();
        for (at, agent) in [(5, 0), (3, 1), (5, 2), (0, 3), (3, 4)] {
            agenda.add(at, Item::Turn { agent });
        }
        let agents: Vec<Item> = std::iter::from_fn(|| agenda.pop()).collect();
        assert_eq!(agents, [3, 1, 4, 0, 2].map(|agent| Item::Turn { agent }));
    }

    #[test]
    fn near_and_far_it_is_one_order() {
        let mut agenda = Agenda::default();
        let mut expected = Vec::new();
        let mut now = 0;
        for number in 0..20_000u32 {
            let ahead = draw_ahead(number);
            agenda.add(now + ahead, Item::Turn { agent: number });
            expected.push((now + ahead, number));
            if number % 2 == 1 {
                let first = expected.iter().copied().min().expect("there is one");
                expected.retain(|one| *one != first);
                assert_eq!(agenda.next(), Some(first.0));
                assert_eq!(agenda.pop(), Some(Item::Turn { agent: first.1 }));
                now = first.0;
            }
            if expected.len() > 500 {
                expected.sort_unstable();
                for (at, agent) in expected.drain(..) {
                    assert_eq!((agenda.next(), agenda.pop()), (Some(at), Some(Item::Turn { agent })));
                    now = at;
                }
            }
        }
    }

    /// Now, soon, in hours, in days.
    fn draw_ahead(number: u32) -> Micros {
        let share = uniform(3, Purpose::Work, u64::from(number), 0);
        let most = [0.0, 1e6, 3e9, 4e11][number as usize % 4];
        (share * most) as Micros
    }
}
