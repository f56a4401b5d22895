//! A policy as the engine is given it: plain data, one to one with `policy.proto`. `tables.rs` checks and indexes it.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::Millis;

/// A whole policy. Its `version` is the first 8 bytes (big-endian) of the SHA-256 of its compiled bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[allow(missing_docs)]
pub struct PolicySpec {
    pub version: u64,
    pub name: SmolStr,
    pub attributes: Vec<AttributeSpec>,
    pub channels: Vec<ChannelSpec>,
    pub clocks: Vec<ClockSpec>,
    pub layers: Vec<LayerSpec>,
    pub defaults: Effects,
    pub limits: PolicyLimits,
    pub lost_grace: Millis,
    pub suspend: Millis,
    pub short_abandon: Millis,
    pub answer_target: Millis,
    pub tables: Vec<HourTableSpec>,
    pub families: Vec<FamilySpec>,
    pub reserves: Vec<ReserveSpec>,
    pub caps: Vec<CapSpec>,
    /// Clocks that callers may not pause.
    pub unpausable: Vec<SmolStr>,
    /// What follows this policy by itself, in time order. No part of the policy: it comes with the install.
    pub later: Vec<Later>,
    /// Tickets that the install classifies again at once, also that of what follows; the others by `Command::Reclassify`.
    /// 0: all. No part of the policy: it comes with the install.
    #[serde(skip)]
    pub slice: u32,
}

/// A policy that is installed by itself at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Later {
    pub at: i64,
    pub policy: PolicySpec,
    pub reclassify: bool,
}

/// The hour's facts: read like an attribute, by the value of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct HourTableSpec {
    pub name: SmolStr,
    /// The attribute whose value is the key.
    pub attribute: SmolStr,
    /// Allowed values; empty: any.
    pub values: Vec<SmolStr>,
    pub keys_max: u32,
}

/// A family of skills whose members are any texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct FamilySpec {
    pub name: SmolStr,
    pub keys_max: u32,
}

/// What a queue's condition measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Measure {
    /// Waiting tickets.
    Length,
    /// The longest wait since `queued_at`, ms; 0 when nobody waits.
    OldestWait,
}

/// On at `over` or more, off at `until` or less.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct QueueCondition {
    pub measure: Measure,
    pub over: i64,
    pub until: i64,
    /// The queues measured, together. Empty: the ticket's own; a reserve's: the classes that name it.
    pub of: Vec<SmolStr>,
}

/// While the condition holds, its layer's needs are these; of several the last listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct OverlaySpec {
    pub when: QueueCondition,
    pub needs: Needs,
}

/// Agents with this skill are kept from every class; while it is open, not from those that name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ReserveSpec {
    pub name: SmolStr,
    pub skill: Need,
    pub open: QueueCondition,
}

/// Tickets that may be scheduled, suspended or waiting with one value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CapSpec {
    pub attribute: SmolStr,
    pub waiting_max: u32,
    /// Values with a cap of their own.
    pub own: Vec<(SmolStr, u32)>,
}

/// A declared attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct AttributeSpec {
    pub name: SmolStr,
    /// Below this, a guess counts as missing. 0: a fact.
    pub threshold_milli: u16,
    pub required: bool,
    /// Allowed values; empty: any.
    pub values: Vec<SmolStr>,
    pub sticky: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ChannelSpec {
    pub name: SmolStr,
    pub cost: u32,
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ClockSpec {
    pub name: SmolStr,
    pub starts: SmolStr,
    pub stops: SmolStr,
    pub hard: bool,
}

/// What a test asks of an attribute. Missing satisfies none but `Missing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Op {
    In,
    NotIn,
    Present,
    Missing,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Condition {
    Test {
        attribute: SmolStr,
        op: Op,
        values: Vec<SmolStr>,
    },
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

/// A skill at a level; with `attribute`, the family's member named by that attribute's value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Need {
    pub skill: SmolStr,
    pub level: u8,
    pub attribute: SmolStr,
}

/// And-ed any-of groups, and none-of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[allow(missing_docs)]
pub struct Needs {
    pub groups: Vec<Vec<Need>>,
    pub none_of: Vec<Need>,
}

/// When a step is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum StepMoment {
    /// An age since `queued_at`.
    Age(Millis),
    /// A share (thousandths) of this clock's target.
    Point { clock: SmolStr, share_milli: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct StepSpec {
    pub when: StepMoment,
    pub needs: Option<Needs>,
    pub boost: Millis,
    pub alert: SmolStr,
    pub overflow_to: SmolStr,
    pub move_to: SmolStr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ClockMode {
    Within,
    Exactly,
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ClockUse {
    pub clock: SmolStr,
    pub mode: ClockMode,
    pub target: Millis,
    pub warnings: Vec<Millis>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum AgentOrder {
    LeastLoaded,
    LongestIdle,
    BestLevel,
    SpareGeneralists,
    RoundRobin,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct AffinitySpec {
    pub hold: Millis,
    pub transfer_hold: Millis,
    pub needs: Option<Needs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct OfferSpec {
    /// 0: auto-accept.
    pub ttl: Millis,
    pub away_on_expiry: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct FitSpec {
    pub skill: Need,
    pub fit: Millis,
}

/// What a rule gives. See `Effects` in `policy.proto` for how layers combine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[allow(missing_docs)]
pub struct Effects {
    pub needs: Option<Needs>,
    pub head_start: Millis,
    /// (clock, otherwise): otherwise − the clock's target.
    pub by_deadline: Option<(SmolStr, Millis)>,
    pub slope_milli: Option<u32>,
    pub steps: Vec<StepSpec>,
    pub clocks: Vec<ClockUse>,
    pub order: Vec<AgentOrder>,
    pub affinity: Option<AffinitySpec>,
    /// With the affinity: how long the customer's first agent is remembered since set or renewed; 0: not at all.
    pub owner_keep: Millis,
    pub offer: Option<OfferSpec>,
    pub cost: Option<u32>,
    pub wrap_up: Option<Millis>,
    pub decline_exclude: Option<Millis>,
    pub fits: Vec<FitSpec>,
    pub skip_unstaffed: Option<bool>,
    pub overlays: Vec<OverlaySpec>,
    /// Reserves that may be released to the class, by name.
    pub reserves: Vec<SmolStr>,
    /// Tickets that may be scheduled, suspended or waiting in the queue.
    pub waiting_max: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RuleSpec {
    pub name: SmolStr,
    pub why: SmolStr,
    /// None: Otherwise.
    pub when: Option<Condition>,
    pub effects: Effects,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct LayerSpec {
    pub name: SmolStr,
    pub every: bool,
    pub rules: Vec<RuleSpec>,
}

/// 0: the engine's own default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[allow(missing_docs)]
pub struct PolicyLimits {
    pub waiting_max: u32,
    pub classes_max: u32,
    pub agents_max: u32,
    pub sessions_max: u32,
    pub closed_max: u32,
    pub closed_keep: Millis,
    /// Customers whose agent is remembered.
    pub owner_max: u32,
}
