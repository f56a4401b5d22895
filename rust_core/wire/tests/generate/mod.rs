//! Makes requests by their schema out of a list of choices: what proptest shrinks, shrinks the request.

use csroute_wire::Method;

/// Choices, one byte each; 0 when they run out.
pub struct Source<'a>(std::slice::Iter<'a, u8>);

impl<'a> Source<'a> {
    pub fn new(choices: &'a [u8]) -> Self {
        Self(choices.iter())
    }

    fn next(&mut self) -> usize {
        self.0.next().copied().unwrap_or(0).into()
    }

    fn spent(&self) -> bool {
        self.0.len() == 0
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Number,
    /// An enum's list: packed or not.
    Numbers,
    Text,
    Message(Schema),
}
use Kind::{Message, Number, Numbers, Text};

type Schema = &'static [(u32, Kind)];

const ATTRIBUTE: Schema = &[(1, Text), (2, Text), (3, Number)];
const SKILL: Schema = &[(1, Text), (2, Number)];
const TICKET: Schema = &[
    (1, Text),
    (2, Text),
    (3, Text),
    (4, Text),
    (5, Message(ATTRIBUTE)),
    (6, Message(SKILL)),
    (7, Text),
    (8, Text),
    (9, Number),
    (10, Text),
];
const NAMED: Schema = &[(1, Text)];
const PAIR: Schema = &[(1, Text), (2, Text)];
const AGENT: Schema = &[(1, Text), (2, Message(SKILL)), (3, Number), (4, Message(SKILL))];
const PRESENCE: Schema = &[(1, Text), (2, Text), (3, Number), (4, Text)];
const VERB: Schema = &[(1, Text), (2, Number), (3, Text)];
const COMPLETE: Schema = &[(1, Text), (2, Number), (3, Text), (4, Text)];
const REQUIREMENT: Schema = &[(1, Message(&[(1, Message(SKILL))])), (2, Message(SKILL))];
const TRANSFER: Schema = &[(1, Text), (2, Number), (3, Text), (4, Text), (5, Message(REQUIREMENT))];
const END: Schema = &[(1, Text), (2, Number)];
const ACTION: Schema = &[
    (1, Message(PRESENCE)),
    (2, Message(PRESENCE)),
    (3, Message(VERB)),
    (4, Message(VERB)),
    (5, Message(COMPLETE)),
    (6, Message(TRANSFER)),
    (7, Message(VERB)),
    (8, Message(PAIR)),
    (9, Message(PAIR)),
    (10, Message(END)),
    (11, Message(NAMED)),
    (15, Number),
];

const TUNING: Schema = &[(1, Text), (2, Text), (3, Number), (4, Number), (5, Number)];
const CHANGE: Schema = &[
    (1, Message(VERB)),
    (2, Message(&[(1, Text), (2, Number), (3, Number), (4, Number)])),
    (3, Message(END)),
    (4, Message(VERB)),
];

fn schema(method: Method) -> Schema {
    match method {
        Method::Route => &[(1, Message(TICKET)), (2, Number)],
        Method::RouteBatch => &[
            (1, Message(TICKET)),
            (1, Message(TICKET)),
            (1, Message(TICKET)),
            (2, Number),
        ],
        Method::Update => &[(1, Text), (2, Number), (3, Message(ATTRIBUTE))],
        Method::Suspend
        | Method::Resume
        | Method::GetTicket
        | Method::Explain
        | Method::ExplainQueue
        | Method::RemoveAgents
        | Method::RenewLease
        | Method::CloseSession => NAMED,
        Method::Cancel
        | Method::GetPositions
        | Method::PauseClock
        | Method::ResumeClock
        | Method::Assign
        | Method::Move => PAIR,
        Method::ListTickets => &[(1, Numbers), (2, Text), (3, Text), (4, Text), (5, Number), (6, Text)],
        Method::ListAgents => &[(1, Numbers), (2, Text), (3, Text), (4, Number), (5, Text)],
        Method::UpsertAgents => &[(1, Message(AGENT))],
        Method::OpenSession | Method::EndWrapUp => END,
        Method::Login | Method::SetPresence => PRESENCE,
        Method::Accept | Method::Decline | Method::Mark => VERB,
        Method::Complete => COMPLETE,
        Method::Transfer => TRANSFER,
        Method::Act => &[(1, Message(ACTION))],
        Method::WorkOpen | Method::WorkAct => &[(1, Text), (2, Message(ACTION))],
        Method::Drain | Method::GetStats | Method::PolicyGet | Method::PolicyStopCanary | Method::Reclassify => {
            &[(1, Number)]
        }
        Method::PolicyCanary => &[(1, Text), (2, Number), (3, Number), (4, Number), (5, Number)],
        Method::Tune => &[(1, Message(TUNING)), (1, Message(TUNING)), (2, Number), (3, Number)],
        Method::InstallPolicy => &[(1, Text), (2, Number)],
        Method::PolicyApply => &[
            (1, Text),
            (2, Text),
            (3, Text),
            (4, Text),
            (5, Number),
            (6, Number),
            (7, Number),
        ],
        Method::PolicyList => &[(1, Number), (2, Text)],
        Method::PolicyDiff => &[(1, Number), (2, Number), (3, Text)],
        Method::PolicyScene => &[(1, Text), (4, Text), (5, Number), (6, Number), (7, Number)],
        Method::PolicyRollback => &[(1, Number), (4, Text), (5, Number), (6, Number), (7, Number)],
        Method::PolicyOverride => &[(1, Message(CHANGE)), (2, Number), (3, Number), (4, Text), (5, Number)],
        Method::PolicySetTable => &[(1, Text), (2, Message(PAIR)), (3, Number), (4, Number), (5, Text)],
        Method::WatchOpen => &[(1, Text), (2, Text), (3, Number), (4, Number)],
        Method::GetLive
        | Method::PolicyGetCanary
        | Method::RouteStream
        | Method::Watch
        | Method::Work
        | Method::WatchNext
        | Method::WatchClose
        | Method::WorkNext
        | Method::WorkClose => &[],
    }
}

/// A request that protobuf takes; its values may be out of bounds.
pub fn request(method: Method, source: &mut Source<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message(schema(method), source, &mut out, 0);
    out
}

/// First most fields once, in order; then any, again, or unknown.
fn message(schema: Schema, source: &mut Source<'_>, out: &mut Vec<u8>, depth: usize) {
    for &(tag, kind) in schema {
        if !source.next().is_multiple_of(8) {
            field(tag, kind, source, out, depth);
        }
    }
    while !source.spent() {
        let choice = source.next();
        // The deeper, the sooner at an end.
        if choice < 64 + 48 * depth {
            return;
        }
        match schema.get(choice % (schema.len() + 1)) {
            Some(&(tag, kind)) => field(tag, kind, source, out, depth),
            None => unknown(source, out),
        }
    }
}

fn field(tag: u32, kind: Kind, source: &mut Source<'_>, out: &mut Vec<u8>, depth: usize) {
    match kind {
        Number => {
            varint(u64::from(tag) << 3, out);
            varint(number(source), out);
        }
        Numbers if source.next().is_multiple_of(2) => field(tag, Number, source, out, depth),
        Numbers => {
            let mut packed = Vec::new();
            for _ in 0..source.next() % 20 {
                varint(number(source), &mut packed);
            }
            delimited(tag, &packed, out);
        }
        Text => delimited(tag, &text(source), out),
        Message(schema) => {
            let mut inner = Vec::new();
            message(schema, source, &mut inner, depth + 1);
            delimited(tag, &inner, out);
        }
    }
}

/// A field that no schema has, of any wire type.
fn unknown(source: &mut Source<'_>, out: &mut Vec<u8>) {
    let tag = 16 + source.next() as u64;
    match source.next() % 5 {
        0 => {
            varint(tag << 3, out);
            varint(number(source), out);
        }
        1 => {
            varint(tag << 3 | 1, out);
            out.extend([1; 8]);
        }
        2 => delimited(tag as u32, &text(source), out),
        3 => {
            // Groups, up to and over the depth that is taken.
            let depth = [1, 2, 99, 100, 101][source.next() % 5];
            (0..depth).for_each(|_| varint(tag << 3 | 3, out));
            (0..depth).for_each(|_| varint(tag << 3 | 4, out));
        }
        _ => {
            varint(tag << 3 | 5, out);
            out.extend([1; 4]);
        }
    }
}

fn number(source: &mut Source<'_>) -> u64 {
    const EDGES: [u64; 14] = [
        0,
        1,
        2,
        100,
        101,
        1000,
        1001,
        4096,
        100_000,
        3_600_000,
        1 << 32,
        (1 << 32) + 1,
        1 << 63,
        u64::MAX,
    ];
    match source.next() {
        choice if choice < 240 => choice as u64 % 8,
        choice => EDGES[choice % EDGES.len()],
    }
}

/// Mostly short and few, so that names repeat; else at a bound.
fn text(source: &mut Source<'_>) -> Vec<u8> {
    const LENGTHS: [usize; 10] = [0, 1, 64, 65, 128, 129, 256, 257, 1024, 1025];
    match source.next() {
        choice if choice < 250 => format!("n{}é", choice % 40).into_bytes(),
        choice => vec![b'x'; LENGTHS[choice % LENGTHS.len()]],
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn delimited(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    varint(u64::from(tag) << 3 | 2, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Cuts, flips, inserts.
pub fn mangle(bytes: &mut Vec<u8>, source: &mut Source<'_>) {
    while !source.spent() {
        let at = (source.next() << 8 | source.next()) % (bytes.len() + 1);
        match source.next() % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, source.next() as u8),
            _ if at < bytes.len() => bytes[at] ^= 1 << (source.next() % 8),
            _ => {}
        }
    }
}
