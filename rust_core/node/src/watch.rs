//! Opening watchers: of sources and queues, or of a session's work.

use csroute_engine::{Code, Micros, Rejection};
use csroute_wire::{Query, Watch};
use smol_str::SmolStr;

use crate::core::{NodeCore, Reply};
use crate::feed::{self, Axis, Interest, Message};
use crate::tenant::Tenant;

/// When there are too many watchers, those that nobody read for so long go first.
const UNREAD_US: Micros = 60_000_000;
/// Events a message of a Work stream.
const WORK_BATCH_MAX: usize = 1024;

impl NodeCore {
    /// A watcher of sources and queues; its handle.
    pub(crate) fn watch_open(&mut self, name: &str, watch: Watch, now: Micros) -> Reply {
        let handle = self.new_handle(now)?;
        let sources = watch.sources.into_iter().map(|name| (Axis::Source, name));
        let queues = watch.queues.into_iter().map(|name| (Axis::Queue, name));
        let interest = Interest {
            names: sources.chain(queues).collect(),
            message: Message::Watch,
        };
        let feed = &mut self.tenant(name, now)?.feed;
        feed.open(handle, interest, watch.after_sequence, watch.batch_max as usize, now)?;
        Ok(handle.to_le_bytes().to_vec())
    }

    /// A watcher of a session; its handle, and what the session's agents hold.
    pub(crate) fn work_open(&mut self, name: &str, session: SmolStr, now: Micros) -> Reply {
        let handle = self.new_handle(now)?;
        let message_bytes_max = self.limits.message_bytes_max;
        let tenant = self.at(name, now)?;
        // At once, not in slices: the opening and the first event after it must meet.
        let opening = Query::opening(&session).run(&tenant.engine)?;
        if opening.len() > message_bytes_max {
            let message = format!(
                "the opening has {} bytes, more than {message_bytes_max}: spread the agents over several sessions",
                opening.len()
            );
            return Err(Rejection::about(Code::TooMany, session, message));
        }
        tenant
            .feed
            .open(handle, Interest::session(session), 0, WORK_BATCH_MAX, now)?;
        Ok([&handle.to_le_bytes()[..], &opening].concat())
    }

    fn new_handle(&mut self, now: Micros) -> Result<u64, Rejection> {
        if self.tenants.watchers() >= self.limits.watchers_max {
            self.tenants
                .all_mut()
                .for_each(|(_, tenant)| tenant.feed.close_unread(now.saturating_sub(UNREAD_US)));
        }
        if self.tenants.watchers() >= self.limits.watchers_max {
            let message = format!("the node has {} watchers, as many as it may", self.limits.watchers_max);
            return Err(Rejection::new(Code::Busy, message));
        }
        self.handles += 1;
        Ok(self.handles)
    }

    /// The tenant, if it is there, of a watcher.
    pub(crate) fn watched(&mut self, name: &str, handle: u64) -> Result<&mut Tenant, Rejection> {
        self.tenants.known(name).ok_or_else(|| feed::unknown(handle))
    }
}
