//! Memory brought near before it is needed. Reads only, and nothing comes of it but time.
//!
//! A night's tickets do not fit into a core's cache, and a far read costs as much as a hundred near ones. A command reads
//! five or ten far places, each found by the one before. The places of different tickets wait for nobody: asked for
//! together, they come together.

use std::hint::black_box;

use smallvec::SmallVec;

use crate::names::Ids;
use crate::ticket::Ticket;
use crate::{ENDED, Engine};

/// How many tickets are warmed at a time.
pub const WARM_MAX: usize = 64;

impl Ticket {
    /// Touches each of its cache lines.
    pub(crate) fn touch(&self) {
        black_box((
            self.sequence,
            self.assigned_at,
            self.class,
            self.state,
            self.clocks.len(),
        ));
    }
}

impl Engine {
    /// Brings near what commands for these tickets will read; the first `WARM_MAX` of them, the rest is not looked at.
    /// Whoever has a batch warms a slice of it, applies the slice, and so on.
    pub fn warm<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        let hashes: SmallVec<[u64; WARM_MAX]> = ids.take(WARM_MAX).map(Ids::hash).collect();
        for &hash in &hashes {
            self.ids.touch(hash);
        }
        let mut open: SmallVec<[&Ticket; WARM_MAX]> = SmallVec::new();
        for &hash in &hashes {
            match self.ids.likely(hash) {
                Some(key) if key & ENDED == 0 => {
                    if let Some(ticket) = self.tickets.get(key) {
                        ticket.touch();
                        open.push(ticket);
                    }
                }
                _ => {}
            }
        }
        for ticket in open {
            black_box(ticket.content.first());
            if let Some(agent) = ticket.work.and_then(|work| self.agents.get(work.agent)) {
                black_box((agent.profile, agent.idle_since, agent.tickets.len()));
            }
        }
    }
}
