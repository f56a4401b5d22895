//! Reads: from the engine's views to reply bytes, a slice at a time, so that the writer is never held up long.
//!
//! ```
//! # fn f(engine: &csroute_engine::Engine, bytes: &[u8]) -> Result<Vec<u8>, csroute_engine::Rejection> {
//! use csroute_wire::{Method, Request, decode};
//! let Request::Read(mut query) = decode(Method::GetPositions, bytes)? else { unreachable!() };
//! while !query.step(engine, 256)? {
//!     // the writer's other work goes here
//! }
//! let reply = query.finish();
//! # Ok(reply) }
//! ```

use csroute_engine::command::{Presence, TicketState};
use csroute_engine::limits::POSITIONS_MAX;
use csroute_engine::live::Live;
use csroute_engine::survey::Survey;
use csroute_engine::view::{AgentFilter, TicketFilter};
use csroute_engine::{Candidate, Code, Engine, Rejection};
use prost::Message as _;
use smol_str::SmolStr;

use crate::pb::csroute::v1 as pb;
use crate::proto::{Field, Put, Reader};
use crate::survey::{put_canary, put_live, put_queue};
use crate::view::{put_agent, put_explain, put_position, put_stats, put_ticket};

/// The engine looks at so many tickets for one that it lists.
const LOOKS_PER_TICKET: usize = 16;
/// Tickets that one page may look at in all; then it comes back short.
const PAGE_LOOKS_MAX: usize = 65_536;

/// A read under way. Between two steps the engine may change: a long answer is true piece by piece, and names the
/// sequence at its beginning, so that watching from there misses nothing.
#[derive(Debug)]
pub struct Query {
    ask: Ask,
    out: Vec<u8>,
    /// The engine's at the first step.
    sequence: Option<u64>,
}

#[derive(Debug)]
enum Ask {
    Ticket(SmolStr),
    Explain(SmolStr),
    Queue(Option<Survey>),
    Live(Live),
    Canary,
    Stats {
        with_state_hash: bool,
    },
    Tickets {
        states: Vec<TicketState>,
        queue: SmolStr,
        source: SmolStr,
        agent: SmolStr,
        page: Page,
    },
    Agents {
        presences: Vec<Presence>,
        skill: SmolStr,
        session: SmolStr,
        page: Page,
    },
    /// The request's bytes from the next id on: they were checked when decoded.
    Positions {
        bytes: Vec<u8>,
        from: usize,
    },
    PositionsOfSource {
        source: SmolStr,
        after: u64,
        left: usize,
    },
    Opening {
        session: SmolStr,
        after: u64,
    },
    Preview {
        candidate: Box<Candidate>,
        reply: Box<pb::InstallReply>,
        after: u64,
    },
}

/// How far a list is.
#[derive(Debug)]
struct Page {
    after: u64,
    left: usize,
    looks_left: usize,
}

impl Page {
    fn new((size, after): (usize, u64)) -> Self {
        Self {
            after,
            left: size,
            looks_left: PAGE_LOOKS_MAX.max(size * LOOKS_PER_TICKET),
        }
    }

    /// After so many were found: whether the page is done; then its end is written.
    fn turn(&mut self, found: usize, looked: usize, next: Option<u64>, sequence: u64, out: &mut Vec<u8>) -> bool {
        self.left = self.left.saturating_sub(found);
        self.looks_left = self.looks_left.saturating_sub(looked);
        self.after = next.unwrap_or(self.after);
        let done = next.is_none() || self.left == 0 || self.looks_left == 0;
        if done {
            out.put_str(2, &next.map_or_else(String::new, |next| next.to_string()));
            out.put_u64(3, sequence);
        }
        done
    }
}

impl Query {
    fn new(ask: Ask) -> Self {
        Self {
            ask,
            out: Vec::new(),
            sequence: None,
        }
    }

    pub(crate) fn ticket(id: &str) -> Self {
        Self::new(Ask::Ticket(id.into()))
    }

    pub(crate) fn explain(id: &str) -> Self {
        Self::new(Ask::Explain(id.into()))
    }

    pub(crate) fn queue(queue: &str) -> Self {
        Self::new(Ask::Queue(Some(Survey::new(queue))))
    }

    pub(crate) fn live() -> Self {
        Self::new(Ask::Live(Live::default()))
    }

    pub(crate) fn canary() -> Self {
        Self::new(Ask::Canary)
    }

    pub(crate) fn stats(with_state_hash: bool) -> Self {
        Self::new(Ask::Stats { with_state_hash })
    }

    pub(crate) fn tickets(
        states: Vec<TicketState>,
        [queue, source, agent]: [&str; 3],
        size_after: (usize, u64),
    ) -> Self {
        let page = Page::new(size_after);
        Self::new(Ask::Tickets {
            states,
            queue: queue.into(),
            source: source.into(),
            agent: agent.into(),
            page,
        })
    }

    pub(crate) fn agents(presences: Vec<Presence>, [skill, session]: [&str; 2], size_after: (usize, u64)) -> Self {
        let page = Page::new(size_after);
        Self::new(Ask::Agents {
            presences,
            skill: skill.into(),
            session: session.into(),
            page,
        })
    }

    pub(crate) fn positions(bytes: &[u8]) -> Self {
        Self::new(Ask::Positions {
            bytes: bytes.to_vec(),
            from: 0,
        })
    }

    pub(crate) fn positions_of_source(source: &str) -> Self {
        Self::new(Ask::PositionsOfSource {
            source: source.into(),
            after: 0,
            left: POSITIONS_MAX,
        })
    }

    /// The opening of a Work stream: a `WorkReply` with the session's agents and what they hold.
    pub fn opening(session: &str) -> Self {
        Self::new(Ask::Opening {
            session: session.into(),
            after: 0,
        })
    }

    /// What a policy would change: the rest of an `InstallReply`.
    pub fn preview(candidate: Candidate, reply: pb::InstallReply) -> Self {
        Self::new(Ask::Preview {
            candidate: Box::new(candidate),
            reply: Box::new(reply),
            after: 0,
        })
    }

    /// Looks at about `looks_max` tickets or agents at most. True when the answer is whole.
    pub fn step(&mut self, engine: &Engine, looks_max: usize) -> Result<bool, Rejection> {
        let begins = self.sequence.is_none();
        let sequence = *self.sequence.get_or_insert_with(|| engine.sequence());
        let out = &mut self.out;
        let looks = looks_max.max(1);
        match &mut self.ask {
            Ask::Ticket(id) => {
                put_ticket(out, &engine.ticket(id).ok_or_else(|| unknown(id))?);
                Ok(true)
            }
            Ask::Explain(id) => {
                put_explain(out, &engine.explain(id).ok_or_else(|| unknown(id))?);
                Ok(true)
            }
            Ask::Queue(under_way) => {
                let Some(survey) = under_way else { return Ok(true) };
                if begins && !engine.knows_queue(survey.queue()) {
                    let message = "the policy has no such queue: queues are the rules of its first layer";
                    return Err(Rejection::about(Code::QueueUnknown, survey.queue(), message));
                }
                let whole = engine.survey(survey, looks);
                if whole && let Some(survey) = under_way.take() {
                    put_queue(out, &engine.surveyed(survey), sequence);
                }
                Ok(whole)
            }
            Ask::Live(live) => {
                let whole = engine.gather(live, looks);
                if whole {
                    put_live(out, live, engine, sequence);
                }
                Ok(whole)
            }
            Ask::Canary => {
                put_canary(out, engine);
                Ok(true)
            }
            Ask::Stats { with_state_hash } => {
                // The hash walks the whole state: only for those who ask for it.
                let state_hash = if *with_state_hash { engine.state_hash() } else { 0 };
                put_stats(out, &engine.stats(), engine.sequence(), state_hash);
                Ok(true)
            }
            Ask::Tickets {
                states,
                queue,
                source,
                agent,
                page,
            } => {
                let limit = (looks / LOOKS_PER_TICKET).clamp(1, page.left);
                let (tickets, next) = engine.tickets(
                    &TicketFilter {
                        states,
                        queue,
                        source,
                        agent,
                    },
                    page.after,
                    limit,
                );
                for ticket in &tickets {
                    out.put_message(1, |out| put_ticket(out, ticket));
                }
                Ok(page.turn(tickets.len(), limit * LOOKS_PER_TICKET, next, sequence, out))
            }
            Ask::Agents {
                presences,
                skill,
                session,
                page,
            } => {
                let limit = looks.min(page.left);
                let (agents, next) = engine.agents(
                    &AgentFilter {
                        presences,
                        skill,
                        session,
                    },
                    page.after,
                    limit,
                );
                for agent in &agents {
                    out.put_message(1, |out| put_agent(out, agent));
                }
                Ok(page.turn(agents.len(), limit, next, sequence, out))
            }
            Ask::Positions { bytes, from } => {
                let (ids, taken) = next_ids(&bytes[*from..], looks)?;
                put_positions(out, engine, &ids);
                *from += taken;
                Ok(*from == bytes.len())
            }
            Ask::PositionsOfSource { source, after, left } => {
                let (ids, next) = engine.waiting_of_source(source, *after, looks);
                let ids: Vec<&str> = ids.iter().take(*left).map(SmolStr::as_str).collect();
                put_positions(out, engine, &ids);
                *left -= ids.len();
                *after = next.unwrap_or(*after);
                Ok(next.is_none() || *left == 0)
            }
            Ask::Opening { session, after } => {
                if begins && !engine.session_open(session) {
                    return Err(Rejection::about(
                        Code::SessionUnknown,
                        session.as_str(),
                        "open the session first",
                    ));
                }
                let next = put_held(out, engine, session, *after, looks);
                *after = next.unwrap_or(*after);
                Ok(next.is_none())
            }
            Ask::Preview {
                candidate,
                reply,
                after,
            } => {
                if let Some(next) = engine.preview(candidate, *after, looks) {
                    *after = next;
                    return Ok(false);
                }
                (reply.waiting, reply.changed, reply.unfit) = (candidate.waiting, candidate.changed, candidate.unfit);
                reply.sequence = sequence;
                out.extend_from_slice(&reply.encode_to_vec());
                Ok(true)
            }
        }
    }

    /// The reply message.
    pub fn finish(mut self) -> Vec<u8> {
        if let Ask::Opening { .. } = self.ask {
            self.out.put_u64(3, self.sequence.unwrap_or(0));
            let mut reply = Vec::with_capacity(self.out.len() + 8);
            reply.item_bytes(1, &self.out);
            return reply;
        }
        self.out
    }

    /// All steps at once.
    pub fn run(mut self, engine: &Engine) -> Result<Vec<u8>, Rejection> {
        while !self.step(engine, usize::MAX)? {}
        Ok(self.finish())
    }
}

fn unknown(id: &str) -> Rejection {
    Rejection::about(Code::TicketUnknown, id, "the ticket is not known, or is forgotten")
}

/// At most `max` ids of a `GetPositionsRequest`, and how many bytes they and what lies between took.
fn next_ids(bytes: &[u8], max: usize) -> Result<(Vec<&str>, usize), Rejection> {
    let mut reader = Reader::new(bytes);
    let mut ids = Vec::new();
    while ids.len() < max
        && let Some(field) = reader.next()
    {
        if let (1, value) = field? {
            let mut id = "";
            id.merge(value)?;
            ids.push(id);
        }
    }
    Ok((ids, bytes.len() - reader.rest().len()))
}

fn put_positions(out: &mut Vec<u8>, engine: &Engine, ids: &[&str]) {
    for position in engine.positions(ids) {
        out.put_message(1, |out| put_position(out, &position));
    }
}

/// A session's agents and what they hold, as fields of a `WorkOpening`; where to go on.
fn put_held(out: &mut Vec<u8>, engine: &Engine, session: &str, after: u64, looks: usize) -> Option<u64> {
    let (agents, next) = engine.agents(
        &AgentFilter {
            session,
            ..AgentFilter::default()
        },
        after,
        looks,
    );
    for agent in &agents {
        out.put_message(1, |out| put_agent(out, agent));
        for ticket in agent.tickets.iter().filter_map(|id| engine.ticket(id)) {
            out.put_message(2, |out| {
                out.put_str(1, &agent.id);
                out.put_message(2, |out| put_ticket(out, &ticket));
            });
        }
    }
    next
}

/// Adds the node's counts of rejections by code to the bytes of a `GetStatsReply`.
pub fn encode_rejection_counts(counts: impl IntoIterator<Item = (u16, u64)>, out: &mut Vec<u8>) {
    for (code, count) in counts {
        out.put_message(26, |out| {
            out.put_u32(1, code.into());
            out.put_u64(2, count);
        });
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::pb::csroute::v1::GetPositionsRequest;

    #[test]
    fn ids_are_read_piece_by_piece() {
        let ids: Vec<String> = (0..1000).map(|index| format!("t-{index}")).collect();
        let mut bytes = GetPositionsRequest {
            ids: ids.clone(),
            source: String::new(),
        }
        .encode_to_vec();
        bytes.put_u64(99, 5); // unknown, last
        let mut read = Vec::new();
        let mut from = 0;
        while from < bytes.len() {
            let (piece, taken) = next_ids(&bytes[from..], 7).unwrap();
            assert!(piece.len() <= 7 && taken > 0);
            read.extend(piece.into_iter().map(str::to_owned));
            from += taken;
        }
        assert_eq!(read, ids);
    }
}
