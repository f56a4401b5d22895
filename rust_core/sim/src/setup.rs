//! What a simulation is told before it starts: plain data, as Python sends it. `Setup::check` says what is wrong.
//!
//! Durations and times are µs, times since the simulation's start. Tables refer to each other by place.

use csroute_engine::Micros;
use serde::Deserialize;
use smol_str::SmolStr;

use crate::draw::Distribution;

/// Transfers and repeat contacts of one ticket, at most.
pub const AGAIN_MAX: u8 = 8;
/// Agents a simulation.
pub const AGENTS_MAX: usize = 1_000_000;
/// Interval × group figures.
pub const CELLS_MAX: usize = 10_000_000;

/// Everything but the policy and the arrivals.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The same seed, the same rows.
    pub seed: u64,
    /// Unix µs: when it begins.
    pub start_us: Micros,
    /// Presence and load are told by intervals of this length,
    pub interval_us: Micros,
    /// so many of them; what comes later counts in the last.
    pub intervals: usize,
    /// Named by place below.
    pub distributions: Vec<Distribution>,
    /// What tickets may be.
    pub kinds: Vec<Kind>,
    /// Groups of agents: how many there are.
    pub groups: u16,
    /// How agents behave.
    pub conducts: Vec<Conduct>,
    /// Who works, and when.
    pub agents: Vec<Agent>,
    /// `pace[category][conduct]`: a draw of work takes so many times its length.
    pub pace: Vec<Vec<f64>>,
    /// Keep every command and event.
    #[serde(default)]
    pub trace: bool,
}

/// A kind of ticket: what the gateway says of it, and what its customer does.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// As the policy declares it.
    pub channel: SmolStr,
    /// (name, value, confidence in thousandths).
    pub attributes: Vec<(SmolStr, SmolStr, u16)>,
    /// The ticket's own (skill, level).
    #[serde(default)]
    pub skills: Vec<(SmolStr, u8)>,
    /// A row of `pace`.
    pub category: usize,
    /// How long it takes.
    pub work: usize,
    /// How long the customer waits.
    pub patience: usize,
    /// The probability that it is handed on once worked on,
    #[serde(default)]
    pub transfer: f64,
    /// to this queue.
    #[serde(default)]
    pub transfer_to: SmolStr,
    /// The customer comes back with this probability after an answer,
    #[serde(default)]
    pub again: f64,
    /// and with this one after leaving without,
    #[serde(default)]
    pub again_abandoned: f64,
    /// after so long (a distribution),
    #[serde(default)]
    pub again_after: usize,
    /// as this kind,
    #[serde(default)]
    pub again_kind: usize,
    /// asking for whoever answered.
    #[serde(default)]
    pub again_same_agent: bool,
    /// (moment, distribution): marked so long after the first answer, at the latest when the work is done.
    #[serde(default)]
    pub marks: Vec<(SmolStr, usize)>,
}

/// How an agent answers offers and writes up.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conduct {
    /// How long until an offer is answered; none: at once.
    pub answer: Option<usize>,
    /// Probability that an offer is declined,
    pub decline: f64,
    /// or not answered at all.
    pub miss: f64,
    /// How long writing up takes, where the policy has a wrap-up; none: as long as the policy says.
    pub wrap_up: Option<usize>,
    /// Sent away for a missed offer, back after this.
    pub back_after_us: Micros,
}

/// An agent and the working time.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Unique.
    pub id: SmolStr,
    /// (skill, level).
    pub skills: Vec<(SmolStr, u8)>,
    /// Units.
    pub capacity: u32,
    /// (channel, limit; 0: the policy's); empty: all.
    pub channels: Vec<(SmolStr, u32)>,
    /// A place below `groups`.
    pub group: u16,
    /// A place in `conducts`.
    pub conduct: usize,
    /// (from, to): there, and taking work. At the end what is held is finished.
    pub shifts: Vec<(Micros, Micros)>,
    /// (from, to): away.
    pub breaks: Vec<(Micros, Micros)>,
}

impl Setup {
    /// Every place exists, every probability is one, every span goes forward: or which does not.
    pub fn check(&self) -> Result<(), String> {
        let distributions = self.distributions.len();
        let within = |what: String, place: usize, length: usize| {
            (place < length)
                .then_some(())
                .ok_or_else(|| format!("{what} is {place}, and there are {length}"))
        };
        let share = |what: String, value: f64| {
            let sound = (0.0..=1.0).contains(&value);
            sound
                .then_some(())
                .ok_or_else(|| format!("{what} is {value}: a probability is from 0 to 1"))
        };
        for (place, distribution) in self.distributions.iter().enumerate() {
            if let Some(fault) = distribution.fault() {
                return Err(format!("distributions[{place}]: {fault}"));
            }
        }
        for (place, kind) in self.kinds.iter().enumerate() {
            let field = |name: &str| format!("kinds[{place}].{name}");
            within(field("category"), kind.category, self.pace.len())?;
            within(field("again_kind"), kind.again_kind, self.kinds.len())?;
            for (name, value) in [
                ("work", kind.work),
                ("patience", kind.patience),
                ("again_after", kind.again_after),
            ] {
                within(field(name), value, distributions)?;
            }
            for (_, after) in &kind.marks {
                within(field("marks"), *after, distributions)?;
            }
            share(field("transfer"), kind.transfer)?;
            share(field("again"), kind.again)?;
            share(field("again_abandoned"), kind.again_abandoned)?;
        }
        for (place, conduct) in self.conducts.iter().enumerate() {
            let field = |name: &str| format!("conducts[{place}].{name}");
            for (name, value) in [("answer", conduct.answer), ("wrap_up", conduct.wrap_up)] {
                within(field(name), value.unwrap_or(0), distributions)?;
            }
            share(field("decline"), conduct.decline)?;
            share(field("miss"), conduct.miss)?;
        }
        for (place, row) in self.pace.iter().enumerate() {
            if row.len() != self.conducts.len() || row.iter().any(|pace| !pace.is_finite() || *pace <= 0.0) {
                return Err(format!(
                    "pace[{place}] needs a positive number for each of {} conducts",
                    self.conducts.len()
                ));
            }
        }
        for (place, agent) in self.agents.iter().enumerate() {
            let field = |name: &str| format!("agents[{place}] ({}).{name}", agent.id);
            within(field("conduct"), agent.conduct, self.conducts.len())?;
            within(field("group"), agent.group.into(), self.groups.into())?;
            for spans in [&agent.shifts, &agent.breaks] {
                let forward = spans.iter().all(|(from, to)| 0 <= *from && from < to)
                    && spans.windows(2).all(|pair| pair[0].1 <= pair[1].0);
                if !forward {
                    return Err(format!(
                        "{} must go forward and not overlap",
                        field("shifts and breaks")
                    ));
                }
            }
        }
        let cells = self.intervals.saturating_mul(self.groups.into());
        if self.agents.len() > AGENTS_MAX || cells > CELLS_MAX || self.interval_us < 1 || self.intervals < 1 {
            return Err(format!(
                "{} agents (at most {AGENTS_MAX}), {cells} interval × group figures (1 to {CELLS_MAX}), interval {} µs",
                self.agents.len(),
                self.interval_us
            ));
        }
        Ok(())
    }
}
