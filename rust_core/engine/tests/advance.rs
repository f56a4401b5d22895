//! However `advance` is cut up, the events and the state are the same (I7).
#![allow(missing_docs)]

mod walk;

use csroute_engine::Engine;
use proptest::prelude::*;
use walk::{Rng, later, peek, started, with_command};

/// Fires timers a few at a time, in slices of time, until all are done.
fn advance_in_pieces(engine: &mut Engine, until: i64, cuts: &mut Rng, events: &mut Vec<csroute_engine::Event>) {
    while engine.now() < until && cuts.chance(50) {
        let between = engine.now() + cuts.below((until - engine.now()) as u64 + 1) as i64;
        while !engine
            .advance(between, 1 + cuts.below(3) as u32, events)
            .expect("time goes on")
            .done
        {}
    }
    while !engine
        .advance(until, 1 + cuts.below(3) as u32, events)
        .expect("time goes on")
        .done
    {}
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn cutting_advance_up_changes_nothing(seed in any::<u64>(), cut_seed in any::<u64>()) {
        let (mut rng, mut cuts) = (Rng(seed), Rng(cut_seed));
        let (mut whole_events, mut cut_events) = (Vec::new(), Vec::new());
        let mut whole = started(seed % 3, &mut whole_events);
        let mut cut = started(seed % 3, &mut cut_events);
        for _ in 0..300 {
            let now = later(&mut rng, &whole);
            let looked = peek(&mut rng, &whole);
            with_command(&mut rng, looked, |command| {
                whole.begin(now, &mut whole_events).expect("time goes on");
                advance_in_pieces(&mut cut, now, &mut cuts, &mut cut_events);
                assert_eq!(whole.apply(command, &mut whole_events), cut.apply(command, &mut cut_events));
            });
            prop_assert_eq!(&whole_events, &cut_events);
        }
        prop_assert_eq!(whole.state_hash(), cut.state_hash());
    }
}
