//! A tenant's policies as they follow each other: what was installed, by whom and why, and what will follow by itself.
//!
//! What stands is said once ([`Declared`]): policies with their dates, scenes, overrides. What that means at a time is worked
//! out from it, now and for every moment to come; the engine gets both, and installs the later ones by its own timers.
//! Whatever the engine says it installed becomes a version here, in a replay as it did then: nothing here asks a clock, a
//! setting or a disk. Scenes and overrides are kept as what they say, so a night of them costs no copies of the tables.

use csroute_engine::{Code, Micros, Rejection};
use csroute_wire::pb::csroute::v1 as pb;
use csroute_wire::{DIFFERENCES_MAX, Look, difference, made, tables, version_of};
use prost::Message;

/// Versions stay, whatever the bounds.
const KEPT_MIN: usize = 3;
/// Tables and sources of all versions together, bytes; past it the oldest go.
const KEPT_BYTES_MAX: u64 = 1 << 30;

/// A policy that was applied, and when it holds.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Base {
    /// The version of its bytes.
    #[prost(fixed64, tag = "1")]
    pub hash: u64,
    /// 0: since it came.
    #[prost(int64, tag = "2")]
    pub from_us: Micros,
    /// 0: until another comes.
    #[prost(int64, tag = "3")]
    pub until_us: Micros,
}

impl Base {
    fn holds(&self, at: Micros) -> bool {
        self.from_us <= at && (self.until_us == 0 || at < self.until_us)
    }
}

/// What operators said, and has not ended.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Declared {
    /// The last that holds is in force.
    #[prost(message, repeated, tag = "1")]
    pub bases: Vec<Base>,
    /// Wanted; their dates say when they are on.
    #[prost(string, repeated, tag = "2")]
    pub scenes: Vec<String>,
    /// By number.
    #[prost(message, repeated, tag = "3")]
    pub overrides: Vec<pb::Override>,
    /// Waiting tickets are classified again by what comes by a date.
    #[prost(bool, tag = "4")]
    pub reclassify: bool,
}

/// What holds at a time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    pub base: u64,
    pub scenes: Vec<String>,
    pub overrides: Vec<pb::Override>,
}

/// A version, and what its tables are made of.
#[derive(Clone, PartialEq, prost::Message)]
pub struct KeptVersion {
    /// What is told of it.
    #[prost(message, required, tag = "1")]
    pub told: pb::Version,
    /// The applied policy.
    #[prost(fixed64, tag = "2")]
    pub base: u64,
    /// In force with it.
    #[prost(message, repeated, tag = "3")]
    pub overrides: Vec<pb::Override>,
    /// Of the request that made it: the same once more is the same.
    #[prost(fixed64, tag = "4")]
    pub request: u64,
    /// Waiting tickets were classified again.
    #[prost(bool, tag = "5")]
    pub reclassify: bool,
}

/// Tables as they were applied.
#[derive(Clone, PartialEq, prost::Message)]
struct KeptTables {
    #[prost(fixed64, tag = "1")]
    hash: u64,
    #[prost(bytes = "vec", tag = "2")]
    bytes: Vec<u8>,
    #[prost(string, tag = "3")]
    source: String,
}

/// A version to come.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Planned {
    /// What is told of it.
    #[prost(message, required, tag = "1")]
    pub told: pb::PlannedVersion,
    /// What it will be.
    #[prost(message, required, tag = "2")]
    pub version: KeptVersion,
}

/// All of them, as a snapshot keeps them.
#[derive(Clone, PartialEq, prost::Message)]
struct Kept {
    /// Oldest first; numbers rise by one.
    #[prost(message, repeated, tag = "1")]
    versions: Vec<KeptVersion>,
    #[prost(message, repeated, tag = "2")]
    tables: Vec<KeptTables>,
    #[prost(message, required, tag = "3")]
    declared: Declared,
    #[prost(message, repeated, tag = "4")]
    planned: Vec<Planned>,
    /// The newest number.
    #[prost(uint64, tag = "5")]
    last: u64,
    /// The policy of the server's own setting that came last.
    #[prost(fixed64, tag = "6")]
    started: u64,
    /// Versions that stay; 0: all.
    #[prost(uint32, tag = "7")]
    most: u32,
}

/// What is to be installed, worked out: nothing was changed yet.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub version: KeptVersion,
    pub declared: Declared,
    pub planned: Vec<Planned>,
    /// Tables that are new here: bytes and source.
    pub fresh: Vec<(Vec<u8>, String)>,
    /// Comes by a server's setting.
    pub at_start: bool,
    pub kept_max: u32,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Versions {
    kept: Kept,
    /// What the engine is about to install.
    staged: Option<Plan>,
}

impl Versions {
    /// Nothing was ever installed.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.last == 0
    }

    /// As bytes.
    pub(crate) fn save(&self) -> Vec<u8> {
        self.kept.encode_to_vec()
    }

    /// From `save`'s.
    pub(crate) fn load(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        Ok(Self {
            kept: Kept::decode(bytes)?,
            staged: None,
        })
    }

    pub(crate) fn current(&self) -> Option<&KeptVersion> {
        self.kept.versions.last()
    }

    pub(crate) fn last(&self) -> u64 {
        self.kept.last
    }

    pub(crate) fn kept_max(&self) -> u32 {
        self.kept.most
    }

    pub(crate) fn started(&self) -> u64 {
        self.kept.started
    }

    pub(crate) fn declared(&self) -> &Declared {
        &self.kept.declared
    }

    pub(crate) fn planned(&self) -> Vec<pb::PlannedVersion> {
        self.kept.planned.iter().map(|planned| planned.told.clone()).collect()
    }

    pub(crate) fn version(&self, number: u64) -> Result<&KeptVersion, Rejection> {
        let number = if number == 0 { self.kept.last } else { number };
        let (first, last) = (self.kept.last + 1 - self.kept.versions.len() as u64, self.kept.last);
        let at = number
            .checked_sub(first)
            .and_then(|at| self.kept.versions.get(at as usize));
        at.ok_or_else(|| {
            let message = if last == 0 {
                "no policy was installed yet: apply one first".to_owned()
            } else {
                format!("version {number} is not kept: there are {first} to {last}")
            };
            Rejection::about(Code::VersionUnknown, number.to_string(), message)
        })
    }

    fn kept_tables(&self, hash: u64) -> Result<&KeptTables, Rejection> {
        let found = self.kept.tables.iter().find(|tables| tables.hash == hash);
        found.ok_or_else(|| {
            let message = "its tables are not kept: apply the policy again";
            Rejection::about(Code::VersionUnknown, format!("{hash:016x}"), message)
        })
    }

    /// A policy's bytes as they were applied, and its source.
    pub(crate) fn applied<'a>(
        &'a self,
        fresh: &'a [(Vec<u8>, String)],
        hash: u64,
    ) -> Result<(&'a [u8], &'a str), Rejection> {
        match fresh.iter().find(|(bytes, _)| version_of(bytes) == hash) {
            Some((bytes, source)) => Ok((bytes, source)),
            None => self
                .kept_tables(hash)
                .map(|tables| (&tables.bytes[..], &tables.source[..])),
        }
    }

    /// The tables of what stands: scenes switched, overrides made.
    pub(crate) fn bytes(&self, fresh: &[(Vec<u8>, String)], standing: &Standing) -> Result<Vec<u8>, Rejection> {
        let overrides: Vec<_> = (standing.overrides.iter())
            .map(|standing| (standing.number, standing.changes.as_slice()))
            .collect();
        made(self.applied(fresh, standing.base)?.0, &standing.scenes, &overrides)
    }

    /// A version's tables.
    pub(crate) fn bytes_of(&self, version: &KeptVersion) -> Result<Vec<u8>, Rejection> {
        let standing = Standing {
            base: version.base,
            scenes: version.told.scenes.clone(),
            overrides: version.overrides.clone(),
        };
        self.bytes(&[], &standing)
    }

    /// What the engine is told to install next is this.
    pub(crate) fn stage(&mut self, plan: Plan) {
        self.staged = Some(plan);
    }

    /// It was refused.
    pub(crate) fn unstage(&mut self) {
        self.staged = None;
    }

    /// The engine installed something: what was staged, or what was planned next.
    pub(crate) fn came(&mut self, hash: u64, at: Micros, reclassified: u64) {
        let mut version = if let Some(plan) = self.staged.take() {
            let kept = &mut self.kept;
            for (bytes, source) in plan.fresh {
                let hash = version_of(&bytes);
                match kept.tables.iter_mut().find(|tables| tables.hash == hash) {
                    Some(known) if !source.is_empty() => known.source = source,
                    Some(_) => {}
                    None => kept.tables.push(KeptTables { hash, bytes, source }),
                }
            }
            (kept.declared, kept.planned, kept.most) = (plan.declared, plan.planned, plan.kept_max);
            if plan.at_start {
                kept.started = plan.version.base;
            }
            plan.version
        } else if self
            .kept
            .planned
            .first()
            .is_some_and(|planned| planned.told.hash == hash)
        {
            self.kept.planned.remove(0).version
        } else {
            // From before versions were kept.
            KeptVersion::default()
        };
        let kept = &mut self.kept;
        kept.last += 1;
        let told = &mut version.told;
        (told.number, told.hash, told.installed_us, told.reclassified) = (kept.last, hash, at, reclassified);
        kept.declared.overrides.retain(|standing| standing.until_us > at);
        kept.declared
            .bases
            .retain(|base| base.until_us == 0 || base.until_us > at || base.hash == version.base);
        kept.versions.push(version);
        self.drop_old();
    }

    /// Tickets that the newest version's install classified again, later.
    pub(crate) fn moved(&mut self, tickets: u64) {
        if let Some(newest) = self.kept.versions.last_mut() {
            newest.told.reclassified += tickets;
        }
    }

    /// What is past the bounds goes, the oldest first.
    fn drop_old(&mut self) {
        let kept = &mut self.kept;
        let max = if kept.most == 0 {
            usize::MAX
        } else {
            (kept.most as usize).max(KEPT_MIN)
        };
        let mut gone = kept.versions.len().saturating_sub(max);
        loop {
            kept.versions.drain(..gone);
            let named: Vec<u64> = (kept.versions.iter().map(|version| version.base))
                .chain(kept.declared.bases.iter().map(|base| base.hash))
                .chain(kept.planned.iter().map(|planned| planned.version.base))
                .collect();
            kept.tables.retain(|tables| named.contains(&tables.hash));
            let bytes: u64 = kept.tables.iter().map(KeptTables::size).sum();
            if bytes <= KEPT_BYTES_MAX || kept.versions.len() <= KEPT_MIN {
                return;
            }
            gone = 1;
        }
    }

    /// Answers a look.
    pub(crate) fn look(&self, look: &Look) -> Result<Vec<u8>, Rejection> {
        Ok(match look {
            Look::List { size, before } => self.list(*size, *before).encode_to_vec(),
            Look::Get(number) => {
                let version = self.version(*number)?;
                let source = self.applied(&[], version.base).map(|found| found.1.to_owned())?;
                pb::GetVersionReply {
                    version: Some(version.told.clone()),
                    policy: self.bytes_of(version)?,
                    source,
                }
                .encode_to_vec()
            }
            Look::Diff(asked) => {
                let old = self.bytes_of(self.version(asked.from)?)?;
                let new = match asked.policy.as_slice() {
                    [] => self.bytes_of(self.version(asked.to)?)?,
                    given => given.to_vec(),
                };
                let found = difference(&tables(&old)?, &tables(&new)?, DIFFERENCES_MAX);
                pb::DiffReply {
                    differences: found.told,
                    differences_more: found.more,
                }
                .encode_to_vec()
            }
        })
    }

    fn list(&self, size: usize, before: u64) -> pb::ListVersionsReply {
        let kept = &self.kept;
        let older = |version: &&KeptVersion| before == 0 || version.told.number < before;
        let mut found: Vec<_> = kept.versions.iter().rev().filter(older).take(size + 1).collect();
        let next = if found.len() > size { found.pop() } else { None };
        let on = self.current().map_or(&[][..], |current| &current.told.scenes);
        let scenes = self
            .current()
            .and_then(|current| tables(&self.kept_tables(current.base).ok()?.bytes).ok())
            .map_or_else(Vec::new, |tables| tables.scenes);
        pb::ListVersionsReply {
            next_page_token: match (next, found.last()) {
                (Some(_), Some(last)) => last.told.number.to_string(),
                _ => String::new(),
            },
            versions: found.into_iter().map(|version| version.told.clone()).collect(),
            current: kept.last,
            overrides: kept.declared.overrides.clone(),
            planned: self.planned(),
            scenes: scenes
                .into_iter()
                .map(|scene| pb::SceneState {
                    on: on.contains(&scene.name),
                    name: scene.name,
                    why: scene.why,
                    starts_us: scene.starts_us,
                    ends_us: scene.ends_us,
                })
                .collect(),
            kept: kept.versions.len() as u64,
            kept_bytes: kept.tables.iter().map(KeptTables::size).sum(),
        }
    }
}

impl KeptTables {
    fn size(&self) -> u64 {
        (self.bytes.len() + self.source.len()) as u64
    }
}

impl Declared {
    /// What stands at a time. `scenes` of a policy: name, start, end.
    pub(crate) fn standing(
        &self,
        at: Micros,
        scenes: impl Fn(u64) -> Vec<(String, Micros, Micros)>,
    ) -> Option<Standing> {
        let begun = |base: &&Base| base.from_us <= at;
        let holds = self.bases.iter().rev().find(|base| base.holds(at));
        // One that ended with nothing beneath it stays: there is always a policy.
        let base = holds.or_else(|| self.bases.iter().rev().find(begun))?.hash;
        let on = |(name, starts, ends): &(String, Micros, Micros)| {
            self.scenes.contains(name) && *starts <= at && (*ends == 0 || at < *ends)
        };
        Some(Standing {
            base,
            scenes: scenes(base).into_iter().filter(on).map(|(name, ..)| name).collect(),
            overrides: (self.overrides.iter())
                .filter(|standing| standing.until_us > at)
                .cloned()
                .collect(),
        })
    }
}
