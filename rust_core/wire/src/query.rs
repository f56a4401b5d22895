//! Reads: from the engine's views to reply bytes, a slice at a time, so that the writer is never held up long.
use csroute_engine::{Engine, Rejection};

/// A read under way. Between two steps the engine may change: a long answer is true piece by piece.
#[derive(Debug)]
pub struct Query {
    _todo: (),
}

impl Query {
    /// The opening of a Work stream: a `WorkReply` with the session's agents and what they hold.
    pub fn opening(session: &str) -> Self {
        let _ = session;
        todo!()
    }

    /// Does at most about `looks_max` looks (tickets or agents) at the engine. True when the answer is whole.
    pub fn step(&mut self, engine: &Engine, looks_max: usize) -> Result<bool, Rejection> {
        let _ = (engine, looks_max);
        todo!()
    }

    /// The reply message.
    pub fn finish(self) -> Vec<u8> {
        todo!()
    }

    /// All steps at once.
    pub fn run(mut self, engine: &Engine) -> Result<Vec<u8>, Rejection> {
        while !self.step(engine, usize::MAX)? {}
        Ok(self.finish())
    }
}

/// Adds the node's counts of rejections by code to the bytes of a `GetStatsReply`.
pub fn encode_rejection_counts(counts: impl IntoIterator<Item = (u16, u64)>, out: &mut Vec<u8>) {
    let _ = (counts.into_iter().next(), out);
    todo!()
}
