//! Where a node is in its life, for whoever looks after it: health, the process's exit, an operator's log.

use std::sync::{Mutex, PoisonError};

use csroute_journal::Space;
use serde_json::{Value, json};

use crate::recovery::{Progress, Report};

/// In order; Failed and Stopped are the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It reads its journal; calls are refused RECOVERING.
    Recovering,
    /// It takes calls.
    Serving,
    /// It takes no calls any more, and says why: start it again.
    Failed(String),
    /// It was stopped.
    Stopped,
}

/// A node's stage, shared between its threads and whoever asks.
#[derive(Debug)]
pub struct Life {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    stage: Stage,
    progress: Progress,
    report: Report,
    space: Space,
}

impl Life {
    pub(crate) fn begin(stage: Stage) -> Self {
        Self {
            inner: Mutex::new(Inner {
                stage,
                progress: Progress::default(),
                report: Report::default(),
                space: Space::Ample,
            }),
        }
    }

    /// The stage.
    pub fn stage(&self) -> Stage {
        self.with(|inner| inner.stage.clone())
    }

    pub(crate) fn enter(&self, stage: Stage) {
        // Whoever failed has failed, though it stops as well.
        self.with(|inner| {
            if !matches!(inner.stage, Stage::Failed(_)) {
                inner.stage = stage;
            }
        });
    }

    pub(crate) fn told(&self, progress: Progress) {
        self.with(|inner| inner.progress = progress);
    }

    pub(crate) fn recovered(&self, report: &Report) {
        self.with(|inner| {
            inner.report = report.clone();
            inner.stage = Stage::Serving;
        });
    }

    pub(crate) fn space(&self, space: Space) {
        self.with(|inner| inner.space = space);
    }

    /// All of it.
    pub fn json(&self) -> Value {
        self.with(|inner| {
            let (stage, message) = match &inner.stage {
                Stage::Recovering => ("recovering", ""),
                Stage::Serving => ("serving", ""),
                Stage::Failed(message) => ("failed", message.as_str()),
                Stage::Stopped => ("stopped", ""),
            };
            json!({
                "stage": stage,
                "message": message,
                "blocks": inner.progress.blocks,
                "records": inner.progress.records,
                "bytes": inner.progress.bytes,
                "bytes_max": inner.progress.bytes_max,
                "snapshot": inner.report.snapshot,
                "bad_snapshots": inner.report.bad_snapshots,
                "cut": inner.report.cut,
                "space": match inner.space {
                    Space::Ample => "ample",
                    Space::Low => "low",
                    Space::Full => "full",
                },
            })
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
