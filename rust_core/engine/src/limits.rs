//! Every bound, by name. The wire checks the lengths; the engine checks the counts.

use crate::Millis;

/// Longest id (ticket, agent, session, customer, source), bytes.
pub const ID_BYTES_MAX: usize = 128;
/// Longest attribute, skill, channel, clock, rule or layer name, bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest attribute value, bytes.
pub const VALUE_BYTES_MAX: usize = 256;
/// Longest reason or outcome, bytes.
pub const REASON_BYTES_MAX: usize = 128;
/// Longest context, bytes.
pub const CONTEXT_BYTES_MAX: usize = 1024;
/// Attributes a ticket.
pub const TICKET_ATTRIBUTES_MAX: usize = 32;
/// Skills of a ticket's own.
pub const TICKET_SKILLS_MAX: usize = 8;
/// Agents that a ticket names as excluded; also the declines it remembers.
pub const EXCLUDED_MAX: usize = 16;
/// Skills an agent.
pub const AGENT_SKILLS_MAX: usize = 256;
/// Units an agent, or a ticket.
pub const UNITS_MAX: u32 = 100_000;
/// Highest level of a skill.
pub const LEVEL_MAX: u8 = 100;
/// Channels a policy.
pub const CHANNELS_MAX: usize = 16;
/// Clocks a policy.
pub const CLOCKS_MAX: usize = 32;
/// Attributes a policy declares.
pub const POLICY_ATTRIBUTES_MAX: usize = 64;
/// Layers a policy.
pub const LAYERS_MAX: usize = 16;
/// Rules a layer.
pub const RULES_MAX: usize = 16_384;
/// Steps a class, all layers together: a bit each in a ticket's record.
pub const CLASS_STEPS_MAX: usize = 32;
/// Warning points a clock.
pub const WARNINGS_MAX: usize = 8;
/// Any-of groups a requirement, all layers together.
pub const GROUPS_MAX: usize = 24;
/// Entries an any-of group.
pub const GROUP_SKILLS_MAX: usize = 16;
/// How deep a condition may nest.
pub const CONDITION_DEPTH_MAX: usize = 8;
/// Items a batch.
pub const BATCH_MAX: usize = 4096;
/// Ids a `GetPositions`.
pub const POSITIONS_MAX: usize = 10_000;
/// Distinct skill names an engine.
pub const SKILL_NAMES_MAX: usize = 65_536;
/// Moments that callers mark, an engine.
pub const MOMENTS_MAX: usize = 64;

/// Steepest slope, thousandths.
pub const SLOPE_MILLI_MAX: u32 = 100_000;
/// A wait longer than this counts as this in the urgency: 2^43 µs, about 101 days. Keeps the urgency in 64 bits.
pub const SENIORITY_US_MAX: i64 = 1 << 43;
/// Largest head start or fit of a class, after summing: 10^12 ms. A larger sum is refused with the policy.
pub const HEAD_START_MS_MAX: Millis = 1_000_000_000_000;
/// Largest boost: 10^10 ms.
pub const BOOST_MS_MAX: Millis = 10_000_000_000;
/// Longest duration of any other kind: a year.
pub const DURATION_MS_MAX: Millis = 31_536_000_000;
/// Longest time to live of an offer: an hour.
pub const OFFER_TTL_MS_MAX: Millis = 3_600_000;
/// Policies that follow one by themselves.
pub const LATER_MAX: usize = 8;
/// The largest share of a canary, thousandths.
pub const CANARY_SHARE_MILLI_MAX: u32 = 500;
/// Rules that are tuned at a time.
pub const TUNED_MAX: usize = 256;
/// Largest tuned head start of a rule: a week. All that may be tuned together then stays far within 64 bits.
pub const TUNED_HEAD_START_MS_MAX: Millis = 604_800_000;
/// Greatest weight of a tuned rule's fits, thousandths.
pub const FIT_MILLI_MAX: u32 = 2000;
/// Tickets that a queue's bound or condition may name.
pub const WAITING_MAX: i64 = 100_000_000;

/// Defaults where the policy says 0.
pub const WAITING_DEFAULT: u32 = 2_000_000;
/// Classes.
pub const CLASSES_DEFAULT: u32 = 20_000;
/// Agents.
pub const AGENTS_DEFAULT: u32 = 200_000;
/// Sessions.
pub const SESSIONS_DEFAULT: u32 = 10_000;
/// Ended tickets remembered.
pub const CLOSED_DEFAULT: u32 = 2_000_000;
/// Customers whose agent is remembered.
pub const OWNERS_DEFAULT: u32 = 1_000_000;
/// How long they are remembered.
pub const CLOSED_KEEP_MS_DEFAULT: Millis = 300_000;
/// `decline_exclude_ms` where no rule says.
pub const DECLINE_EXCLUDE_MS_DEFAULT: Millis = 60_000;
