//! For scale: what matching alone costs on this machine, in this run.

use crate::World;
use crate::rng::Rng;

/// Per-class heaps, idle seats counted by profile, the heads of a profile's classes scanned. No ids, clocks,
/// events, orders of choice, presence or limits: what matching alone costs on this machine, in this run.
pub struct Bare {
    rng: Rng,
    heaps: Vec<std::collections::BinaryHeap<std::cmp::Reverse<(u64, u64)>>>,
    serves: Vec<Vec<u32>>,
    served: Vec<Vec<u32>>,
    free: Vec<u32>,
    active: Vec<u32>,
    next: u64,
    done: u64,
}

impl Bare {
    pub fn new(world: World) -> Self {
        let mut rng = Rng(7);
        let (classes, profiles) = (world.classes as usize, world.profiles as usize);
        let mut bare = Self {
            heaps: vec![std::collections::BinaryHeap::new(); classes],
            serves: vec![Vec::new(); profiles],
            served: vec![Vec::new(); classes],
            free: vec![(world.agents * 5 / world.profiles) as u32; profiles],
            active: Vec::new(),
            next: 0,
            done: 0,
            rng: Rng(1),
        };
        for class in 0..classes {
            for profile in 0..profiles {
                if rng.chance(world.served()) {
                    bare.serves[profile].push(class as u32);
                    bare.served[class].push(profile as u32);
                }
            }
        }
        let seats = world.agents as usize * 5;
        while bare.active.len() < seats / 2 {
            bare.submit();
        }
        let waiting = |bare: &Self| bare.heaps.iter().map(|heap| heap.len() as u64).sum::<u64>();
        while waiting(&bare) < world.waiting {
            for _ in 0..1000 {
                bare.submit();
            }
        }
        bare
    }

    fn submit(&mut self) {
        self.next += 1;
        let class = self.rng.below(self.heaps.len() as u64) as usize;
        let free = |profile: &&u32| self.free[**profile as usize];
        match self.served[class].iter().max_by_key(free) {
            Some(&profile) if self.free[profile as usize] > 0 => self.take(profile),
            _ => {
                let target = 60_000 + class as u64 * 10_740;
                self.heaps[class].push(std::cmp::Reverse((self.next / 300 + target, self.next)));
            }
        }
    }

    fn take(&mut self, profile: u32) {
        self.free[profile as usize] -= 1;
        self.active.push(profile);
        self.done += 1;
    }

    /// So many submits and completions in turn: how many were matched.
    pub fn run(&mut self, each: u64) -> u64 {
        let before = self.done;
        for _ in 0..each {
            self.submit();
            self.complete();
        }
        self.done - before
    }

    fn complete(&mut self) {
        if self.active.is_empty() {
            return;
        }
        let at = self.rng.below(self.active.len() as u64) as usize;
        let profile = self.active.swap_remove(at);
        self.free[profile as usize] += 1;
        let heads = self.serves[profile as usize]
            .iter()
            .filter_map(|&class| self.heaps[class as usize].peek().map(|head| (head.0, class)));
        if let Some((_, class)) = heads.min() {
            self.heaps[class as usize].pop();
            self.take(profile);
        }
    }
}
