//! When calls are due, and a clock that wakes in time: the runtime's own timers tick once a millisecond.

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// Nanoseconds of the machine's monotonic clock: all its processes have the same.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// How calls come, in an open loop.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// One like another, so many a second.
    Constant(f64),
    /// At random, so many a second.
    Poisson(f64),
    /// So long after the start, in ns, rising: as they were recorded. Past the last none are due.
    Recorded(Vec<u64>),
}

/// When each call is due: ns after the start.
#[derive(Debug)]
pub struct Due {
    arrivals: Arrivals,
    random: fastrand::Rng,
    number: usize,
    at_ns: f64,
}

impl Due {
    /// The same seed, the same times.
    pub fn new(arrivals: Arrivals, seed: u64) -> Self {
        Self {
            arrivals,
            random: fastrand::Rng::with_seed(seed),
            number: 0,
            at_ns: 0.0,
        }
    }
}

impl Iterator for Due {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.number += 1;
        match &self.arrivals {
            Arrivals::Constant(per_s) => Some((self.number as f64 * 1e9 / per_s) as u64),
            Arrivals::Poisson(per_s) => {
                self.at_ns -= (1.0 - self.random.f64()).ln() * 1e9 / per_s;
                Some(self.at_ns as u64)
            }
            Arrivals::Recorded(times) => times.get(self.number - 1).copied(),
        }
    }
}

/// Wakes at a time of `now_ns`.
pub struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// Within a runtime.
    #[allow(deprecated)] // what is safe without `unsafe`: an `OwnedFd` stays open, and the same, while this has it
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(AsyncFd::new(timer)?))
    }

    /// Returns at that time, or soon after.
    pub async fn until(&self, at_ns: u64) -> io::Result<()> {
        while now_ns() < at_ns {
            let once = Itimerspec {
                it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
                it_value: Timespec {
                    tv_sec: (at_ns / 1_000_000_000) as i64,
                    tv_nsec: (at_ns % 1_000_000_000) as i64,
                },
            };
            timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &once)?;
            let mut ready = self.0.readable().await?;
            // What it says is how often it rang; the clock says whether it is time.
            let _ = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0; 8])?));
            ready.clear_ready();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(arrivals: Arrivals, count: usize) -> Vec<u64> {
        Due::new(arrivals, 7).take(count).collect()
    }

    #[test]
    fn arrivals_come_at_their_rate() {
        assert_eq!(first(Arrivals::Constant(1000.0), 3), [1_000_000, 2_000_000, 3_000_000]);
        assert_eq!(first(Arrivals::Recorded(vec![5, 9]), 3), [5, 9]);
        let last = *first(Arrivals::Poisson(1000.0), 100_000).last().expect("it has no end");
        assert!((95..105).contains(&(last / 1_000_000_000)), "{last}");
        assert_eq!(first(Arrivals::Poisson(9.0), 9), first(Arrivals::Poisson(9.0), 9));
    }

    #[tokio::test]
    async fn an_alarm_does_not_ring_early() {
        let alarm = Alarm::new().expect("a timer");
        for _ in 0..20 {
            let at = now_ns() + 300_000;
            alarm.until(at).await.expect("a timer");
            assert!(now_ns() >= at);
        }
    }
}
