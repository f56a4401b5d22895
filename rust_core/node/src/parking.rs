//! Calls that wait for something, each with an end: nothing is polled, and none outstays its time.
//!
//! ```
//! let mut parking = csroute_node::parking::Parking::new(2);
//! let first = parking.park(30, "route").unwrap();
//! parking.park(10, "watch").unwrap();
//! assert_eq!(parking.park(20, "full"), Err("full"));
//! assert_eq!(parking.next_end(), Some(10));
//! assert_eq!(parking.ended(15).map(|(_, call)| call), Some("watch"));
//! assert_eq!((parking.ended(15), parking.take(first)), (None, Some("route")));
//! ```

use std::collections::BTreeSet;

use csroute_engine::Micros;
use slab::Slab;

/// A parked call's place.
pub type Place = usize;

/// Parked calls, at most so many.
#[derive(Debug)]
pub struct Parking<T> {
    calls: Slab<(Micros, T)>,
    ends: BTreeSet<(Micros, Place)>,
    calls_max: usize,
}

impl<T> Parking<T> {
    /// Empty.
    pub fn new(calls_max: usize) -> Self {
        Self {
            calls: Slab::new(),
            ends: BTreeSet::new(),
            calls_max,
        }
    }

    /// Parks a call until `end`; gives it back when there is no place.
    pub fn park(&mut self, end: Micros, call: T) -> Result<Place, T> {
        if self.calls.len() >= self.calls_max {
            return Err(call);
        }
        let place = self.calls.insert((end, call));
        self.ends.insert((end, place));
        Ok(place)
    }

    /// Takes a call out.
    pub fn take(&mut self, place: Place) -> Option<T> {
        let (end, call) = self.calls.try_remove(place)?;
        self.ends.remove(&(end, place));
        Some(call)
    }

    /// A parked call.
    pub fn get(&self, place: Place) -> Option<&T> {
        self.calls.get(place).map(|(_, call)| call)
    }

    /// Takes one call out whose end has come, the earliest first; with the place it had.
    pub fn ended(&mut self, now: Micros) -> Option<(Place, T)> {
        let &(end, place) = self.ends.first()?;
        if end > now {
            None
        } else {
            self.take(place).map(|call| (place, call))
        }
    }

    /// When the last ends.
    pub fn last_end(&self) -> Option<Micros> {
        self.ends.last().map(|&(end, _)| end)
    }

    /// All calls.
    pub fn into_calls(self) -> impl Iterator<Item = T> {
        self.calls.into_iter().map(|(_, (_, call))| call)
    }

    /// When the first ends.
    pub fn next_end(&self) -> Option<Micros> {
        self.ends.first().map(|&(end, _)| end)
    }

    /// How many are parked.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}
