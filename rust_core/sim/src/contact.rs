//! The tickets under way, by place and by name.

use csroute_engine::Micros;
use rustc_hash::FxHashMap;
use smol_str::{SmolStr, format_smolstr};

use crate::row::Row;

/// Contacts of one customer about one matter fit beside the arrival's number in a key.
const CONTACT_BITS: u32 = 4;

/// A contact's own number: streams of random numbers and names go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u64);

impl Key {
    /// The arrival's number, and how many contacts came before.
    pub fn new(ticket: u64, contact: u8) -> Self {
        Self(ticket << CONTACT_BITS | u64::from(contact))
    }

    /// The ticket's id: `41`; its second contact: `41.1`.
    pub fn id(self) -> SmolStr {
        let contact = self.0 & ((1 << CONTACT_BITS) - 1);
        let ticket = self.0 >> CONTACT_BITS;
        if contact == 0 {
            format_smolstr!("{ticket}")
        } else {
            format_smolstr!("{ticket}.{contact}")
        }
    }

    /// Back from the id.
    pub fn of(id: &str) -> Option<Self> {
        let (mut ticket, mut contact, mut dot) = (0u64, 0u64, false);
        for byte in id.bytes() {
            match byte {
                b'0'..=b'9' if dot => contact = contact * 10 + u64::from(byte - b'0'),
                b'0'..=b'9' => ticket = ticket * 10 + u64::from(byte - b'0'),
                b'.' => dot = true,
                _ => return None,
            }
        }
        Some(Self::new(ticket, contact as u8))
    }
}

/// What a contact is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Waiting,
    Offered,
    Active,
    Wrapping,
}

/// A ticket under way.
#[derive(Debug, Clone)]
pub struct Contact {
    pub key: Key,
    pub id: SmolStr,
    pub customer: u32,
    pub phase: Phase,
    /// Whoever holds it, while not waiting.
    pub agent: u32,
    pub attempt: u32,
    /// What is planned for the present attempt holds this number.
    pub serial: u32,
    /// What is planned for the customer's leaving holds this one.
    pub leaving: u32,
    /// As given with the arrival; −1: drawn.
    pub patience: Micros,
    pub work: Micros,
    /// When the present work began; then when wrap-up did.
    pub began: Micros,
    pub row: Row,
}

/// All of them. A free place keeps its last contact, with `id` empty.
#[derive(Debug, Default)]
pub struct Contacts {
    places: Vec<Contact>,
    free: Vec<u32>,
    by_key: FxHashMap<Key, u32>,
    /// The place asked for last: what a command raises is nearly always about one ticket.
    last: u32,
}

impl Contacts {
    /// Puts one in a free place.
    pub fn add(&mut self, contact: Contact) -> u32 {
        let place = self.free.pop().unwrap_or(self.places.len() as u32);
        self.by_key.insert(contact.key, place);
        match self.places.get_mut(place as usize) {
            Some(free) => *free = contact,
            None => self.places.push(contact),
        }
        self.last = place;
        place
    }

    /// Takes it out; `get` finds it no more.
    pub fn remove(&mut self, place: u32) {
        let contact = &mut self.places[place as usize];
        contact.id = SmolStr::default();
        self.by_key.remove(&contact.key);
        self.free.push(place);
    }

    /// By the engine's name for it.
    pub fn find(&mut self, id: &str) -> Option<u32> {
        let last = self.last;
        if !id.is_empty() && self.places.get(last as usize).is_some_and(|contact| contact.id == id) {
            return Some(last);
        }
        let place = self.by_key.get(&Key::of(id)?).copied()?;
        self.last = place;
        Some(place)
    }

    /// By place.
    pub fn get(&mut self, place: u32) -> Option<&mut Contact> {
        self.places
            .get_mut(place as usize)
            .filter(|contact| !contact.id.is_empty())
    }

    /// By place, to look at.
    pub fn at(&self, place: u32) -> Option<&Contact> {
        self.places.get(place as usize).filter(|contact| !contact.id.is_empty())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// All that are left, by key.
    pub fn drain(&mut self) -> Vec<Contact> {
        let mut left = std::mem::take(&mut self.places);
        left.retain(|contact| !contact.id.is_empty());
        left.sort_unstable_by_key(|contact| contact.key);
        self.free.clear();
        self.by_key.clear();
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_id() {
        for (ticket, contact, id) in [(0, 0, "0"), (41, 0, "41"), (306_000_000, 8, "306000000.8")] {
            let key = Key::new(ticket, contact);
            assert_eq!(key.id(), id);
            assert_eq!(Key::of(id), Some(key));
        }
        assert_eq!(Key::of("t1"), None);
    }
}
