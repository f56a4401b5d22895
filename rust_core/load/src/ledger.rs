//! What this process was told of each ticket, outside the server: nothing lost, nothing twice.
//!
//! ```
//! use csroute_load::ledger::{Ledger, NEVER_SENT, NO_ANSWER};
//! let mut ledger = Ledger::new("run7", 2);
//! let first = ledger.next(3).unwrap();
//! assert_eq!((first, ledger.id(first).as_str()), (0, "run7.02-00000000"));
//! assert_eq!(ledger.named(b"run7.02-00000001"), Some((2, 1)));
//! ledger.given(1, 5);
//! ledger.assigned(2, 1);
//! ledger.completed(2, 1);
//! assert_eq!(ledger.of_own(), [NO_ANSWER, 5, NO_ANSWER]);
//! assert_eq!(ledger.told()[&2].completed[..3], [0, 1, 0]);
//! assert_ne!(NO_ANSWER, NEVER_SENT);
//! ```

use std::collections::BTreeMap;

/// A mark: the ticket was not sent.
pub const NEVER_SENT: u8 = 0;
/// A mark: it was refused. Any other is the state that was answered.
pub const REFUSED: u8 = 0xFF;
/// A mark: it was sent, and nobody knows.
pub const NO_ANSWER: u8 = 0xFE;

const DIGITS: usize = 8;
/// Tickets of one process.
pub const TICKETS_MAX: usize = 100_000_000;
const ROOM: usize = 65_536;

/// What a desk heard of one process's tickets: how often each.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Told {
    /// Given to an agent.
    pub assigned: Vec<u8>,
    /// A completion was acknowledged, not as a repetition.
    pub completed: Vec<u8>,
}

/// The ledger of a process.
#[derive(Debug)]
pub struct Ledger {
    run: String,
    process: u16,
    given: Vec<u8>,
    told: BTreeMap<u16, Told>,
    /// Tickets heard of that are not of this run.
    pub strangers: u64,
}

impl Ledger {
    /// Tickets are named `run.process-number`.
    pub fn new(run: &str, process: u16) -> Self {
        Self {
            run: run.into(),
            process,
            given: Vec::new(),
            told: BTreeMap::new(),
            strangers: 0,
        }
    }

    /// Numbers for so many new tickets: the first. None: there are no more.
    pub fn next(&mut self, count: usize) -> Option<usize> {
        let first = self.given.len();
        if first + count > TICKETS_MAX {
            return None;
        }
        self.given.resize(first + count, NO_ANSWER);
        Some(first)
    }

    /// A ticket's id: all of a run are equally long.
    pub fn id(&self, number: usize) -> String {
        format!("{}.{:02}-{number:08}", self.run, self.process)
    }

    /// What an id names: (process, number).
    pub fn named(&self, id: &[u8]) -> Option<(u16, usize)> {
        let rest = id.strip_prefix(self.run.as_bytes())?.strip_prefix(b".")?;
        let (process, number) = rest.split_at_checked(rest.len().checked_sub(DIGITS + 1)?)?;
        let read = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u32>().ok();
        let number = read(number.strip_prefix(b"-")?)? as usize;
        Some((u16::try_from(read(process)?).ok()?, number))
    }

    /// One of ours was answered so.
    pub fn given(&mut self, number: usize, mark: u8) {
        if let Some(place) = self.given.get_mut(number) {
            *place = mark;
        }
    }

    /// A ticket was given to an agent: whether for the first time.
    pub fn assigned(&mut self, process: u16, number: usize) -> bool {
        count(&mut self.told.entry(process).or_default().assigned, number) == 1
    }

    /// A completion was acknowledged.
    pub fn completed(&mut self, process: u16, number: usize) {
        count(&mut self.told.entry(process).or_default().completed, number);
    }

    /// The marks of our own tickets.
    pub fn of_own(&self) -> &[u8] {
        &self.given
    }

    /// What was heard of tickets, by the process that sent them.
    pub fn told(&self) -> &BTreeMap<u16, Told> {
        &self.told
    }
}

fn count(marks: &mut Vec<u8>, number: usize) -> u8 {
    if number >= marks.len() {
        marks.resize(number + ROOM, 0);
    }
    marks[number] = marks[number].saturating_add(1);
    marks[number]
}
