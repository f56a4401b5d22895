//! `next_due` leads to the next timer: whoever advances to it, again and again, gets there in few steps.
#![allow(missing_docs)]

use std::sync::Arc;

use csroute_engine::command::Submit;
use csroute_engine::policy::{ChannelSpec, ClockMode, ClockSpec, ClockUse, Effects, LayerSpec, PolicySpec, RuleSpec};
use csroute_engine::{Command, Engine, Event, EventKind};

fn policy(targets: &[i64]) -> PolicySpec {
    let clock = |place: usize| format!("c{place}");
    let uses = targets.iter().enumerate().map(|(place, &target)| ClockUse {
        clock: clock(place).into(),
        mode: ClockMode::Within,
        target,
        warnings: vec![],
    });
    let rule = RuleSpec {
        name: "all".into(),
        why: "".into(),
        when: None,
        effects: Effects {
            clocks: uses.collect(),
            ..Effects::default()
        },
    };
    let clocks = (0..targets.len()).map(|place| ClockSpec {
        name: clock(place).into(),
        starts: "arrival".into(),
        stops: "assignment".into(),
        hard: false,
    });
    PolicySpec {
        layers: vec![LayerSpec {
            name: "who".into(),
            every: false,
            rules: vec![rule],
        }],
        channels: vec![ChannelSpec {
            name: "chat".into(),
            cost: 1,
            limit: 1,
        }],
        clocks: clocks.collect(),
        ..PolicySpec::default()
    }
}

#[test]
fn advancing_to_the_hint_reaches_every_timer() {
    for quiet_us in [0, 1, 63_999, 64_000, 4_095_999, 50_000_123, 7_000_000_000] {
        let targets = [100, 3_000, 61_000, 5_000_000];
        let (mut engine, mut events) = (Engine::new(), Vec::<Event>::new());
        let start = 1_700_000_000_000_000;
        engine.begin(start, &mut events).expect("time goes on");
        let policy = Arc::new(policy(&targets));
        let install = Command::InstallPolicy {
            policy,
            reclassify: false,
        };
        engine.apply(&install, &mut events).expect("sound");
        // All is quiet for a while: the wheel stands still. Then comes a ticket.
        engine.begin(start + quiet_us, &mut events).expect("time goes on");
        let submit = Submit {
            id: "t",
            channel: "chat",
            ..Submit::default()
        };
        engine.apply(&Command::Submit(submit), &mut events).expect("taken");
        events.clear();
        let mut steps = 0;
        while events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::ClockBreached { .. }))
            .count()
            < targets.len()
        {
            let due = engine.next_due().expect("a clock runs");
            assert!(due >= engine.now());
            engine.begin(due, &mut events).expect("time goes on");
            steps += 1;
            assert!(steps < 50, "quiet for {quiet_us} µs: it stands still at {due}");
        }
        for (event, target) in events.iter().zip(targets) {
            assert_eq!(event.at, (start + quiet_us + 999) / 1000 * 1000 + target * 1000);
        }
    }
}
