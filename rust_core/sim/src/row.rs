//! What comes in and goes out: fixed-width records, little-endian, one to one with numpy's structured arrays.

use csroute_engine::Micros;

/// A ticket that arrives. 32 bytes: at, kind, customer, patience, work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Since the start, never going back.
    pub at: Micros,
    /// A place in `Setup::kinds`.
    pub kind: u32,
    /// 0: nobody known.
    pub customer: u32,
    /// −1: drawn.
    pub patience: Micros,
    /// −1: drawn. The agent's pace stretches it either way.
    pub work: Micros,
}

/// Bytes of an `Arrival`.
pub const ARRIVAL_BYTES: usize = 32;
/// Bytes of a `Row`.
pub const ROW_BYTES: usize = 72;

impl Arrival {
    /// Reads all of them. What is no whole record at the end is left out; callers check the length.
    pub fn read(bytes: &[u8]) -> impl Iterator<Item = Arrival> {
        let number = |record: &[u8], from: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&record[from..from + 8]);
            i64::from_le_bytes(eight)
        };
        bytes.chunks_exact(ARRIVAL_BYTES).map(move |record| {
            let pair = number(record, 8) as u64;
            Arrival {
                at: number(record, 0),
                kind: pair as u32,
                customer: (pair >> 32) as u32,
                patience: number(record, 16),
                work: number(record, 24),
            }
        })
    }
}

/// How a ticket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Outcome {
    /// It had not, when the simulation stopped.
    #[default]
    Open = 0,
    /// Somebody finished it.
    Done = 1,
    /// The customer left.
    Abandoned = 2,
    /// A step sent it elsewhere.
    Overflowed = 3,
    /// The engine would not take it: a bound was reached.
    Refused = 4,
}

/// What became of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Row {
    /// The arrival's number, from 0.
    pub ticket: u64,
    /// Since the start.
    pub arrival: Micros,
    /// Until the first answer; without one, until it left or the simulation stopped.
    pub wait: Micros,
    /// In agents' hands, wrap-up not counted.
    pub handle: Micros,
    pub wrap_up: Micros,
    pub kind: u32,
    /// The engine's number of its last class.
    pub class: u32,
    /// Who answered first; −1: nobody.
    pub agent: i32,
    /// Bits by clock, in the policy's order.
    pub clocks_met: u32,
    pub clocks_missed: u32,
    /// A place in the simulation's queue names, or `NO_QUEUE`.
    pub queue: u16,
    pub outcome: Outcome,
    /// Contacts of the same customer about the same matter before this one.
    pub contact: u8,
    /// The last step taken; 0: none.
    pub step: u8,
    /// Offers and assignments.
    pub attempts: u8,
    pub declines: u8,
    pub missed: u8,
    pub transfers: u8,
    pub answered: bool,
}

impl Row {
    /// Appends its bytes: `ROW_BYTES` of them.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ticket.to_le_bytes());
        for time in [self.arrival, self.wait, self.handle, self.wrap_up] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        for number in [
            self.kind,
            self.class,
            self.agent as u32,
            self.clocks_met,
            self.clocks_missed,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.queue.to_le_bytes());
        out.extend_from_slice(&[
            self.outcome as u8,
            self.contact,
            self.step,
            self.attempts,
            self.declines,
            self.missed,
            self.transfers,
            self.answered.into(),
        ]);
        out.extend_from_slice(&[0; 2]);
    }
}
