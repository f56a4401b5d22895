//! What stands in a tenant's ring: events that were just raised, and those that a snapshot kept, already encoded.
//!
//! A snapshot keeps the ring's newest, so that a watcher whose token is a little older than it goes on without a gap.
//!
//! | a kept event | |
//! |---|---|
//! | number | its sequence |
//! | number, then so many pairs | axis (number: 0 source, 1 queue, 2 session) and name (text) that it stands under |
//! | bytes | the `Event` message |
//!
//! ```
//! # use csroute_engine::{Event, EventKind};
//! # let event = Event { sequence: 7, at: 1, policy_version: 0, ticket: "t".into(), source: "g".into(), queue: "".into(),
//! #     class: 0, agent: "".into(), session: "".into(), attempt: 0, kind: EventKind::Resumed };
//! use csroute_node::ring::Item;
//! let (mut bytes, live) = (Vec::new(), Item::from(event));
//! live.save(&mut bytes);
//! let kept = Item::load(&mut &bytes[..])?;
//! let encoded = |item: &Item| { let mut out = Vec::new(); item.encode(1, &mut out); out };
//! assert_eq!((kept.sequence(), encoded(&kept)), (7, encoded(&live)));
//! # Ok::<(), csroute_node::record::BadRecord>(())
//! ```

use csroute_engine::{Event, EventKind};
use csroute_wire::encode_event;
use prost::encoding::{WireType, encode_key, encode_varint};
use smol_str::SmolStr;

use crate::feed::Axis;
use crate::record::{BadRecord, bytes, number, put_bytes, put_text, text};

/// Names that an event stands under, at most: source, queue, session, and the session that it left.
const NAMES_MAX: usize = 4;

/// One event.
#[derive(Debug)]
pub enum Item {
    /// Raised by the engine.
    Live(Event),
    /// As a snapshot kept it.
    Kept {
        /// Its sequence.
        sequence: u64,
        /// What it stands under.
        names: Vec<(Axis, SmolStr)>,
        /// Its message, without a field's head.
        message: Box<[u8]>,
    },
}

impl From<Event> for Item {
    fn from(event: Event) -> Self {
        Item::Live(event)
    }
}

impl Item {
    /// Its sequence.
    pub fn sequence(&self) -> u64 {
        match self {
            Item::Live(event) => event.sequence,
            Item::Kept { sequence, .. } => *sequence,
        }
    }

    /// The names that it stands under.
    pub fn names(&self) -> impl Iterator<Item = (Axis, &SmolStr)> {
        let (live, kept) = match self {
            Item::Live(event) => (Some(names(event)), None),
            Item::Kept { names, .. } => (None, Some(names.iter().map(|(axis, name)| (*axis, name)))),
        };
        live.into_iter().flatten().chain(kept.into_iter().flatten())
    }

    /// Appends it as a field of a message.
    pub fn encode(&self, field: u32, out: &mut Vec<u8>) {
        match self {
            Item::Live(event) => encode_event(event, field, out),
            Item::Kept { message, .. } => {
                encode_key(field, WireType::LengthDelimited, out);
                encode_varint(message.len() as u64, out);
                out.extend_from_slice(message);
            }
        }
    }

    /// Appends it for a snapshot.
    pub fn save(&self, out: &mut Vec<u8>) {
        encode_varint(self.sequence(), out);
        encode_varint(self.names().count() as u64, out);
        for (axis, name) in self.names() {
            encode_varint(axis as u64, out);
            put_text(out, name);
        }
        let mut field = Vec::new();
        self.encode(1, &mut field);
        // The field's head is its number (one byte) and its length; what follows is the message.
        let mut rest = field.get(1..).unwrap_or_default();
        put_bytes(out, bytes(&mut rest).unwrap_or_default());
    }

    /// Reads one.
    pub fn load(from: &mut &[u8]) -> Result<Self, BadRecord> {
        let sequence = number(from)?;
        let count: usize = number(from)?;
        let pair = |from: &mut &[u8]| {
            let axis = match number::<u8>(from)? {
                0 => Axis::Source,
                1 => Axis::Queue,
                2 => Axis::Session,
                _ => return Err(BadRecord::NAME),
            };
            Ok((axis, SmolStr::from(text(from)?)))
        };
        let names = (0..count.min(NAMES_MAX))
            .map(|_| pair(from))
            .collect::<Result<_, _>>()?;
        Ok(Item::Kept {
            sequence,
            names,
            message: bytes(from)?.into(),
        })
    }
}

/// The names that an event stands under.
fn names(event: &Event) -> impl Iterator<Item = (Axis, &SmolStr)> {
    let old_session = match &event.kind {
        EventKind::AgentSuperseded { old_session, .. } => Some((Axis::Session, old_session)),
        _ => None,
    };
    [
        (Axis::Source, &event.source),
        (Axis::Queue, &event.queue),
        (Axis::Session, &event.session),
    ]
    .into_iter()
    .chain(old_session)
    .filter(|(_, name)| !name.is_empty())
}
