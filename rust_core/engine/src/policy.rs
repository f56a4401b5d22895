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
    pub offer: Option<OfferSpec>,
    pub cost: Option<u32>,
    pub wrap_up: Option<Millis>,
    pub decline_exclude: Option<Millis>,
    pub fits: Vec<FitSpec>,
    pub skip_unstaffed: Option<bool>,
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
}
