//! The node's clock: monotonic time, slewed to the wall. It never goes back and never jumps.
//!
//! Between two looks at the wall it runs with the machine's monotonic clock. At each look (about once a second) it is
//! drawn towards the wall by at most a thousandth of the time passed, or a twentieth while it is more than a second
//! off. A wall that jumps by more than a second against the monotonic clock is counted and reported, not followed at once:
//! leases and offers are durations, and a mistaken operator must not end them all.
//!
//! ```
//! use csroute_node::clock::Slewed;
//! let mut clock = Slewed::new(0, 1_000_000);
//! assert_eq!(clock.at(250), 1_000_250);
//! ```

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use csroute_engine::Micros;

/// How often the wall is looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A jump of the wall larger than this is an alarm.
pub const JUMP_US: Micros = 1_000_000;
/// Share of the time passed by which the clock may be drawn, as a divisor: while near the wall, while far from it.
const DRAW_NEAR: Micros = 1000;
const DRAW_FAR: Micros = 20;

/// The arithmetic, without a clock of its own: µs of a monotonic clock in, Unix µs out.
#[derive(Debug, Clone)]
pub struct Slewed {
    /// What is added to the monotonic time.
    offset: Micros,
    last: Micros,
    looked_at: Micros,
    /// The wall less the monotonic time, as last seen.
    wall_offset: Micros,
}

impl Slewed {
    /// Agrees with the wall at the start.
    pub fn new(mono: Micros, wall: Micros) -> Self {
        let offset = wall.saturating_sub(mono);
        Self {
            offset,
            last: wall,
            looked_at: mono,
            wall_offset: offset,
        }
    }

    /// The time, given the monotonic one.
    pub fn at(&mut self, mono: Micros) -> Micros {
        self.last = self.last.max(mono.saturating_add(self.offset));
        self.last
    }

    /// Compares with the wall and is drawn towards it. Returns by how much the wall jumped since the last look, if by
    /// more than a second.
    pub fn look(&mut self, mono: Micros, wall: Micros) -> Option<Micros> {
        let wall_offset = wall.saturating_sub(mono);
        let jump = wall_offset.saturating_sub(self.wall_offset);
        let passed = mono.saturating_sub(self.looked_at).max(0);
        let off = wall_offset.saturating_sub(self.offset);
        let draw_max = passed
            / if off.saturating_abs() > JUMP_US {
                DRAW_FAR
            } else {
                DRAW_NEAR
            };
        self.offset = self.offset.saturating_add(off.clamp(-draw_max, draw_max));
        (self.wall_offset, self.looked_at) = (wall_offset, mono);
        (jump.saturating_abs() > JUMP_US).then_some(jump)
    }
}

/// The clock of a running node.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    looked_at: Instant,
    slewed: Slewed,
    jumps: u64,
}

impl Clock {
    /// Starts at the wall's time, or at this one where it is later: what is in a journal was stamped before.
    pub fn start(not_before: Micros) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            looked_at: now,
            slewed: Slewed::new(0, wall().max(not_before)),
            jumps: 0,
        }
    }

    /// The time at an instant, Unix µs: never less than what was said before.
    pub fn at(&mut self, instant: Instant) -> Micros {
        if instant.saturating_duration_since(self.looked_at) >= LOOK_EVERY {
            self.looked_at = instant;
            let mono = self.mono(instant);
            if let Some(jump) = self.slewed.look(mono, wall()) {
                self.jumps += 1;
                eprintln!(
                    r#"{{"level":"error","event":"clock_jump","jump_us":{jump},"message":"the wall clock jumped; the node's follows by a twentieth: check the time source"}}"#
                );
            }
        }
        let mono = self.mono(instant);
        self.slewed.at(mono)
    }

    /// How often the wall jumped.
    pub fn jumps(&self) -> u64 {
        self.jumps
    }

    fn mono(&self, instant: Instant) -> Micros {
        micros(instant.saturating_duration_since(self.started))
    }
}

/// The wall's time, Unix µs.
pub fn wall() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, micros)
}

/// A duration as µs.
pub fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: Micros = 1_000_000;

    #[test]
    fn small_differences_are_drawn_in_slowly() {
        let mut clock = Slewed::new(0, 100 * S);
        assert_eq!(clock.look(S, 101 * S + 5000), None);
        assert_eq!(clock.at(S), 101 * S + 1000, "a thousandth of the second passed");
        for second in 2..10 {
            clock.look(second * S, (100 + second) * S + 5000);
        }
        assert_eq!(clock.at(9 * S), 109 * S + 5000);
    }

    #[test]
    fn a_jump_is_told_once_and_followed_by_a_twentieth() {
        let mut clock = Slewed::new(0, 0);
        assert_eq!(clock.look(S, S + 3600 * S), Some(3600 * S));
        assert_eq!(clock.at(S), S + S / 20);
        assert_eq!(clock.look(2 * S, 2 * S + 3600 * S), None);
        assert_eq!(clock.look(3 * S, 3 * S), Some(-3600 * S), "and back");
    }

    proptest! {
        #[test]
        fn never_goes_back(steps in prop::collection::vec((0i64..5_000_000, -10_000_000i64..10_000_000), 1..200)) {
            let (mut mono, mut clock, mut last) = (0, Slewed::new(0, 1_700_000_000 * S), 0);
            for (passed, wall_error) in steps {
                mono += passed;
                clock.look(mono, 1_700_000_000 * S + mono + wall_error);
                let now = clock.at(mono);
                prop_assert!(now >= last);
                last = now;
            }
        }
    }
}
