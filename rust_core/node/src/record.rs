//! What the node takes in, as bytes: the records that its journal is made of. Replay is the same node fed with them.
//!
//! Everything that changes what is decided later is one of these, in the order in which it was applied: nothing else,
//! no clock and no setting, is needed to come to the same state and the same events.
//!
//! | kind | record | after the kind (one byte) and the tenant (text) |
//! |---|---|---|
//! | 1 | `Write` | now (number), caller (text), method (number), the request's own bytes to the record's end |
//! | 2 | `Advance` | until (number), most timers (number): so many timers due until then fired |
//! | 3 | `Resume` | now (number), grace in ms (number): the node came back after a stop |
//! | 4 | `Drain` | now (number), caller (text), on (0 or 1): the tenant takes no new tickets, or takes them again |
//! | 5 | `GiveBack` | nothing: the tenant was empty and idle; its sequences begin anew if it comes again |
//!
//! A number is a base-128 varint, as protobuf's; times are Unix µs. A text is its length (number) and its UTF-8 bytes.
//! Kinds never change their meaning: what must be said otherwise gets another kind. The journal frames a record, so it
//! does not hold its own length.
//!
//! ```
//! use csroute_node::record::Record;
//! let drained = Record::Drain { tenant: "shop", now: 7, caller: "ops", on: true };
//! let mut bytes = Vec::new();
//! drained.encode(&mut bytes);
//! assert_eq!(Record::decode(&bytes)?, drained);
//! # Ok::<(), csroute_node::record::BadRecord>(())
//! ```

use csroute_engine::{Micros, Millis};
use prost::encoding::{decode_varint, encode_varint};

/// One thing that the node took in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Record<'a> {
    /// A request whose commands were applied.
    Write {
        tenant: &'a str,
        now: Micros,
        caller: &'a str,
        method: u16,
        request: &'a [u8],
    },
    /// Timers fired, though nobody asked, or because somebody read.
    Advance {
        tenant: &'a str,
        until: Micros,
        timers_max: u32,
    },
    /// The node came back.
    Resume {
        tenant: &'a str,
        now: Micros,
        grace: Millis,
    },
    /// The tenant takes no new tickets, or takes them again.
    Drain {
        tenant: &'a str,
        now: Micros,
        caller: &'a str,
        on: bool,
    },
    /// The tenant was given back.
    GiveBack { tenant: &'a str },
}

/// The bytes are no record of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRecord(&'static str);

impl BadRecord {
    pub(crate) const NAME: Self = Self("an event stands under a name of no known kind");
}

const WRITE: u8 = 1;
const ADVANCE: u8 = 2;
const RESUME: u8 = 3;
const DRAIN: u8 = 4;
const GIVE_BACK: u8 = 5;

impl<'a> Record<'a> {
    /// Whose it is.
    pub fn tenant(&self) -> &'a str {
        match *self {
            Record::Write { tenant, .. }
            | Record::Advance { tenant, .. }
            | Record::Resume { tenant, .. }
            | Record::Drain { tenant, .. }
            | Record::GiveBack { tenant } => tenant,
        }
    }

    /// The time it was stamped with, if it was.
    pub fn now(&self) -> Option<Micros> {
        match *self {
            Record::Write { now, .. }
            | Record::Advance { until: now, .. }
            | Record::Resume { now, .. }
            | Record::Drain { now, .. } => Some(now),
            Record::GiveBack { .. } => None,
        }
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let head = |out: &mut Vec<u8>, kind, tenant: &str| {
            out.push(kind);
            put_text(out, tenant);
        };
        match *self {
            Record::Write {
                tenant,
                now,
                caller,
                method,
                request,
            } => {
                head(out, WRITE, tenant);
                put(out, now);
                put_text(out, caller);
                encode_varint(method.into(), out);
                out.extend_from_slice(request);
            }
            Record::Advance {
                tenant,
                until,
                timers_max,
            } => {
                head(out, ADVANCE, tenant);
                put(out, until);
                encode_varint(timers_max.into(), out);
            }
            Record::Resume { tenant, now, grace } => {
                head(out, RESUME, tenant);
                put(out, now);
                put(out, grace);
            }
            Record::Drain {
                tenant,
                now,
                caller,
                on,
            } => {
                head(out, DRAIN, tenant);
                put(out, now);
                put_text(out, caller);
                out.push(on.into());
            }
            Record::GiveBack { tenant } => head(out, GIVE_BACK, tenant),
        }
    }

    /// Reads a record's bytes, all of them.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, BadRecord> {
        let (&kind, mut rest) = bytes.split_first().ok_or(BadRecord("it is empty"))?;
        let from = &mut rest;
        let tenant = text(from)?;
        let record = match kind {
            WRITE => Record::Write {
                tenant,
                now: number(from)?,
                caller: text(from)?,
                method: number(from)?,
                request: std::mem::take(from),
            },
            ADVANCE => Record::Advance {
                tenant,
                until: number(from)?,
                timers_max: number(from)?,
            },
            RESUME => Record::Resume {
                tenant,
                now: number(from)?,
                grace: number(from)?,
            },
            DRAIN => Record::Drain {
                tenant,
                now: number(from)?,
                caller: text(from)?,
                on: number::<u8>(from)? != 0,
            },
            GIVE_BACK => Record::GiveBack { tenant },
            _ => return Err(BadRecord("its kind is unknown: a newer csroute wrote it")),
        };
        if rest.is_empty() {
            Ok(record)
        } else {
            Err(BadRecord("it has bytes past its end"))
        }
    }
}

/// Appends a number. Times and durations are never negative here: the engine's time starts at 0.
pub(crate) fn put(out: &mut Vec<u8>, value: i64) {
    encode_varint(value as u64, out);
}

/// Appends a text.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// Appends bytes, with their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Takes a number.
pub(crate) fn number<T: FromBits>(from: &mut &[u8]) -> Result<T, BadRecord> {
    let value = decode_varint(from).map_err(|_| BadRecord("a number does not end"))?;
    T::from_bits(value).ok_or(BadRecord("a number is out of its range"))
}

/// Takes bytes by their length.
pub(crate) fn bytes<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], BadRecord> {
    let length: usize = number(from)?;
    let (taken, rest) = from
        .split_at_checked(length)
        .ok_or(BadRecord("it ends in the middle of a text"))?;
    *from = rest;
    Ok(taken)
}

/// Takes so many bytes.
pub(crate) fn take<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], BadRecord> {
    let (taken, rest) = from
        .split_first_chunk()
        .ok_or(BadRecord("it ends in the middle of a number"))?;
    *from = rest;
    Ok(*taken)
}

/// Takes a text.
pub(crate) fn text<'a>(from: &mut &'a [u8]) -> Result<&'a str, BadRecord> {
    std::str::from_utf8(bytes(from)?).map_err(|_| BadRecord("a text is not UTF-8"))
}

/// A number of a width: an i64 by its bits, all others by their range.
pub(crate) trait FromBits: Sized {
    fn from_bits(bits: u64) -> Option<Self>;
}

macro_rules! from_range {
    ($($type:ty),*) => {$(
        impl FromBits for $type {
            fn from_bits(bits: u64) -> Option<Self> {
                bits.try_into().ok()
            }
        }
    )*};
}

from_range!(u8, u16, u32, usize, u64);

impl FromBits for i64 {
    fn from_bits(bits: u64) -> Option<Self> {
        Some(bits as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(record: &Record<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            tenant in ".{0,20}", caller in ".{0,20}", now: i64, number: u32, on: bool,
            request in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let (tenant, caller) = (tenant.as_str(), caller.as_str());
            for record in [
                Record::Write { tenant, now, caller, method: number as u16, request: &request },
                Record::Advance { tenant, until: now, timers_max: number },
                Record::Resume { tenant, now, grace: i64::from(number) },
                Record::Drain { tenant, now, caller, on },
                Record::GiveBack { tenant },
            ] {
                let bytes = encoded(&record);
                prop_assert_eq!(Record::decode(&bytes), Ok(record));
                if !matches!(record, Record::Write { .. }) {
                    for end in 0..bytes.len() {
                        prop_assert!(Record::decode(&bytes[..end]).is_err(), "cut at {}", end);
                    }
                    prop_assert!(Record::decode(&[&bytes[..], &[0]].concat()).is_err());
                }
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Record::decode(&bytes);
        }
    }

    /// The numbers that the format promises.
    #[test]
    fn the_format_stays() {
        let write = Record::Write {
            tenant: "t",
            now: 300,
            caller: "me",
            method: 1001,
            request: b"\x0a\x00",
        };
        assert_eq!(encoded(&write), b"\x01\x01t\xac\x02\x02me\xe9\x07\x0a\x00");
        assert_eq!(encoded(&Record::GiveBack { tenant: "t" }), b"\x05\x01t");
    }
}
