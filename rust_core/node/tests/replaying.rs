//! The records of a node, fed to another: the same state, the same events, the same hash after every block.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::load::Load;
use common::{Bench, SECOND, T0};
use csroute_node::record::Record;
use csroute_node::{Call, Limits, NodeCore};
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use proptest::prelude::*;

/// A node that keeps its records.
fn keeping() -> NodeCore {
    let mut core = NodeCore::new(Limits::default());
    core.log.keep(true);
    core
}

fn state_hashes(core: &NodeCore) -> BTreeMap<String, (u64, u64, bool)> {
    core.states()
        .map(|(name, tenant)| {
            let engine = tenant.engine();
            (
                name.to_string(),
                (engine.state_hash(), engine.sequence(), tenant.draining()),
            )
        })
        .filter(|(_, (_, sequence, draining))| *sequence > 0 || *draining)
        .collect()
}

/// Its records, and the hash of all events at its end.
type Block = (Vec<Vec<u8>>, u64);

/// A day of so many requests: the records of each block, and the hash after it.
fn live(seed: u64, requests: usize) -> (NodeCore, Vec<Block>) {
    let (mut core, mut load, mut now) = (keeping(), Load::new(seed), T0);
    let mut blocks = Vec::new();
    let mut seal = |core: &mut NodeCore| {
        blocks.push((core.log.records().map(<[u8]>::to_vec).collect(), core.log.hash()));
        core.log.clear();
    };
    for _ in 0..requests {
        now += load.rng.below(100_000) as i64;
        if load.rng.below(400) == 0 {
            now += 61_000_000; // long enough to be given back
            core.give_back(now);
        }
        let timers_max = 1 + load.rng.below(20) as u32;
        while load.rng.chance(50) && !core.advance_due(now, timers_max) {}
        let asked = load.next();
        let call = Call {
            method: asked.method.number(),
            tenant: asked.tenant,
            caller: "test",
            request: &asked.request,
        };
        let _ = core.call(&call, now);
        if load.rng.chance(50) {
            core.sweep(now);
        }
        if load.rng.chance(20) {
            seal(&mut core);
        }
    }
    seal(&mut core);
    (core, blocks)
}

/// What each tenant says of its policies.
fn versions(core: &mut NodeCore) -> Vec<Vec<u8>> {
    let tenants = ["left", "right"];
    let list = |tenant| Call {
        method: Method::PolicyList.number(),
        tenant,
        caller: "test",
        request: b"",
    };
    let later = core.latest();
    tenants
        .map(|tenant| core.call(&list(tenant), later).expect("it is listed"))
        .into()
}

fn replay(core: &mut NodeCore, records: &[Vec<u8>]) {
    for record in records {
        core.replay(&Record::decode(record).expect("what was written is read"))
            .expect("it is replayed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_replay_comes_to_the_same(seed: u64) {
        let (mut core, blocks) = live(seed, 600);
        let mut again = NodeCore::new(Limits { tenants_max: 1, message_bytes_max: 1, ..Limits::default() });
        for (records, hash) in &blocks {
            replay(&mut again, records);
            prop_assert_eq!(again.log.hash(), *hash);
        }
        prop_assert_eq!(state_hashes(&again), state_hashes(&core));
        prop_assert_eq!(versions(&mut again), versions(&mut core));
        prop_assert!(again.log.is_empty(), "a replay keeps nothing");
    }

    #[test]
    fn a_missing_record_is_noticed(seed: u64) {
        let (_, blocks) = live(seed, 300);
        let writes = |record: &&Vec<u8>| matches!(Record::decode(record), Ok(Record::Write { .. }));
        let records: Vec<_> = blocks.iter().flat_map(|(records, _)| records).filter(writes).cloned().collect();
        let left_out = 20 + (seed % 100) as usize;
        let mut again = NodeCore::new(Limits::default());
        replay(&mut again, &records[..left_out]);
        let _ = records[left_out + 1..].iter().try_for_each(|record| {
            again.replay(&Record::decode(record).expect("well-formed"))
        });
        prop_assert_ne!(again.log.hash(), blocks.last().expect("blocks").1);
    }
}

/// Reads move the time on, and are not in the journal: whatever that changes is.
#[test]
fn an_owner_whom_a_read_forgets_is_forgotten_in_a_replay() {
    let mut policy = common::policy();
    for rule in &mut policy.layers[0].rules {
        rule.effects = Some(pb::Effects {
            affinity: Some(pb::AffinityTable {
                owner_keep_ms: 600,
                ..pb::AffinityTable::default()
            }),
            ..pb::Effects::default()
        });
    }
    let mut bench = Bench::under(&policy, keeping());
    bench.agent("ana", "desk", 10);
    assert_eq!(
        bench.route("t1", "gateway", "vip").state,
        pb::TicketState::Active as i32
    );
    bench.now += 10 * SECOND;
    bench.ok(Method::GetStats, &pb::GetStatsRequest::default());
    let records: Vec<_> = bench.core.log.records().map(<[u8]>::to_vec).collect();
    let mut again = NodeCore::new(Limits::default());
    replay(&mut again, &records);
    assert_eq!(state_hashes(&again), state_hashes(&bench.core));
}

/// The load is worth its name.
#[test]
fn the_load_meets_every_kind_of_record_and_most_events() {
    let (core, blocks) = live(7, 3000);
    let mut kinds = BTreeMap::<u8, usize>::new();
    for record in blocks.iter().flat_map(|(records, _)| records) {
        *kinds.entry(record[0]).or_default() += 1;
    }
    assert!([1, 2, 4, 5].iter().all(|kind| kinds.contains_key(kind)), "{kinds:?}");
    let (_, tenant) = core.states().find(|(name, _)| *name == "left").expect("a tenant");
    let stats = tenant.engine().stats();
    assert!(
        stats.completed > 20 && stats.cancelled > 20 && stats.clocks[0].breached > 10,
        "{stats:?}"
    );
}
