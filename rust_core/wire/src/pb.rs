//! The generated messages, whole and owned: for what is not on the hot path, for tests and for tools.
#![allow(missing_docs, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/pb.rs"));
