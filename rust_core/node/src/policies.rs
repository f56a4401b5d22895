//! What is wished of a tenant's policies, worked out: apply, scenes, rollback, override. A pure function of the versions kept,
//! the request and the time; the engine is then told in one command, which is the one that is journaled.
//!
//! | wish | what stands afterwards |
//! |---|---|
//! | apply | this policy, with the scenes that its bytes have on; overrides end. With a start to come: what stands, until then; with an end: what stands now, from then on |
//! | scenes | these on, and no others; overrides stay |
//! | rollback | the tables and scenes of that version; overrides end |
//! | override | what stands, and one more; or one less |

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use csroute_engine::limits::LATER_MAX;
use csroute_engine::policy::PolicySpec;
use csroute_engine::{Candidate, Code, Micros, Rejection};
use csroute_wire::pb::csroute::v1 as pb;
use csroute_wire::pb::csroute::v1::VersionCause as Cause;
use csroute_wire::{DIFFERENCES_TOLD, Differences, Query, Wish, difference, install, tables, version_of};
use prost::Message;

use crate::versions::{Base, Declared, KeptVersion, Plan, Planned, Standing, Versions};

/// A wish that would be granted.
pub(crate) struct Granted {
    pub plan: Plan,
    pub spec: PolicySpec,
    pub reply: pb::InstallReply,
}

/// What becomes of a wish.
pub(crate) enum Grant {
    /// It is done already.
    Replayed(Box<pb::InstallReply>),
    /// It can be.
    New(Box<Granted>),
}

fn round_up(at: Micros) -> Micros {
    at.saturating_add(999).div_euclid(1000) * 1000
}

/// The scenes of each policy, with their dates.
#[derive(Default)]
struct Scenes(BTreeMap<u64, Vec<(String, Micros, Micros)>>);

impl Scenes {
    fn read(&mut self, versions: &Versions, fresh: &[(Vec<u8>, String)], hash: u64) -> Result<(), Rejection> {
        if let Entry::Vacant(place) = self.0.entry(hash) {
            let scenes = tables(versions.applied(fresh, hash)?.0)?.scenes.into_iter();
            let dated = scenes.map(|scene| (scene.name, scene.starts_us, scene.ends_us));
            place.insert(dated.collect());
        }
        Ok(())
    }

    fn of(&self, hash: u64) -> Vec<(String, Micros, Micros)> {
        self.0.get(&hash).cloned().unwrap_or_default()
    }
}

impl Versions {
    /// Works out what a wish comes to. `request`: the caller's own bytes.
    pub(crate) fn grant(&self, wish: &Wish, caller: &str, now: Micros) -> Result<Grant, Rejection> {
        let (terms, request) = (wish.terms(), wish.fingerprint());
        let current = self.current();
        let again = terms.expected.is_some_and(|expected| expected + 1 == self.last())
            && current.is_some_and(|current| current.request == request && current.told.by == caller);
        if again {
            return Ok(Grant::Replayed(self.replayed()));
        }
        self.expects(terms.expected)?;
        let (mut declared, mut fresh) = (self.declared().clone(), Vec::new());
        declared.reclassify = terms.reclassify;
        let mut told = pb::Version {
            number: self.last() + 1,
            by: caller.to_owned(),
            why: terms.why.to_owned(),
            ..pb::Version::default()
        };
        let (mut cause, mut at_start) = (Cause::Apply, false);
        let mut ended = Vec::new();
        match wish {
            Wish::Apply(asked) => {
                let hash = version_of(&asked.policy);
                if asked.at_start {
                    if self.started() == hash {
                        return Ok(Grant::Replayed(self.replayed()));
                    }
                    (cause, at_start) = (Cause::Start, true);
                }
                told.label.clone_from(&asked.label);
                let given = tables(&asked.policy)?;
                apply(&mut declared, hash, &given, now)?;
                fresh.push((asked.policy.clone(), asked.source.clone()));
                ended = declared.overrides.drain(..).map(|standing| standing.number).collect();
            }
            Wish::Scenes(asked) => {
                cause = Cause::Scene;
                self.scenes(&mut declared, &asked.scenes, now)?;
            }
            Wish::Rollback(asked) => {
                cause = Cause::Rollback;
                let to = self.version(asked.number)?;
                (told.of, told.label) = (asked.number, to.told.label.clone());
                declared.bases = vec![Base {
                    hash: to.base,
                    ..Base::default()
                }];
                declared.scenes.clone_from(&to.told.scenes);
                ended = declared.overrides.drain(..).map(|standing| standing.number).collect();
            }
            Wish::Override(asked) => {
                cause = Cause::Override;
                told.of = asked.undo;
                overriding(&mut declared, asked, told.number, caller, now)?;
            }
        }
        told.cause = cause.into();
        let version = KeptVersion {
            told,
            request,
            reclassify: terms.reclassify,
            ..KeptVersion::default()
        };
        if *self.declared() == declared && !self.is_empty() {
            return Ok(Grant::Replayed(self.replayed()));
        }
        let plan = Plan {
            version,
            declared,
            planned: Vec::new(),
            fresh,
            at_start,
            kept_max: terms.versions_kept,
        };
        self.worked_out(plan, ended, now)
            .map(|granted| Grant::New(Box::new(granted)))
    }

    fn replayed(&self) -> Box<pb::InstallReply> {
        Box::new(pb::InstallReply {
            version: self.current().map(|current| current.told.clone()),
            planned: self.planned(),
            replayed: true,
            ..pb::InstallReply::default()
        })
    }

    /// Compare and set: whoever comes second hears what came first.
    fn expects(&self, expected: Option<u64>) -> Result<(), Rejection> {
        let Some(expected) = expected.filter(|&expected| expected != self.last()) else {
            return Ok(());
        };
        let now = self.last();
        let by = self.current().map_or_else(String::new, |current| {
            let told = &current.told;
            let why = if told.why.is_empty() {
                String::new()
            } else {
                format!(" ({})", told.why)
            };
            let cause = told
                .cause()
                .as_str_name()
                .trim_start_matches("VERSION_CAUSE_")
                .to_lowercase();
            format!(", which came by {cause} from {}{why}", told.by)
        });
        let message = format!(
            "version {now} is in force{by}, not {expected}: look at what differs, then ask again and expect {now}"
        );
        Err(Rejection::about(Code::PolicyConflict, "expected", message))
    }

    /// Exactly these are wanted.
    fn scenes(&self, declared: &mut Declared, wanted: &[String], now: Micros) -> Result<(), Rejection> {
        let mut scenes = Scenes::default();
        let mut known = Vec::new();
        for base in &declared.bases {
            scenes.read(self, &[], base.hash)?;
            known.extend(scenes.of(base.hash));
        }
        if declared.bases.is_empty() {
            return Err(Rejection::new(
                Code::NoPolicy,
                "no policy is installed yet: apply one first",
            ));
        }
        for name in wanted {
            let mut named = known.iter().filter(|(scene, ..)| scene == name).peekable();
            if named.peek().is_none() {
                let has: Vec<&str> = known.iter().map(|(name, ..)| name.as_str()).collect();
                let has = if has.is_empty() {
                    "none".to_owned()
                } else {
                    has.join(", ")
                };
                let message = format!("the policy has no scene {name:?}: it has {has}");
                return Err(Rejection::about(Code::SceneUnknown, "scenes", message));
            }
            if named.all(|&(_, _, ends)| ends != 0 && ends <= now) {
                let message =
                    format!("the scene {name:?} is over: its dates ended; apply a policy that says otherwise");
                return Err(Rejection::about(Code::OutOfRange, "scenes", message));
            }
        }
        declared.scenes = wanted.to_vec();
        declared.scenes.sort_unstable();
        declared.scenes.dedup();
        Ok(())
    }

    /// What stands now, and at every moment at which that changes by itself.
    fn worked_out(&self, mut plan: Plan, ended: Vec<u64>, now: Micros) -> Result<Granted, Rejection> {
        let mut scenes = Scenes::default();
        for base in &plan.declared.bases {
            scenes.read(self, &plan.fresh, base.hash)?;
        }
        let declared = &plan.declared;
        let standing = |at| declared.standing(at, |hash| scenes.of(hash));
        let Some(first) = standing(now) else {
            let message = "its dates have not begun, and nothing is in force until then: apply one that is, first";
            return Err(Rejection::about(Code::OutOfRange, "policy.starts_us", message));
        };
        let bytes = self.bytes(&plan.fresh, &first)?;
        let mut later: Vec<(Micros, Vec<u8>, bool)> = Vec::new();
        let mut planned: Vec<Planned> = Vec::new();
        let mut before = first.clone();
        for at in moments(declared, &scenes, now) {
            let Some(then) = standing(at).filter(|then| *then != before) else {
                continue;
            };
            let bytes = self.bytes(&plan.fresh, &then)?;
            let (told, version) = coming(&plan.version, &before, &then, declared, at, &bytes)?;
            later.push((at, bytes, version.reclassify));
            planned.push(Planned { told, version });
            before = then;
        }
        if later.len() > LATER_MAX {
            let message = format!(
                "{} changes would follow by themselves, at most {LATER_MAX}: undo an override, or wait for one to end",
                later.len()
            );
            return Err(Rejection::about(Code::TooMany, "planned", message));
        }
        let follow: Vec<_> = later
            .iter()
            .map(|(at, bytes, reclassify)| (*at, bytes.as_slice(), *reclassify))
            .collect();
        let mut spec = install(&bytes, &follow)?;
        // As they were asked for, not as they were made of.
        spec.version = version_of(&bytes);
        let source = self.applied(&plan.fresh, first.base)?.1.len();
        let version = &mut plan.version;
        made_of(version, &first, &spec.name, &bytes);
        version.told.source_bytes = u32::try_from(source).unwrap_or(u32::MAX);
        let found = match self.current() {
            Some(current) => difference(&tables(&self.bytes_of(current)?)?, &tables(&bytes)?, DIFFERENCES_TOLD),
            None => Differences::none(0),
        };
        let reply = pb::InstallReply {
            version: Some(version.told.clone()),
            differences: found.told,
            differences_more: found.more,
            planned: planned.iter().map(|planned| planned.told.clone()).collect(),
            overrides_ended: ended,
            ..pb::InstallReply::default()
        };
        plan.planned = planned;
        Ok(Granted { plan, spec, reply })
    }

    /// A program installs tables as they are, whatever their dates, and says itself what follows.
    pub(crate) fn plain(&self, request: &[u8], caller: &str, now: Micros) -> Option<Plan> {
        let asked = pb::InstallPolicyRequest::decode(request).ok()?;
        let version = |bytes: &[u8], cause: Cause, reclassify| {
            let tables = tables(bytes).ok()?;
            let mut version = KeptVersion {
                reclassify,
                ..KeptVersion::default()
            };
            caller.clone_into(&mut version.told.by);
            version.told.cause = cause.into();
            let standing = Standing {
                base: version_of(bytes),
                scenes: tables.active_scenes,
                overrides: Vec::new(),
            };
            made_of(&mut version, &standing, &tables.name, bytes);
            Some(version)
        };
        let first = version(&asked.policy, Cause::Start, asked.reclassify)?;
        let mut bases = vec![Base {
            hash: first.base,
            ..Base::default()
        }];
        let mut planned = Vec::new();
        for later in &asked.later {
            let at_us = round_up(later.at_us.max(now));
            let version = version(&later.policy, Cause::Date, later.reclassify)?;
            bases.push(Base {
                hash: version.base,
                from_us: at_us,
                until_us: 0,
            });
            let told = pb::PlannedVersion {
                at_us,
                hash: version.told.hash,
                cause: Cause::Date.into(),
                what: format!("{} follows", version.told.name),
            };
            planned.push(Planned { told, version });
        }
        let all = std::iter::once(asked.policy).chain(asked.later.into_iter().map(|later| later.policy));
        Some(Plan {
            declared: Declared {
                bases,
                scenes: first.told.scenes.clone(),
                overrides: Vec::new(),
                reclassify: asked.reclassify,
            },
            version: first,
            planned,
            fresh: all.map(|bytes| (bytes, String::new())).collect(),
            at_start: false,
            kept_max: self.kept_max(),
        })
    }
}

fn made_of(version: &mut KeptVersion, standing: &Standing, name: &str, bytes: &[u8]) {
    let told = &mut version.told;
    told.hash = version_of(bytes);
    name.clone_into(&mut told.name);
    told.bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    told.scenes.clone_from(&standing.scenes);
    told.overrides = standing.overrides.iter().map(|standing| standing.number).collect();
    version.base = standing.base;
    version.overrides.clone_from(&standing.overrides);
}

/// A policy with its dates, among those that stand.
fn apply(declared: &mut Declared, hash: u64, given: &pb::CompiledPolicy, now: Micros) -> Result<(), Rejection> {
    let (from_us, until_us) = (given.starts_us, given.ends_us);
    if until_us != 0 && until_us <= now.max(from_us) {
        let message = "its dates are over: apply one whose dates are to come, or without any";
        return Err(Rejection::about(Code::OutOfRange, "policy.ends_us", message));
    }
    let dated = from_us > now || until_us != 0;
    declared
        .bases
        .retain(|base| dated && base.from_us <= now && base.hash != hash);
    declared.bases.push(Base {
        hash,
        from_us: if from_us > now { round_up(from_us) } else { 0 },
        until_us: round_up(until_us),
    });
    // A policy that comes later brings its scenes along; those that are on stay on until then.
    if from_us <= now || declared.bases.len() == 1 {
        declared.scenes.clear();
    }
    declared.scenes.extend(given.active_scenes.iter().cloned());
    declared.scenes.sort_unstable();
    declared.scenes.dedup();
    Ok(())
}

/// One more override, one whose end moves, or one less.
fn overriding(
    declared: &mut Declared,
    asked: &pb::OverrideRequest,
    number: u64,
    caller: &str,
    now: Micros,
) -> Result<(), Rejection> {
    if declared.bases.is_empty() {
        return Err(Rejection::new(
            Code::NoPolicy,
            "no policy is installed yet: apply one first",
        ));
    }
    if asked.undo > 0 {
        let before = declared.overrides.len();
        declared.overrides.retain(|standing| standing.number != asked.undo);
        if declared.overrides.len() < before {
            return Ok(());
        }
        let standing: Vec<String> = declared
            .overrides
            .iter()
            .map(|standing| standing.number.to_string())
            .collect();
        let standing = if standing.is_empty() {
            "none does".to_owned()
        } else {
            format!("these do: {}", standing.join(", "))
        };
        let message = format!("no override {} stands: {standing}", asked.undo);
        return Err(Rejection::about(Code::VersionUnknown, asked.undo.to_string(), message));
    }
    let until_us = round_up(now.saturating_add(asked.duration_ms * 1000));
    if let Some(same) = declared
        .overrides
        .iter_mut()
        .find(|standing| standing.changes == asked.changes)
    {
        same.until_us = same.until_us.max(until_us);
        asked.why.clone_into(&mut same.why);
        return Ok(());
    }
    declared.overrides.push(pb::Override {
        number,
        changes: asked.changes.clone(),
        since_us: now,
        until_us,
        by: caller.to_owned(),
        why: asked.why.clone(),
        reclassify: asked.reclassify,
    });
    Ok(())
}

/// When something may change by itself, rising.
fn moments(declared: &Declared, scenes: &Scenes, now: Micros) -> Vec<Micros> {
    let bases = declared.bases.iter().flat_map(|base| [base.from_us, base.until_us]);
    let dates = scenes.0.values().flatten();
    let wanted = dates.filter(|(name, ..)| declared.scenes.contains(name));
    let dates = wanted.flat_map(|&(_, starts, ends)| [round_up(starts), round_up(ends)]);
    let overrides = declared.overrides.iter().map(|standing| standing.until_us);
    let mut all: Vec<Micros> = bases.chain(dates).chain(overrides).filter(|&at| at > now).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The version that comes when what stood before becomes what stands then.
fn coming(
    first: &KeptVersion,
    before: &Standing,
    then: &Standing,
    declared: &Declared,
    at_us: Micros,
    bytes: &[u8],
) -> Result<(pb::PlannedVersion, KeptVersion), Rejection> {
    let over: Vec<&pb::Override> = before
        .overrides
        .iter()
        .filter(|standing| !then.overrides.contains(standing))
        .collect();
    let name = tables(bytes)?.name;
    let mut said: Vec<String> = over
        .iter()
        .map(|standing| format!("override {} is over", standing.number))
        .collect();
    if before.base != then.base {
        said.push(format!("{name} is in force"));
    }
    let scenes = |some: &Standing, others: &Standing, word: &str| -> Vec<String> {
        let only = some.scenes.iter().filter(|name| !others.scenes.contains(name));
        only.map(|name| format!("scene {name} {word}")).collect()
    };
    said.extend(scenes(then, before, "on"));
    said.extend(scenes(before, then, "off"));
    let cause = if over.is_empty() {
        Cause::Date
    } else {
        Cause::OverrideOver
    };
    let mut version = KeptVersion {
        reclassify: over.iter().any(|standing| standing.reclassify) || (over.is_empty() && declared.reclassify),
        ..KeptVersion::default()
    };
    version.told = pb::Version {
        by: over
            .first()
            .map_or_else(|| first.told.by.clone(), |standing| standing.by.clone()),
        why: said.join(", "),
        cause: cause.into(),
        of: over.first().map_or(0, |standing| standing.number),
        ..pb::Version::default()
    };
    made_of(&mut version, then, &name, bytes);
    let planned = pb::PlannedVersion {
        at_us,
        hash: version.told.hash,
        cause: cause.into(),
        what: said.join(", "),
    };
    Ok((planned, version))
}

impl Granted {
    /// The preview: what would change, counted as reads are.
    pub(crate) fn preview(self) -> Result<Query, Rejection> {
        let reply = pb::InstallReply {
            dry_run: true,
            ..self.reply
        };
        Ok(Query::preview(Candidate::new(Arc::new(self.spec))?, reply))
    }
}
