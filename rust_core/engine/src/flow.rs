//! How tickets flowed lately: each queue's counters as they stood at every tenth second of the last five minutes.
//!
//! Nothing is decided by it, so it is no part of the state: a node that starts again begins it anew.

use std::collections::VecDeque;

use crate::Micros;
use crate::view::{Interval, QueueStats};

const EVERY_US: Micros = 10_000_000;
/// Samples kept: five minutes, and the one that they begin from.
const KEPT: usize = 31;

/// Arrived, answered, completed, abandoned, overflowed.
type Counts = [u64; 5];

fn counts(stats: &QueueStats) -> Counts {
    [
        stats.arrived,
        stats.answered,
        stats.completed,
        stats.abandoned,
        stats.overflowed,
    ]
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// No sample is due before this.
    next: Micros,
    /// Oldest first; queues by number.
    samples: VecDeque<(Micros, Vec<Counts>)>,
}

impl Flow {
    /// Before anything happens at `now`: the counters are those of the last tenth second too.
    #[inline]
    pub(crate) fn tick(&mut self, now: Micros, stats: &[QueueStats]) {
        if now >= self.next {
            self.sample(now, stats);
        }
    }

    #[cold]
    fn sample(&mut self, now: Micros, stats: &[QueueStats]) {
        let at = now - now.rem_euclid(EVERY_US);
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back((at, stats.iter().map(counts).collect()));
        self.next = at + EVERY_US;
    }

    /// One queue's intervals, oldest first; the last is still under way.
    pub(crate) fn intervals(&self, queue: u32, now: Micros, stats: &QueueStats) -> Vec<Interval> {
        let of = |sample: &(Micros, Vec<Counts>)| {
            let found = sample.1.get(queue as usize).copied();
            (sample.0, found.unwrap_or_default())
        };
        let points: Vec<(Micros, Counts)> = self.samples.iter().map(of).chain([(now, counts(stats))]).collect();
        let between = |pair: &[(Micros, Counts)]| {
            let [arrived, answered, completed, abandoned, overflowed] =
                std::array::from_fn(|figure| pair[1].1[figure].saturating_sub(pair[0].1[figure]));
            Interval {
                begins: pair[0].0,
                ends: pair[1].0,
                arrived,
                answered,
                completed,
                abandoned,
                overflowed,
            }
        };
        let intervals = points.windows(2).map(between);
        intervals.filter(|interval| interval.ends > interval.begins).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_what_its_counters_grew_by_and_a_quiet_hour_is_one() {
        let (mut flow, mut stats) = (Flow::default(), vec![QueueStats::default()]);
        let second = 1_000_000;
        flow.tick(100 * second, &stats);
        stats[0].arrived = 3;
        flow.tick(109 * second, &stats); // not yet
        stats[0].arrived = 5;
        flow.tick(110 * second + 1, &stats);
        stats[0].answered = 2;
        flow.tick(3710 * second, &stats);
        let told = flow.intervals(0, 3712 * second, &stats[0]);
        let told: Vec<_> = told
            .iter()
            .map(|it| ((it.ends - it.begins) / second, it.arrived, it.answered))
            .collect();
        assert_eq!(told, [(10, 5, 0), (3600, 0, 2), (2, 0, 0)]);
        for at in 0..100 {
            flow.tick((4000 + at * 10) * second, &stats);
        }
        assert_eq!(flow.samples.len(), KEPT);
    }
}
