//! The agents of one profile in one order of choice: an indexed binary heap, its keys beside it in memory.

/// What an agent is chosen by: the components of the order, then the agent's sequence.
pub(crate) type Key = ([i64; 3], u64);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) key: Key,
    pub(crate) agent: u32,
    /// The channels that are open to this agent for a ticket of their own cost, a bit each.
    pub(crate) open: u64,
}

/// used ÷ capacity as a whole number, so that loads compare across profiles. Different shares differ by more than
/// 1 ÷ `UNITS_MAX`², which is more than 2⁻⁴⁰: they stay different.
pub(crate) fn load_share(used: u32, capacity: u32) -> i64 {
    (i64::from(used) << 40) / i64::from(capacity.max(1))
}

impl Item {
    /// In place of the first of an empty heap.
    pub(crate) const NOBODY: Self = Self {
        key: ([i64::MAX; 3], u64::MAX),
        agent: u32::MAX,
        open: 0,
    };

    /// The first two components of the key as one number; none is below 0.
    pub(crate) fn first(&self) -> u128 {
        let [first, second, _] = self.key.0;
        u128::from(first as u64) << 64 | u128::from(second as u64)
    }
}

/// Smallest key first. `moved(agent, place)` tells where each agent stands after a change.
#[derive(Debug, Default, Clone)]
pub(crate) struct Heap {
    items: Vec<Item>,
}

impl Heap {
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(crate) fn push(&mut self, item: Item, moved: &mut impl FnMut(u32, u32)) {
        self.items.push(item);
        self.up(self.items.len() - 1, moved);
    }

    pub(crate) fn set(&mut self, place: u32, item: Item, moved: &mut impl FnMut(u32, u32)) {
        let place = place as usize;
        let before = self.items[place].key;
        self.items[place] = item;
        if item.key < before {
            self.up(place, moved);
        } else {
            self.down(place, moved);
        }
    }

    pub(crate) fn remove(&mut self, place: u32, moved: &mut impl FnMut(u32, u32)) {
        let place = place as usize;
        self.items.swap_remove(place);
        if place < self.items.len() {
            let agent = self.items[place].agent;
            self.up(place, moved);
            if self.items[place].agent == agent {
                self.down(place, moved);
            }
        }
    }

    fn up(&mut self, mut place: usize, moved: &mut impl FnMut(u32, u32)) {
        let item = self.items[place];
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.items[parent].key <= item.key {
                break;
            }
            self.items[place] = self.items[parent];
            moved(self.items[place].agent, place as u32);
            place = parent;
        }
        self.items[place] = item;
        moved(item.agent, place as u32);
    }

    fn down(&mut self, mut place: usize, moved: &mut impl FnMut(u32, u32)) {
        let item = self.items[place];
        loop {
            let mut child = 2 * place + 1;
            if child >= self.items.len() {
                break;
            }
            if child + 1 < self.items.len() && self.items[child + 1].key < self.items[child].key {
                child += 1;
            }
            if item.key <= self.items[child].key {
                break;
            }
            self.items[place] = self.items[child];
            moved(self.items[place].agent, place as u32);
            place = child;
        }
        self.items[place] = item;
        moved(item.agent, place as u32);
    }

    /// The first agent, in order, for whom `fits` holds. One look in the usual case; else it walks down in order.
    pub(crate) fn first(&self, mut fits: impl FnMut(&Item) -> bool) -> Option<&Item> {
        let top = self.items.first()?;
        if fits(top) {
            return Some(top);
        }
        let mut frontier = std::collections::BinaryHeap::new();
        let children = |place: usize| [2 * place + 1, 2 * place + 2];
        let push = |frontier: &mut std::collections::BinaryHeap<_>, place: usize| {
            for child in children(place) {
                if let Some(item) = self.items.get(child) {
                    frontier.push(std::cmp::Reverse((item.key, child)));
                }
            }
        };
        push(&mut frontier, 0);
        while let Some(std::cmp::Reverse((_, place))) = frontier.pop() {
            if fits(&self.items[place]) {
                return Some(&self.items[place]);
            }
            push(&mut frontier, place);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::limits::UNITS_MAX;

    proptest! {
        #[test]
        fn shares_order_as_fractions_do(a in 0u32..=UNITS_MAX, b in 1u32..=UNITS_MAX, c in 0u32..=UNITS_MAX, d in 1u32..=UNITS_MAX) {
            let crossed = (u64::from(a) * u64::from(d)).cmp(&(u64::from(c) * u64::from(b)));
            prop_assert_eq!(load_share(a, b).cmp(&load_share(c, d)), crossed);
        }

        #[test]
        fn behaves_like_a_sorted_map(steps in prop::collection::vec((0u8..3, 0u32..30, 0i64..20), 1..400)) {
            let mut heap = Heap::default();
            let mut places: BTreeMap<u32, u32> = BTreeMap::new();
            let mut naive: BTreeMap<u32, Key> = BTreeMap::new();
            for (what, agent, value) in steps {
                let key = ([value, 0, 0], u64::from(agent));
                let mut moved = |agent, place| { places.insert(agent, place); };
                match (what, naive.contains_key(&agent)) {
                    (0, false) => { heap.push(Item { key, agent, open: 0 }, &mut moved); naive.insert(agent, key); }
                    (1, true) => { heap.set(places[&agent], Item { key, agent, open: 0 }, &mut |agent, place| { places.insert(agent, place); }); naive.insert(agent, key); }
                    (2, true) => {
                        let place = places[&agent];
                        heap.remove(place, &mut |agent, place| { places.insert(agent, place); });
                        naive.remove(&agent);
                    }
                    _ => {}
                }
                let odd = |agent: u32| agent % 2 == 1;
                let expected = naive.iter().filter(|(agent, _)| odd(**agent)).min_by_key(|(_, key)| **key).map(|(agent, _)| *agent);
                prop_assert_eq!(heap.first(|item| odd(item.agent)).map(|item| item.agent), expected);
                prop_assert_eq!(heap.items().len(), naive.len());
                for (agent, key) in &naive { prop_assert_eq!(heap.items()[places[agent] as usize].key, *key); }
            }
        }
    }
}
