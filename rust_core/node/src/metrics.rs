//! The node's figures as JSON, for whoever exposes them.

use csroute_engine::view::{ClockStats, QueueStats, StatsView};
use serde_json::{Map, Value, json};

use crate::core::NodeCore;
use crate::histogram::Histogram;
use crate::tenant::{Rejections, Tenant};

/// Figures that stand outside the tenants.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Outside<'a> {
    pub in_flight: usize,
    pub draining: bool,
    pub failed: bool,
    pub clock_jumps: u64,
    /// Refused before the writer saw them.
    pub refused: &'a Rejections,
    pub end_to_end: &'a Histogram,
    /// Of the journal, where there is one.
    pub journal: Option<Value>,
}

/// All figures. Tenants stand in the order of their names.
pub fn metrics(core: &NodeCore, outside: &Outside<'_>) -> Vec<u8> {
    let mut rejections = core.rejections().clone();
    for (code, count) in outside.refused {
        *rejections.entry(*code).or_default() += count;
    }
    let tenants: Map<String, Value> = core
        .tenants()
        .map(|(name, it)| (name.to_string(), tenant(it)))
        .collect();
    let watchers: usize = core.tenants().map(|(_, tenant)| tenant.feed.watchers()).sum();
    let all = json!({
        "in_flight": outside.in_flight,
        "parked": core.parked_len(),
        "watchers": watchers,
        "draining": outside.draining,
        "failed": outside.failed,
        "clock_jumps": outside.clock_jumps,
        "rejections": counts(&rejections),
        "tenants": tenants,
        "decision_us": core.decisions().json(),
        "end_to_end_us": outside.end_to_end.json(),
        "journal": outside.journal,
    });
    all.to_string().into_bytes()
}

fn counts(rejections: &Rejections) -> Map<String, Value> {
    rejections
        .iter()
        .map(|(code, count)| (code.name().to_owned(), json!(count)))
        .collect()
}

/// These fields of a value, under their own names.
macro_rules! fields {
    ($value:ident: $($name:ident)*) => { json!({$(stringify!($name): $value.$name),*}) };
}

/// The fields of `GetStatsReply`, but for the state hash, which is no figure.
fn tenant(tenant: &Tenant) -> Value {
    let stats: StatsView = tenant.engine.stats();
    let mut all = fields!(stats: scheduled waiting suspended offered active wrapping
        submitted assigned completed closed cancelled overflowed remembered
        agents_available agents_away agents_draining agents_offline units_used units_total
        classes profiles policy_version service_level_milli);
    all["policy_name"] = json!(stats.policy_name.as_str());
    all["sequence"] = json!(tenant.engine.sequence());
    all["draining"] = json!(tenant.draining);
    all["rejections"] = counts(&tenant.rejections).into();
    all["queues"] = stats.queues.iter().map(queue).collect();
    all["clocks"] = stats.clocks.iter().map(clock).collect();
    all
}

fn queue(stats: &QueueStats) -> Value {
    let mut all = fields!(stats: waiting arrived answered met abandoned short_abandoned overflowed completed);
    all["queue"] = json!(stats.queue.as_str());
    all["oldest_wait_ms"] = json!(stats.oldest_wait);
    all["wait_total_ms"] = json!(stats.wait_total);
    all
}

fn clock(stats: &ClockStats) -> Value {
    let mut all = fields!(stats: met breached warned);
    all["clock"] = json!(stats.clock.as_str());
    all
}
