//! What is asked of a tenant's policies: read and checked. What versions there are is the node's to know.

use std::sync::Arc;

use csroute_engine::command::TableFacts;
use csroute_engine::limits::{
    CONTEXT_BYTES_MAX, DURATION_MS_MAX, HEAD_START_MS_MAX, ID_BYTES_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX,
};
use csroute_engine::{Code, Command, Rejection};
use prost::Message;

use crate::Method;
use crate::check::{Check, at_most, each, name, range, required, text, there, within};
use crate::making::version_of;
use crate::pb::csroute::v1 as pb;
use crate::pb::csroute::v1::override_change::Change;

/// Longest source kept with a version, bytes.
const SOURCE_BYTES_MAX: usize = 1 << 20;
/// Scenes a request may name.
const SCENES_MAX: usize = 64;
/// Changes of one override.
const CHANGES_MAX: usize = 16;
/// Facts that one command sets.
const ENTRIES_MAX: usize = 65_536;
/// How long an override may stand.
const OVERRIDE_MS_MAX: i64 = 7 * 24 * 3_600_000;
const OVERRIDE_MS_MIN: i64 = 1000;
const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1000;

/// What is to be installed.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Wish {
    Apply(pb::ApplyRequest),
    Scenes(pb::ActivateSceneRequest),
    Rollback(pb::RollbackRequest),
    Override(pb::OverrideRequest),
}

/// What all that installs have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Terms<'a> {
    pub why: &'a str,
    pub expected: Option<u64>,
    pub reclassify: bool,
    pub dry_run: bool,
    /// Versions that stay, by the node's setting; 0: all.
    pub versions_kept: u32,
}

macro_rules! terms {
    ($asked:expr) => {
        Terms {
            why: &$asked.why,
            expected: $asked.expected,
            reclassify: $asked.reclassify,
            dry_run: $asked.dry_run,
            versions_kept: $asked.versions_kept,
        }
    };
}

impl Wish {
    /// What all have.
    pub fn terms(&self) -> Terms<'_> {
        match self {
            Wish::Apply(asked) => terms!(asked),
            Wish::Scenes(asked) => terms!(asked),
            Wish::Rollback(asked) => terms!(asked),
            Wish::Override(asked) => terms!(asked),
        }
    }

    /// With the node's own bound: what is journaled has it in it, and comes to the same when replayed.
    #[must_use]
    pub fn kept(mut self, versions_kept: u32) -> Self {
        match &mut self {
            Wish::Apply(asked) => asked.versions_kept = versions_kept,
            Wish::Scenes(asked) => asked.versions_kept = versions_kept,
            Wish::Rollback(asked) => asked.versions_kept = versions_kept,
            Wish::Override(asked) => asked.versions_kept = versions_kept,
        }
        self
    }

    /// As a request's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Wish::Apply(asked) => asked.encode_to_vec(),
            Wish::Scenes(asked) => asked.encode_to_vec(),
            Wish::Rollback(asked) => asked.encode_to_vec(),
            Wish::Override(asked) => asked.encode_to_vec(),
        }
    }

    /// Equal for what a caller sends twice.
    pub fn fingerprint(&self) -> u64 {
        version_of(&self.clone().kept(0).encode())
    }
}

/// A look at the versions.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Look {
    /// So many, older than this one; 0: from the newest on.
    List {
        size: usize,
        before: u64,
    },
    Get(u64),
    Diff(pb::DiffRequest),
}

/// What is asked of the policies.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Policies {
    Wish(Box<Wish>),
    Look(Look),
}

fn read<M: Message + Default>(bytes: &[u8]) -> Check<M> {
    M::decode(bytes).map_err(|error| Rejection::new(Code::Malformed, format!("no such message: {error}")))
}

pub(crate) fn policies(method: Method, bytes: &[u8]) -> Check<Policies> {
    let wish = match method {
        Method::PolicyList => {
            let asked: pb::ListVersionsRequest = read(bytes)?;
            let size = match asked.page_size {
                0 => PAGE_DEFAULT,
                size => range("page_size", size, 1..=PAGE_MAX)?,
            };
            let before = if asked.page_token.is_empty() {
                Some(0)
            } else {
                asked.page_token.parse().ok()
            };
            let before = before.ok_or_else(|| {
                Rejection::about(
                    Code::UnknownValue,
                    "page_token",
                    "not from a reply: begin again with none",
                )
            })?;
            return Ok(Policies::Look(Look::List {
                size: size as usize,
                before,
            }));
        }
        Method::PolicyGet => return Ok(Policies::Look(Look::Get(read::<pb::GetVersionRequest>(bytes)?.number))),
        Method::PolicyDiff => return Ok(Policies::Look(Look::Diff(read(bytes)?))),
        Method::PolicyApply => {
            let asked: pb::ApplyRequest = read(bytes)?;
            there("policy", !asked.policy.is_empty())?;
            text("source", &asked.source, SOURCE_BYTES_MAX)?;
            text("label", &asked.label, ID_BYTES_MAX)?;
            Wish::Apply(asked)
        }
        Method::PolicyScene => {
            let asked: pb::ActivateSceneRequest = read(bytes)?;
            at_most("scenes", asked.scenes.len() > SCENES_MAX, SCENES_MAX)?;
            each("scenes", &asked.scenes, |scene| name("", scene).map(|_| ()))?;
            Wish::Scenes(asked)
        }
        Method::PolicyRollback => {
            let asked: pb::RollbackRequest = read(bytes)?;
            there("number", asked.number > 0)?;
            Wish::Rollback(asked)
        }
        _ => {
            let asked: pb::OverrideRequest = read(bytes)?;
            checked(&asked)?;
            Wish::Override(asked)
        }
    };
    text("why", wish.terms().why, CONTEXT_BYTES_MAX)?;
    Ok(Policies::Wish(Box::new(wish)))
}

/// Fills a table of the hour's facts.
pub(crate) fn set_table(bytes: &[u8]) -> Check<Command<'static>> {
    let asked: pb::SetTableRequest = read(bytes)?;
    name("table", &asked.table)?;
    at_most("entries", asked.entries.len() > ENTRIES_MAX, ENTRIES_MAX)?;
    each("entries", &asked.entries, |entry| {
        required("key", &entry.key, VALUE_BYTES_MAX)?;
        text("value", &entry.value, VALUE_BYTES_MAX).map(|_| ())
    })?;
    let entries = asked
        .entries
        .iter()
        .map(|entry| (entry.key.as_str().into(), entry.value.as_str().into()));
    Ok(Command::SetTable {
        facts: Arc::new(TableFacts {
            table: asked.table.as_str().into(),
            entries: entries.collect(),
            replace: asked.replace,
        }),
        reclassify: asked.reclassify,
    })
}

fn checked(asked: &pb::OverrideRequest) -> Check<()> {
    if asked.undo > 0 {
        if asked.changes.is_empty() && asked.duration_ms == 0 {
            return Ok(());
        }
        let message = "an override is begun or undone: give undo alone, or changes and duration_ms";
        return Err(Rejection::about(Code::OutOfRange, "undo", message));
    }
    there("changes", !asked.changes.is_empty())?;
    at_most("changes", asked.changes.len() > CHANGES_MAX, CHANGES_MAX)?;
    let within_range = |field: &str, value: i64, low: i64, high: i64| {
        if (low..=high).contains(&value) {
            return Ok(());
        }
        Err(Rejection::about(
            Code::OutOfRange,
            field,
            format!("{value} ms is outside of {low}..{high}"),
        ))
    };
    within_range("duration_ms", asked.duration_ms, OVERRIDE_MS_MIN, OVERRIDE_MS_MAX)?;
    each("changes", &asked.changes, |change| match &change.change {
        None => Err(Rejection::about(
            Code::FieldMissing,
            "change",
            "give head_start, step, reserve or skill",
        )),
        Some(Change::HeadStart(change)) => {
            text("head_start.rule", &change.rule, 2 * NAME_BYTES_MAX + 1)?;
            within_range(
                "head_start.head_start_ms",
                change.head_start_ms,
                -HEAD_START_MS_MAX,
                HEAD_START_MS_MAX,
            )
        }
        Some(Change::Step(change)) => {
            text("step.rule", &change.rule, 2 * NAME_BYTES_MAX + 1)?;
            within_range("step.age_ms", change.age_ms.unwrap_or(0), 0, DURATION_MS_MAX)
        }
        Some(Change::Reserve(change)) => name("reserve.reserve", &change.reserve).map(|_| ()),
        Some(Change::Skill(change)) => {
            range("skill.level", change.level, 0..=100)?;
            name("group", &change.group)
                .and_then(|_| name("may", &change.may))
                .map(|_| ())
                .map_err(|no| within("skill", no))
        }
    })
}
