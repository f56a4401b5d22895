//! The feed against a naive one: a list of all events, filtered for each watcher at each read.

use csroute_engine::{Code, Event, EventKind};
use csroute_node::feed::{Axis, Feed, Interest, Message};
use csroute_wire::pb::csroute::v1 as pb;
use proptest::prelude::*;
use prost::Message as _;

const RING: usize = 12;
const BATCH: usize = 4;
const NAMES: [&str; 4] = ["", "a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    /// An event with these names: source, queue, session; and an old session.
    Push([usize; 4]),
    /// A watcher of these names (none: all), from so many events ago (None: from now).
    Open(Vec<(u8, usize)>, Option<u64>),
    Read(usize),
    Close(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::array::uniform4(0..NAMES.len()).prop_map(Step::Push),
        2 => (prop::collection::vec((0u8..3, 1..NAMES.len()), 0..3), prop::option::of(0u64..16))
            .prop_map(|(names, ago)| Step::Open(names, ago)),
        4 => (0usize..8).prop_map(Step::Read),
        1 => (0usize..8).prop_map(Step::Close),
    ]
}

fn axis(number: u8) -> Axis {
    [Axis::Source, Axis::Queue, Axis::Session][usize::from(number)]
}

fn event(sequence: u64, [source, queue, session, old]: [usize; 4]) -> Event {
    let kind = if old == 0 {
        EventKind::AgentUpserted
    } else {
        EventKind::AgentSuperseded {
            old_session: NAMES[old].into(),
            new_session: NAMES[session].into(),
        }
    };
    Event {
        sequence,
        at: 0,
        policy_version: 0,
        ticket: "".into(),
        source: NAMES[source].into(),
        queue: NAMES[queue].into(),
        class: 0,
        agent: "".into(),
        session: NAMES[session].into(),
        attempt: 0,
        kind,
    }
}

/// A watcher as the naive feed knows it.
#[derive(Debug, Clone)]
struct Naive {
    names: Vec<(u8, usize)>,
    cursor: u64,
}

impl Naive {
    fn wants(&self, [source, queue, session, old]: [usize; 4]) -> bool {
        self.names.is_empty()
            || self.names.iter().any(|&(axis, name)| match axis {
                0 => name == source,
                1 => name == queue,
                _ => name == session || name == old,
            })
    }

    /// The sequences after the cursor that it wants, and whether one of them is gone.
    fn pending(&self, events: &[[usize; 4]]) -> (Vec<u64>, bool) {
        let gone = events.len().saturating_sub(RING) as u64;
        let after = (1..).zip(events).skip(self.cursor as usize);
        let wanted: Vec<u64> = after
            .filter(|(_, names)| self.wants(**names))
            .map(|(sequence, _)| sequence)
            .collect();
        let is_gone = wanted.first().is_some_and(|&first| first <= gone);
        (wanted, is_gone)
    }
}

proptest! {
    #[test]
    fn watchers_hear_what_a_walk_over_all_events_finds(steps in prop::collection::vec(step(), 1..200)) {
        let mut feed = Feed::new(RING, 0);
        let mut events: Vec<[usize; 4]> = Vec::new();
        let mut watchers: Vec<Option<Naive>> = Vec::new();
        for step in steps {
            let last = events.len() as u64;
            match step {
                Step::Push(names) => {
                    events.push(names);
                    feed.push(event(last + 1, names));
                }
                Step::Open(names, ago) => {
                    let interest = Interest {
                        names: names.iter().map(|&(number, name)| (axis(number), NAMES[name].into())).collect(),
                        message: Message::Watch,
                    };
                    let after = ago.map_or(0, |ago| last.saturating_sub(ago));
                    let opened = feed.open(watchers.len() as u64, interest, after, BATCH, 0);
                    let cursor = if after == 0 { last } else { after };
                    let gone = cursor + (RING as u64) < last;
                    prop_assert_eq!(opened.is_err(), gone);
                    watchers.push((!gone).then_some(Naive { names, cursor }));
                }
                Step::Read(at) => {
                    let Some(slot) = watchers.get_mut(at) else { continue };
                    let read = feed.read_any(at as u64, 0);
                    let Some(watcher) = slot else {
                        prop_assert_eq!(read.unwrap_err().code, Code::SessionUnknown);
                        continue;
                    };
                    let (wanted, gone) = watcher.pending(&events);
                    if gone {
                        prop_assert_eq!(read.unwrap_err().code, Code::WatcherSlow);
                        *slot = None;
                        continue;
                    }
                    let reply = pb::WatchReply::decode(&*read.unwrap()).unwrap();
                    let heard: Vec<u64> = reply.events.iter().map(|event| event.sequence).collect();
                    prop_assert_eq!(&heard[..], &wanted[..wanted.len().min(BATCH)]);
                    watcher.cursor = if wanted.len() < BATCH { last } else { wanted[BATCH - 1] };
                    prop_assert_eq!(reply.sequence, watcher.cursor);
                }
                Step::Close(at) => {
                    if let Some(slot) = watchers.get_mut(at) {
                        feed.close(at as u64);
                        *slot = None;
                    }
                }
            }
            prop_assert_eq!(feed.watchers(), watchers.iter().flatten().count());
        }
    }
}
