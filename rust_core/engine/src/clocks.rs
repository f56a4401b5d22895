//! Clocks: named deadlines that start and stop at moments, pause, warn and breach.

use smol_str::SmolStr;

use crate::class::ClassClock;
use crate::command::{Answer, TicketState};
use crate::event::EventKind;
use crate::submit::{done, replay};
use crate::ticket::{ClockRun, Phase};
use crate::view::ClockStats;
use crate::{Code, Engine, Micros, Rejection, round_up};

/// The moments that the engine itself marks; callers mark the others.
pub(crate) const BUILT_IN: [&str; 3] = ["arrival", "assignment", "completion"];
pub(crate) const ARRIVAL: u32 = 0;
pub(crate) const ASSIGNMENT: u32 = 1;
pub(crate) const COMPLETION: u32 = 2;
/// The caller's moment that counts as an answer in figures.
pub(crate) const FIRST_REPLY: &str = "first_reply";

impl Engine {
    /// A moment of a ticket: clocks stop, then clocks start.
    pub(crate) fn moment(&mut self, key: u32, moment: u32) {
        let class = &self.classes[self.tickets[key].class];
        // A bit a clock of the class: at most `CLOCKS_MAX`.
        let (mut stops, mut starts) = (0u32, 0u32);
        for (at, clock) in class.clocks.iter().enumerate() {
            stops |= u32::from(clock.stops == moment) << at;
            starts |= u32::from(clock.starts == moment && clock.stops != moment) << at;
        }
        while stops != 0 {
            self.stop_clock(key, stops.trailing_zeros() as usize);
            stops &= stops - 1;
        }
        while starts != 0 {
            let clock = self.class_clock(key, starts.trailing_zeros() as usize);
            starts &= starts - 1;
            let (number, ends) = (clock.clock, clock.stops);
            if self.run_of(key, number).is_none() {
                let mut run = new_run(number, self.now);
                // Its stop came before its start: it never fires.
                if let Some(stop) = self.moment_at(key, ends) {
                    (run.phase, run.since) = (Phase::Stopped, stop);
                }
                self.tickets[key].clocks.push(run);
            }
        }
    }

    fn class_clock(&self, key: u32, at: usize) -> &ClassClock {
        &self.classes[self.tickets[key].class].clocks[at]
    }

    fn run_of(&self, key: u32, clock: u32) -> Option<usize> {
        self.tickets[key]
            .clocks
            .iter()
            .position(|run| u32::from(run.clock) == clock)
    }

    fn stop_clock(&mut self, key: u32, at: usize) {
        let clock = self.class_clock(key, at);
        let (number, target_us) = (clock.clock, clock.target_us);
        let Some(place) = self.run_of(key, number) else { return };
        let run = self.tickets[key].clocks[place];
        if run.phase == Phase::Stopped {
            return;
        }
        if run.phase == Phase::Running && !run.breached && round_up(run.when_run(target_us)) <= self.now {
            self.breach(key, place, number);
        }
        let now = self.now;
        let run = &mut self.tickets[key].clocks[place];
        let (elapsed, met) = (run.run(now) / 1000, !run.breached);
        // A pause that was open ends with the clock.
        if run.phase == Phase::Paused {
            run.paused += now - run.since;
        }
        (run.phase, run.since) = (Phase::Stopped, now);
        if met {
            self.clock_figures(number).met += 1;
        }
        let name = self.clock_names.name(number).clone();
        self.emit(
            Some(key),
            None,
            0,
            EventKind::ClockStopped {
                clock: name,
                elapsed,
                met,
            },
        );
    }

    fn breach(&mut self, key: u32, place: usize, number: u32) {
        self.tickets[key].clocks[place].breached = true;
        self.clock_figures(number).breached += 1;
        let name = self.clock_names.name(number).clone();
        self.emit(Some(key), None, 0, EventKind::ClockBreached { clock: name });
    }

    pub(crate) fn clock_breached(&mut self, key: u32, at: usize) {
        let number = self.class_clock(key, at).clock;
        if let Some(place) = self.run_of(key, number) {
            self.breach(key, place, number);
        }
    }

    pub(crate) fn clock_warned(&mut self, key: u32, index: u32) {
        let (at, point) = (index as usize / 8, index % 8);
        let number = self.class_clock(key, at).clock;
        if let Some(place) = self.run_of(key, number) {
            self.tickets[key].clocks[place].warned |= 1 << point;
            self.clock_figures(number).warned += 1;
            let name = self.clock_names.name(number).clone();
            self.emit(Some(key), None, 0, EventKind::ClockWarned { clock: name, point });
        }
    }

    fn clock_figures(&mut self, number: u32) -> &mut ClockStats {
        while self.clock_stats.len() <= number as usize {
            let clock = self.clock_names.name(self.clock_stats.len() as u32).clone();
            self.clock_stats.push(ClockStats {
                clock,
                ..ClockStats::default()
            });
        }
        &mut self.clock_stats[number as usize]
    }

    /// When a moment of a ticket was; None: not yet.
    fn moment_at(&self, key: u32, moment: u32) -> Option<Micros> {
        let ticket = &self.tickets[key];
        match moment {
            ARRIVAL => (ticket.state != TicketState::Scheduled).then_some(ticket.arrival),
            ASSIGNMENT => (ticket.assigned_at != 0).then_some(ticket.assigned_at),
            COMPLETION => None,
            _ => ticket
                .extra
                .as_ref()?
                .moments
                .iter()
                .find(|(marked, _)| *marked == moment)
                .map(|(_, at)| *at),
        }
    }

    /// The clocks follow a new class: known ones keep their record, new ones start at their moment, even if past.
    pub(crate) fn follow_clocks(&mut self, key: u32) {
        for at in 0..self.classes[self.tickets[key].class].clocks.len() {
            let clock = self.class_clock(key, at);
            let (number, starts, stops) = (clock.clock, clock.starts, clock.stops);
            if starts == stops {
                continue;
            }
            let place = if let Some(place) = self.run_of(key, number) {
                place
            } else {
                let Some(start) = self.moment_at(key, starts) else {
                    continue;
                };
                self.tickets[key].clocks.push(new_run(number, start));
                self.tickets[key].clocks.len() - 1
            };
            // Its stop passed before it came (back): it never fires.
            if let Some(stop) = self.moment_at(key, stops) {
                let run = &mut self.tickets[key].clocks[place];
                if run.phase != Phase::Stopped {
                    (run.phase, run.since) = (Phase::Stopped, stop);
                }
            }
        }
    }

    pub(crate) fn pause_clock(&mut self, id: &str, clock: &str, pause: bool) -> Result<Answer, Rejection> {
        let key = self.open_ticket(id)?;
        let ticket = &self.tickets[key];
        let state = ticket.state;
        let number = self.clock_names.get(clock);
        let class = &self.classes[ticket.class];
        let Some(number) = number.filter(|&number| class.clocks.iter().any(|clock| clock.clock == number)) else {
            let has: Vec<&str> = class
                .clocks
                .iter()
                .map(|clock| self.clock_names.name(clock.clock).as_str())
                .collect();
            return Err(Rejection::about(
                Code::ClockUnknown,
                clock,
                format!("the ticket has no clock {clock:?}; it has: {}", has.join(", ")),
            ));
        };
        if pause && class.tables.spec.unpausable.iter().any(|name| name == clock) {
            let message = format!("the policy says that the clock {clock} never pauses");
            return Err(Rejection::about(Code::WrongState, clock, message));
        }
        let from = if pause { Phase::Running } else { Phase::Paused };
        let place = self
            .run_of(key, number)
            .filter(|&place| ticket.clocks_live() && ticket.clocks[place].phase == from);
        let Some(place) = place else {
            return Ok(replay(state));
        };
        let now = self.now;
        let run = &mut self.tickets[key].clocks[place];
        let name: SmolStr = self.clock_names.name(number).clone();
        if pause {
            (run.phase, run.since) = (Phase::Paused, now);
            self.emit(Some(key), None, 0, EventKind::ClockPaused { clock: name });
        } else {
            run.paused += now - run.since;
            run.phase = Phase::Running;
            self.emit(Some(key), None, 0, EventKind::ClockResumed { clock: name });
        }
        self.arm(key);
        Ok(done(state))
    }
}

fn new_run(clock: u32, start: Micros) -> ClockRun {
    ClockRun {
        clock: clock as u16,
        warned: 0,
        breached: false,
        phase: Phase::Running,
        start,
        paused: 0,
        since: 0,
    }
}
