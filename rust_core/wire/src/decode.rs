//! Requests: bytes to commands, checked.
//!
//! A whole request is read first; then each item is checked by itself. Two rules beyond the protos' comments: a name
//! that stands twice in one ticket's attributes, one agent's skills or channels is `OUT_OF_RANGE`; a choice without
//! any of its messages (also one this version does not know) is `FIELD_MISSING`.

use std::sync::Arc;

use csroute_engine::command::CanaryTerms;
use csroute_engine::limits::{BATCH_MAX, CANARY_SHARE_MILLI_MAX, LATER_MAX};
use csroute_engine::policy::{Later, PolicySpec};
use csroute_engine::{Code, Command, Event, Rejection};
use smol_str::SmolStr;

use crate::Method;
use crate::ask;
use crate::check::{self, Check, within};
use crate::item::{self, Item, Lists};
use crate::message::{self, AgentAction, Named, Pair};
use crate::policies::{self, Policies};
use crate::policy::readable;
use crate::proto::{Field, Message, Read, Reader, Value};
use crate::query::Query;

/// Longest that a Route may wait, ms.
const WAIT_MS_MAX: u32 = 60_000;

/// A request, read and checked.
#[derive(Debug)]
pub enum Request<'a> {
    /// Commands for the engine, in order, under one time.
    Write(Write<'a>),
    /// A look at the engine; owns what it needs, so that it may go on later.
    Read(Query),
    /// The node's own: take no new tickets, or take them again.
    Drain {
        /// Take none.
        on: bool,
    },
    /// Versions of policies: the node's own too.
    Policies(Policies),
    /// A new watcher.
    WatchOpen(Watch),
    /// What a watcher's handle waits for.
    WatchNext(u64),
    /// A watcher goes.
    WatchClose(u64),
    /// A work stream of this session begins; `Query::opening` makes its first message.
    WorkOpen(SmolStr),
    /// What a work stream's handle waits for.
    WorkNext(u64),
    /// A work stream ends.
    WorkClose(u64),
}

/// Reads and checks a request. The rejection is of the whole: a batch's items have theirs in `Write::command`.
pub fn decode(method: Method, bytes: &[u8]) -> Result<Request<'_>, Rejection> {
    Ok(match method {
        Method::Route => Request::Write(route(bytes)?),
        Method::RouteBatch => Request::Write(route_batch(bytes)?),
        Method::UpsertAgents => Request::Write(batch(method, bytes, "agents", item::upsert)?),
        Method::RemoveAgents => Request::Write(batch(method, bytes, "ids", |id, _| item::remove(id))?),
        Method::Act | Method::WorkAct => Request::Write(actions(method, bytes)?),
        Method::Update => Request::Write(one(method, bytes, item::update)?),
        Method::Cancel => Request::Write(one(method, bytes, |m, _| item::cancel(m))?),
        Method::Suspend => Request::Write(one(method, bytes, |m, _| item::suspend(m))?),
        Method::Resume => Request::Write(one(method, bytes, |m, _| item::resume(m))?),
        Method::OpenSession => Request::Write(one(method, bytes, |m, _| item::open_session(m))?),
        Method::RenewLease => Request::Write(one(method, bytes, |m, _| item::renew_lease(m))?),
        Method::CloseSession => Request::Write(one(method, bytes, |m, _| item::close_session(m))?),
        Method::Login => Request::Write(one(method, bytes, |m, _| item::login(m))?),
        Method::SetPresence => Request::Write(one(method, bytes, |m, _| item::set_presence(m))?),
        Method::Accept => Request::Write(one(method, bytes, |m, _| item::accept(m))?),
        Method::Decline => Request::Write(one(method, bytes, |m, _| item::decline(m))?),
        Method::Complete => Request::Write(one(method, bytes, |m, _| item::complete(m))?),
        Method::Transfer => Request::Write(one(method, bytes, |m, _| item::transfer(m))?),
        Method::Mark => Request::Write(one(method, bytes, |m, _| item::mark(m))?),
        Method::PauseClock => Request::Write(one(method, bytes, |m, _| item::pause_clock(m))?),
        Method::ResumeClock => Request::Write(one(method, bytes, |m, _| item::resume_clock(m))?),
        Method::EndWrapUp => Request::Write(one(method, bytes, |m, _| item::end_wrap_up(m))?),
        Method::Assign => Request::Write(one(method, bytes, |m: &Pair<'_>, _| item::assign(m))?),
        Method::Move => Request::Write(one(method, bytes, |m: &Pair<'_>, _| item::move_to(m))?),
        Method::PolicyCanary => Request::Write(one(method, bytes, |m, _| canary(m))?),
        Method::PolicyStopCanary => {
            let reclassify = flag(bytes)?;
            Request::Write(Write::of(method, Item::Plain(Command::StopCanary { reclassify })))
        }
        Method::Tune => Request::Write(one(method, bytes, |m, _| item::tune(m))?),
        Method::InstallPolicy => Request::Write(one(method, bytes, |m: &message::Install<'_>, _| {
            Ok(Item::Plain(Command::InstallPolicy {
                policy: Arc::new(install(m)?),
                reclassify: m.reclassify,
            }))
        })?),

        Method::PolicySetTable => Request::Write(set_table(bytes)?),
        Method::Reclassify => Request::Write(reclassify(bytes)?),

        Method::GetTicket => Request::Read(Query::ticket(check::id("id", Named::read(bytes)?.id)?)),
        Method::Explain => Request::Read(Query::explain(check::id("ticket", Named::read(bytes)?.id)?)),
        Method::ExplainQueue => Request::Read(Query::queue(check::name("queue", Named::read(bytes)?.id)?)),
        Method::GetLive => {
            nothing(bytes)?;
            Request::Read(Query::live())
        }
        Method::PolicyGetCanary => {
            nothing(bytes)?;
            Request::Read(Query::canary())
        }
        Method::GetStats => Request::Read(Query::stats(flag(bytes)?)),
        Method::ListTickets => Request::Read(ask::list_tickets(&Message::read(bytes)?)?),
        Method::ListAgents => Request::Read(ask::list_agents(&Message::read(bytes)?)?),
        Method::GetPositions => Request::Read(ask::positions(bytes)?),

        Method::PolicyApply
        | Method::PolicyList
        | Method::PolicyGet
        | Method::PolicyDiff
        | Method::PolicyScene
        | Method::PolicyRollback
        | Method::PolicyOverride => Request::Policies(policies::policies(method, bytes)?),

        Method::Drain => Request::Drain { on: flag(bytes)? },
        Method::WatchOpen => Request::WatchOpen(ask::watch(&Message::read(bytes)?)?),
        Method::WatchNext => Request::WatchNext(handle(bytes)?),
        Method::WatchClose => Request::WatchClose(handle(bytes)?),
        Method::WorkOpen => Request::WorkOpen(work_open(bytes)?.into()),
        Method::WorkNext => Request::WorkNext(handle(bytes)?),
        Method::WorkClose => Request::WorkClose(handle(bytes)?),
        Method::RouteStream | Method::Watch | Method::Work => {
            return Err(Rejection::about(
                Code::UnknownMethod,
                method.path(),
                "a door makes this method from others",
            ));
        }
    })
}

/// The commands of one request.
#[derive(Debug)]
pub struct Write<'a> {
    method: Method,
    entries: Vec<Entry<'a>>,
    lists: Lists<'a>,
    wait_ms: u32,
    tag: u64,
}

/// An item, checked; the tag goes back with its result.
#[derive(Debug)]
struct Entry<'a> {
    item: Check<Item<'a>>,
    tag: u64,
}

impl<'a> Write<'a> {
    fn new(method: Method) -> Self {
        Self {
            method,
            entries: Vec::new(),
            lists: Lists::default(),
            wait_ms: 0,
            tag: 0,
        }
    }

    /// A request of one item.
    fn of(method: Method, item: Item<'a>) -> Self {
        let mut write = Self::new(method);
        write.entries.push(Entry { item: Ok(item), tag: 0 });
        write
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// How many commands: 1, or a batch's length.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// One command, from 0; its own rejection if its shape is wrong.
    pub fn command(&self, item: usize) -> Result<Command<'_>, Rejection> {
        match self.entries.get(item).map(|entry| &entry.item) {
            Some(Ok(item)) => Ok(item.command(&self.lists)),
            Some(Err(rejection)) => Err(rejection.clone()),
            None => Err(Rejection::new(Code::Internal, "the request has no such item")),
        }
    }

    /// `Route`: how long the reply may be held until an assignment, ms; else 0.
    pub fn wait_ms(&self) -> u32 {
        self.wait_ms
    }

    /// The ticket that an item is about, where its method's reply names it; else empty.
    pub fn ticket(&self, item: usize) -> &'a str {
        self.entries
            .get(item)
            .and_then(|entry| entry.item.as_ref().ok())
            .map_or("", Item::ticket)
    }

    /// Room for so many more items like the first.
    fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
        self.lists.reserve(more);
    }

    pub(crate) fn policy_version(&self) -> u64 {
        match self.entries.first().map(|entry| &entry.item) {
            Some(Ok(Item::Plain(Command::InstallPolicy { policy, .. }))) => policy.version,
            _ => 0,
        }
    }

    /// The table that is filled.
    pub(crate) fn table(&self) -> &str {
        match self.entries.first().map(|entry| &entry.item) {
            Some(Ok(Item::Plain(Command::SetTable { facts, .. }))) => &facts.table,
            _ => "",
        }
    }

    pub(crate) fn tag(&self) -> u64 {
        self.tag
    }

    pub(crate) fn item_tag(&self, item: usize) -> u64 {
        self.entries.get(item).map_or(0, |entry| entry.tag)
    }
}

fn route(bytes: &[u8]) -> Check<Write<'_>> {
    let message = message::Route::read(bytes)?;
    let mut write = Write::new(Method::Route);
    let item = item::submit(&message.ticket, &mut write.lists).map_err(|no| within("ticket", no))?;
    check::range("wait_ms", message.wait_ms, 0..=WAIT_MS_MAX)?;
    write.wait_ms = message.wait_ms;
    write.entries.push(Entry { item: Ok(item), tag: 0 });
    Ok(write)
}

fn one<'a, M: Message<'a>>(
    method: Method,
    bytes: &'a [u8],
    check: impl FnOnce(&M, &mut Lists<'a>) -> Check<Item<'a>>,
) -> Check<Write<'a>> {
    let message = M::read(bytes)?;
    let mut write = Write::new(method);
    let item = check(&message, &mut write.lists)?;
    write.entries.push(Entry { item: Ok(item), tag: 0 });
    Ok(write)
}

/// Reads a batch whose list is field `list`: each item by itself, every other field given to `rest`.
fn items<'a, T: Field<'a> + Default>(
    write: &mut Write<'a>,
    bytes: &'a [u8],
    (list, name): (u32, &str),
    mut rest: impl FnMut(u32, Value<'a>) -> Read<()>,
    mut check: impl FnMut(&T, &mut Lists<'a>) -> (Check<Item<'a>>, u64),
) -> Check<()> {
    let mut message = T::default();
    let mut count = 0;
    let mut reader = Reader::new(bytes);
    while let Some(field) = reader.next() {
        let (tag, value) = field?;
        if tag != list {
            rest(tag, value)?;
            continue;
        }
        message.clear();
        message.merge(value)?;
        if count < BATCH_MAX {
            let (item, tag) = check(&message, &mut write.lists);
            let item = item.map_err(|no| within(&format!("{name}[{count}]"), no));
            write.entries.push(Entry { item, tag });
        }
        if count == 0 {
            // The others are about as long as the first: room for all at once.
            let taken = bytes.len() - reader.rest().len();
            write.reserve((reader.rest().len() / taken).min(BATCH_MAX));
        }
        count += 1;
    }
    check::at_most(name, count > BATCH_MAX, BATCH_MAX)
}

fn batch<'a, T: Field<'a> + Default>(
    method: Method,
    bytes: &'a [u8],
    name: &str,
    mut check: impl FnMut(&T, &mut Lists<'a>) -> Check<Item<'a>>,
) -> Check<Write<'a>> {
    let mut write = Write::new(method);
    items(
        &mut write,
        bytes,
        (1, name),
        |_, _| Ok(()),
        |message, lists| (check(message, lists), 0),
    )?;
    Ok(write)
}

fn route_batch(bytes: &[u8]) -> Check<Write<'_>> {
    let mut write = Write::new(Method::RouteBatch);
    let mut batch_tag = 0_u64;
    let rest = |tag, value| if tag == 2 { batch_tag.merge(value) } else { Ok(()) };
    items(&mut write, bytes, (1, "tickets"), rest, |ticket, lists| {
        (item::submit(ticket, lists), 0)
    })?;
    check::there("tickets", write.len() > 0)?;
    write.tag = batch_tag;
    Ok(write)
}

fn actions(method: Method, bytes: &[u8]) -> Check<Write<'_>> {
    let mut write = Write::new(method);
    let mut session = "";
    let work = method == Method::WorkAct;
    let rest = |tag, value| if work && tag == 1 { session.merge(value) } else { Ok(()) };
    let list = (if work { 2 } else { 1 }, "actions");
    items(&mut write, bytes, list, rest, |action: &AgentAction<'_>, _| {
        (item::action(&action.action), action.tag)
    })?;
    Ok(write)
}

/// The session of a `WorkRequest`; its actions are read, and left.
fn work_open(bytes: &[u8]) -> Check<&str> {
    let mut session = "";
    let mut write = Write::new(Method::WorkOpen);
    let rest = |tag, value| if tag == 1 { session.merge(value) } else { Ok(()) };
    items(
        &mut write,
        bytes,
        (2, "actions"),
        rest,
        |action: &AgentAction<'_>, _| (item::action(&action.action), 0),
    )?;
    check::id("session", session)
}

fn reclassify(bytes: &[u8]) -> Check<Write<'_>> {
    let mut tickets_max = 0_u32;
    for field in Reader::new(bytes) {
        if let (1, value) = field? {
            tickets_max.merge(value)?;
        }
    }
    let mut write = Write::new(Method::Reclassify);
    let item = Ok(Item::Plain(Command::Reclassify { tickets_max }));
    write.entries.push(Entry { item, tag: 0 });
    Ok(write)
}

fn set_table(bytes: &[u8]) -> Check<Write<'_>> {
    let command = policies::set_table(bytes)?;
    let mut write = Write::new(Method::PolicySetTable);
    let item = Ok(Item::Plain(command));
    write.entries.push(Entry { item, tag: 0 });
    Ok(write)
}

/// A message whose one field is a switch.
fn flag(bytes: &[u8]) -> Check<bool> {
    let mut on = false;
    for field in Reader::new(bytes) {
        if let (1, value) = field? {
            on.merge(value)?;
        }
    }
    Ok(on)
}

/// A canary's beginning.
fn canary<'a>(message: &message::Canary<'a>) -> Check<Item<'a>> {
    check::there("policy", !message.policy.is_empty())?;
    let spec = readable(message.policy)?;
    let or = |field: &str, value: u32, default: u32, range| match value {
        0 => Ok(default),
        value => check::range(field, value, range),
    };
    let terms = CanaryTerms {
        share_milli: or("share_milli", message.share_milli, 100, 1..=CANARY_SHARE_MILLI_MAX)?,
        margin_milli: check::range("margin_milli", message.margin_milli.unwrap_or(20), 0..=1000)?,
        error_milli: or("error_milli", message.error_milli, 10, 1..=500)?,
        tickets_min: or("tickets_min", message.tickets_min, 100, 10..=1_000_000)?,
    };
    let policy = Arc::new(spec);
    Ok(Item::Plain(Command::StartCanary { policy, terms }))
}

/// A message without fields.
fn nothing(bytes: &[u8]) -> Check<()> {
    for field in Reader::new(bytes) {
        field?;
    }
    Ok(())
}

fn handle(bytes: &[u8]) -> Check<u64> {
    let bytes = bytes
        .try_into()
        .map_err(|_| Rejection::new(Code::Malformed, "a handle is 8 bytes"))?;
    Ok(u64::from_le_bytes(bytes))
}

/// What a watcher asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Events of these sources; with queues: of either; both empty: all.
    pub sources: Vec<SmolStr>,
    /// Events of these queues.
    pub queues: Vec<SmolStr>,
    /// Go on after this; 0: from now.
    pub after_sequence: u64,
    /// Events a message, 1..=4096.
    pub batch_max: u32,
}

impl Watch {
    /// Whether an event passes the filter.
    pub fn matches(&self, event: &Event) -> bool {
        (self.sources.is_empty() && self.queues.is_empty())
            || self.sources.contains(&event.source)
            || self.queues.contains(&event.queue)
    }
}

/// A policy to install, and those that follow it.
fn install(message: &message::Install<'_>) -> Check<PolicySpec> {
    let mut spec = readable(message.policy)?;
    spec.slice = message.slice;
    let mut before = 0;
    check::at_most("later", message.later.more, LATER_MAX)?;
    for (place, later) in message.later.items.iter().enumerate() {
        let field = format!("later[{place}]");
        if later.at_us <= before {
            let message = "their times rise, each later than the one before";
            return Err(Rejection::about(Code::OutOfRange, format!("{field}.at_us"), message));
        }
        before = later.at_us;
        spec.later.push(Later {
            at: later.at_us,
            policy: readable(later.policy).map_err(|no| within(&field, no))?,
            reclassify: later.reclassify,
        });
    }
    Ok(spec)
}
