//! Tunings: head starts, slopes and fit weights that somebody moves while the policy stands, a controller above all.
//!
//! A tuning replaces these figures of single rules, for all who wait too, and lapses by itself unless it is renewed. What
//! it does not name is as the policy says. Another policy ends it. Who is eligible never depends on it, so nothing is to
//! be settled: from the next decision on the order is another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::canary::CanaryImage;
use crate::command::Answer;
use crate::limits::{FIT_MILLI_MAX, SLOPE_MILLI_MAX, TUNED_HEAD_START_MS_MAX, TUNED_MAX};
use crate::policy::Effects;
use crate::tables::{RuleAt, Tables};
use crate::{Code, Engine, Micros, Millis, Rejection, round_up};

/// One rule's new figures; None: the policy's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RuleTuning {
    pub layer: SmolStr,
    pub rule: SmolStr,
    /// In place of the rule's head start, by deadline or not.
    pub head_start: Option<Millis>,
    pub slope_milli: Option<u32>,
    /// The rule's fits, times this.
    pub fit_milli: Option<u32>,
}

/// What is tuned, as given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TuningImage {
    rules: Vec<RuleTuning>,
    until: Micros,
}

/// What is tuned now.
#[derive(Debug, Default)]
pub(crate) struct Tuning {
    image: TuningImage,
    /// The policy's version that it is of, and what its rules give instead.
    version: u64,
    effects: Arc<BTreeMap<RuleAt, Effects>>,
}

impl Tuning {
    /// What rules of this policy give instead of what they say.
    pub(crate) fn of(&self, version: u64) -> Option<Arc<BTreeMap<RuleAt, Effects>>> {
        (version == self.version && !self.effects.is_empty()).then(|| Arc::clone(&self.effects))
    }

    /// When it lapses; None: nothing is tuned.
    pub(crate) fn until(&self) -> Option<Micros> {
        (self.image.until != 0).then_some(self.image.until)
    }

    /// For a snapshot; None: nothing is tuned.
    pub(crate) fn image(&self) -> Option<&TuningImage> {
        (self.image.until != 0).then_some(&self.image)
    }
}

fn tuned(tables: &Tables, rule: &RuleTuning) -> Result<(RuleAt, Effects), Rejection> {
    let named = format!("{}.{}", rule.layer, rule.rule);
    let layer = tables.spec.layers.iter().position(|layer| layer.name == rule.layer);
    let at = layer
        .and_then(|layer| tables.rule(layer as u8, &rule.rule))
        .ok_or_else(|| Rejection::about(Code::UnknownValue, named.clone(), "the current policy has no such rule"))?;
    let within = |what: &str, value: Option<i64>, low: i64, high: i64| match value {
        Some(value) if !(low..=high).contains(&value) => {
            let message = format!("{what} is {value}; {low} to {high} may be tuned");
            Err(Rejection::about(Code::OutOfRange, named.clone(), message))
        }
        _ => Ok(()),
    };
    let longest = TUNED_HEAD_START_MS_MAX;
    within("head_start_ms", rule.head_start, -longest, longest)?;
    within(
        "slope_milli",
        rule.slope_milli.map(i64::from),
        0,
        SLOPE_MILLI_MAX.into(),
    )?;
    within("fit_milli", rule.fit_milli.map(i64::from), 0, FIT_MILLI_MAX.into())?;
    let mut effects = tables.effects(at).clone();
    if let Some(head_start) = rule.head_start {
        (effects.head_start, effects.by_deadline) = (head_start, None);
    }
    if let Some(slope_milli) = rule.slope_milli {
        effects.slope_milli = Some(slope_milli);
    }
    if let Some(weight) = rule.fit_milli {
        for fit in &mut effects.fits {
            fit.fit = fit.fit * i64::from(weight) / 1000;
        }
    }
    Ok((at, effects))
}

impl Engine {
    /// The command: these are the rules tuned from now on, for so long.
    pub(crate) fn tune(&mut self, rules: &[RuleTuning], lapse: Millis, version: u64) -> Result<Answer, Rejection> {
        let until = round_up(self.now.saturating_add(lapse * 1000));
        self.retune(
            TuningImage {
                rules: rules.to_vec(),
                until,
            },
            version,
        )?;
        Ok(Answer::default())
    }

    /// Takes up what a snapshot says.
    pub(crate) fn load_steered(
        &mut self,
        tuning: Option<TuningImage>,
        canary: Option<CanaryImage>,
    ) -> Result<(), Rejection> {
        if let Some(tuning) = tuning {
            self.retune(tuning, 0)?;
        }
        canary.map_or(Ok(()), |canary| self.load_canary(canary))
    }

    /// Its time has come, or another policy: all is as the policy says.
    pub(crate) fn end_tuning(&mut self) {
        let before = std::mem::take(&mut self.tuning);
        self.follow_tuning(before.version, &before.effects);
    }

    fn retune(&mut self, image: TuningImage, version: u64) -> Result<(), Rejection> {
        let tables = Arc::clone(self.current()?);
        let current = tables.spec.version;
        if version != 0 && version != current {
            let message = format!("it was made for the policy version {version}; {current} is installed now");
            return Err(Rejection::about(Code::Conflict, "policy_version", message));
        }
        if image.rules.len() > TUNED_MAX {
            let message = format!("at most {TUNED_MAX} rules are tuned at a time");
            return Err(Rejection::about(Code::TooMany, "rules", message));
        }
        let mut effects = BTreeMap::new();
        for rule in &image.rules {
            let (at, tuned) = tuned(&tables, rule)?;
            if effects.insert(at, tuned).is_some() {
                let twice = format!("{}.{}", rule.layer, rule.rule);
                return Err(Rejection::about(Code::OutOfRange, twice, "a rule is tuned once"));
            }
        }
        let image = if image.rules.is_empty() {
            TuningImage::default()
        } else {
            image
        };
        self.timers.due_at(image.until / 1000);
        let fresh = Tuning {
            image,
            version: current,
            effects: Arc::new(effects),
        };
        let before = std::mem::replace(&mut self.tuning, fresh);
        self.follow_tuning(current, &before.effects);
        Ok(())
    }

    /// The classes whose rules are tuned otherwise than before.
    fn follow_tuning(&mut self, version: u64, before: &BTreeMap<RuleAt, Effects>) {
        let now = Arc::clone(&self.tuning.effects);
        let differs = |at: &&RuleAt| before.get(*at) != now.get(*at);
        let changed: BTreeSet<RuleAt> = before.keys().chain(now.keys()).filter(differs).copied().collect();
        if changed.is_empty() {
            return;
        }
        let touched = |class: &crate::class::Class| {
            class.key.policy == version && class.key.applied.iter().any(|rule| changed.contains(rule))
        };
        let classes: Vec<u32> = self
            .classes
            .iter()
            .filter(|(_, class)| touched(class))
            .map(|(number, _)| number)
            .collect();
        for number in classes {
            let class = &self.classes[number];
            let (tables, key) = (Arc::clone(&class.tables), class.key.clone());
            let urgency = self.urgency_of(&tables, &key, &class.clocks);
            let Ok(fits) = self.fits_of(&tables, &key) else {
                continue; // its skills were known when it was made: there is none to refuse
            };
            let class = &mut self.classes[number];
            (class.slope_milli, class.head_start) = urgency;
            class.fits = fits;
            for at in 0..class.stages.len() {
                let line = self.classes[number].stages[at].line;
                self.weigh(number, line);
            }
        }
    }

    /// A line's head weighs as its class says.
    fn weigh(&mut self, number: u32, line: u32) {
        let class = &self.classes[number];
        let head = &mut self.board.heads[line as usize];
        head.base = class.slope_milli * head.boost_us + 1_000_000 * class.head_start;
        head.slope_milli = class.slope_milli as u32;
    }
}
