//! What reads and watchers ask for, checked.

use csroute_engine::limits::{ID_BYTES_MAX, NAME_BYTES_MAX, POSITIONS_MAX};
use csroute_engine::{Code, Rejection, TicketState};
use smol_str::SmolStr;

use crate::Watch;
use crate::check::{Check, at_most, each, id, range, required, text, within};
use crate::item::presence;
use crate::message::{self, FILTER_MAX, WATCH_NAMES_MAX};
use crate::proto::{Field, Numbers, Reader, Repeated};
use crate::query::Query;

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1000;
const WATCH_BATCH_DEFAULT: u32 = 512;
const WATCH_BATCH_MAX: u32 = 4096;

fn numbers<T, const MAX: usize>(
    field: &str,
    list: &Numbers<MAX>,
    read: impl Fn(&str, i32) -> Check<T>,
) -> Check<Vec<T>> {
    at_most(field, list.0.more, MAX)?;
    let mut out = Vec::with_capacity(list.0.items.len());
    each(field, &list.0.items, |&number| {
        out.push(read("", number)?);
        Ok(())
    })?;
    Ok(out)
}

fn state(field: &str, number: i32) -> Check<TicketState> {
    use TicketState::{Active, Cancelled, Closed, Offered, Overflowed, Scheduled, Suspended, Waiting, Wrapping};
    const STATES: [TicketState; 9] = [
        Scheduled, Waiting, Suspended, Offered, Active, Wrapping, Closed, Cancelled, Overflowed,
    ];
    STATES
        .into_iter()
        .find(|&state| i32::from(state as u8) == number)
        .ok_or_else(|| Rejection::about(Code::UnknownValue, field, format!("{number} is no ticket state")))
}

fn page(size: u32, token: &str) -> Check<(usize, u64)> {
    let size = if size == 0 {
        PAGE_DEFAULT
    } else {
        range("page_size", size, 1..=PAGE_MAX)?
    };
    let after = if token.is_empty() { Some(0) } else { token.parse().ok() };
    let unknown = || {
        Rejection::about(
            Code::UnknownValue,
            "page_token",
            "not from a reply: begin again with none",
        )
    };
    Ok((size as usize, after.ok_or_else(unknown)?))
}

pub(crate) fn list_tickets(message: &message::ListTickets<'_>) -> Check<Query> {
    let states = numbers::<_, FILTER_MAX>("states", &message.states, state)?;
    let names = [
        text("queue", message.queue, NAME_BYTES_MAX)?,
        text("source", message.source, ID_BYTES_MAX)?,
        text("agent", message.agent, ID_BYTES_MAX)?,
    ];
    Ok(Query::tickets(
        states,
        names,
        page(message.page_size, message.page_token)?,
    ))
}

pub(crate) fn list_agents(message: &message::ListAgents<'_>) -> Check<Query> {
    let presences = numbers::<_, FILTER_MAX>("presences", &message.presences, presence)?;
    let names = [
        text("skill", message.skill, NAME_BYTES_MAX)?,
        text("session", message.session, ID_BYTES_MAX)?,
    ];
    Ok(Query::agents(
        presences,
        names,
        page(message.page_size, message.page_token)?,
    ))
}

/// The ids are checked here and read again, piece by piece, by the query.
pub(crate) fn positions(bytes: &[u8]) -> Check<Query> {
    let mut source = "";
    let mut count = 0;
    let mut wrong = None;
    for field in Reader::new(bytes) {
        let (tag, value) = field?;
        match tag {
            1 => {
                let mut ticket = "";
                ticket.merge(value)?;
                if let (None, Err(no)) = (&wrong, id("", ticket)) {
                    wrong = Some(within(&format!("ids[{count}]"), no));
                }
                count += 1;
            }
            2 => source.merge(value)?,
            _ => {}
        }
    }
    at_most("ids", count > POSITIONS_MAX, POSITIONS_MAX)?;
    if let Some(no) = wrong {
        return Err(no);
    }
    text("source", source, ID_BYTES_MAX)?;
    match (count, source) {
        (_, "") => Ok(Query::positions(bytes)),
        (0, _) => Ok(Query::positions_of_source(source)),
        _ => Err(Rejection::about(
            Code::OutOfRange,
            "source",
            "give ids, or a source, not both",
        )),
    }
}

pub(crate) fn watch(message: &message::Watch<'_>) -> Check<Watch> {
    let names = |field: &str, list: &Repeated<&str, WATCH_NAMES_MAX>, max| {
        at_most(field, list.more, WATCH_NAMES_MAX)?;
        let mut names: Vec<SmolStr> = Vec::with_capacity(list.items.len());
        each(field, &list.items, |name| {
            names.push(required("", name, max)?.into());
            Ok(())
        })?;
        Ok::<_, Rejection>(names)
    };
    Ok(Watch {
        sources: names("sources", &message.sources, ID_BYTES_MAX)?,
        queues: names("queues", &message.queues, NAME_BYTES_MAX)?,
        after_sequence: message.after_sequence,
        batch_max: match message.batch_max {
            0 => WATCH_BATCH_DEFAULT,
            batch_max => range("batch_max", batch_max, 1..=WATCH_BATCH_MAX)?,
        },
    })
}
