//! Standing in line: where a ticket stands, and taking it out before anything about its place changes.

use crate::Engine;
use crate::board::Pen;
use crate::command::TicketState;
use crate::ticket::NONE;

impl Engine {
    /// Where a ticket stands in its line.
    fn pen_of(&self, key: u32, requirement: u32) -> Pen {
        let ticket = &self.tickets[key];
        if ticket.state == TicketState::Suspended {
            return Pen::Held;
        }
        let Some(extra) = ticket.extra.as_deref() else {
            return Pen::Main;
        };
        if let Some(slot) = extra.preferred.and_then(|preferred| self.live(preferred)) {
            let held = extra.hold_until > 0 && self.able(slot, ticket, requirement);
            return if held { Pen::Held } else { Pen::Odd };
        }
        if extra.named.is_empty() && extra.declined.is_empty() {
            Pen::Main
        } else {
            Pen::Odd
        }
    }

    /// Puts a waiting or suspended ticket into the line of its class and stage; whoever waits is looked at when settling.
    pub(crate) fn place_in_line(&mut self, key: u32) {
        let (class, taken) = (self.tickets[key].class, self.tickets[key].taken);
        let stage = self.stage(class, taken);
        let mut pen = self.pen_of(key, stage.requirement);
        if pen == Pen::Main && self.dirty.is_clean() {
            // Most likely somebody is free for it: then it need not stand anywhere.
            pen = Pen::Out;
            self.dirty.newcomer = Some(key);
        }
        let ticket = &mut self.tickets[key];
        (ticket.line, ticket.pen) = (stage.line, pen);
        let (entry, waiting, sequence) = (ticket.entry(key), ticket.state == TicketState::Waiting, ticket.sequence);
        let declined = ticket.extra.as_ref().is_some_and(|extra| !extra.declined.is_empty());
        let preferred = ticket.preferred();
        if pen != Pen::Out {
            self.board.lines[stage.line as usize].pen(pen).insert(entry);
            self.board.refresh_head(stage.line);
        }
        if let Some(slot) = preferred.and_then(|preferred| self.live(preferred)) {
            self.agents[slot].preferring.push(key);
        }
        if waiting {
            if declined {
                self.declined.insert((sequence, key));
            }
            let queue = self.classes[class].queue;
            self.queue_stats[queue as usize].waiting += 1;
            self.count_waiting(key, true);
            self.dirty.ticket(key);
        }
    }

    /// Nobody is free for the newcomer, or others changed too: it stands in its line like all.
    pub(crate) fn place_newcomer(&mut self) {
        let Some(key) = self.dirty.newcomer.take() else { return };
        let ticket = &mut self.tickets[key];
        ticket.pen = Pen::Main;
        let (line, entry) = (ticket.line, ticket.entry(key));
        self.board.lines[line as usize].main.insert(entry);
        self.board.refresh_head(line);
        self.arm(key);
    }

    /// Takes a ticket out of its line, before anything about its place changes.
    pub(crate) fn leave_line(&mut self, key: u32) {
        let ticket = &mut self.tickets[key];
        let line = std::mem::replace(&mut ticket.line, NONE);
        if line == NONE {
            return;
        }
        let (entry, pen, sequence, class) = (ticket.entry(key), ticket.pen, ticket.sequence, ticket.class);
        let (waiting, preferred) = (ticket.state == TicketState::Waiting, ticket.preferred());
        if pen == Pen::Out {
            self.dirty.newcomer = None;
        } else {
            let was_there = self.board.lines[line as usize].pen(pen).remove(entry);
            debug_assert!(was_there, "a ticket stands where its record says");
            self.board.refresh_head(line);
            // The new first in line was put down long ago, and may be matched soon.
            let head = &self.board.heads[line as usize];
            if let Some(next) = self.tickets.get(head.ticket).filter(|_| head.arrival != i64::MAX) {
                next.touch();
            }
        }
        if let Some(slot) = preferred.and_then(|preferred| self.live(preferred)) {
            let preferring = &mut self.agents[slot].preferring;
            if let Some(at) = preferring.iter().position(|&other| other == key) {
                preferring.swap_remove(at);
            }
        }
        if waiting {
            if !self.declined.is_empty() {
                self.declined.remove(&(sequence, key));
            }
            let queue = self.classes[class].queue;
            self.queue_stats[queue as usize].waiting -= 1;
            self.count_waiting(key, false);
        }
    }

    /// Looks again at who waits for an agent, after the agent's presence or profile changed.
    pub(crate) fn revisit_preferring(&mut self, slot: u32) {
        for key in self.agents[slot].preferring.clone() {
            self.leave_line(key);
            self.place_in_line(key);
        }
    }

    pub(crate) fn set_state(&mut self, key: u32, state: TicketState) {
        let ticket = &mut self.tickets[key];
        let (class, before) = (ticket.class, std::mem::replace(&mut ticket.state, state));
        self.by_state[before as usize] -= 1;
        self.by_state[state as usize] += 1;
        self.count_lined(class, before, false);
        self.count_lined(class, state, true);
        self.count_caps(key, class, before, false);
        self.count_caps(key, class, state, true);
    }

    /// A ticket of this class and state is counted in its queue, or no longer.
    pub(crate) fn count_lined(&mut self, class: u32, state: TicketState, comes: bool) {
        if matches!(
            state,
            TicketState::Scheduled | TicketState::Waiting | TicketState::Suspended
        ) {
            let count = &mut self.lined[self.classes[class].queue as usize];
            *count = if comes { *count + 1 } else { *count - 1 };
        }
    }
}
