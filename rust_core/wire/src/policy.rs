//! A compiled policy: bytes to tables.
use csroute_engine::Rejection;
use csroute_engine::policy::PolicySpec;

/// Reads a `CompiledPolicy`.
pub fn policy(bytes: &[u8]) -> Result<PolicySpec, Rejection> {
    let _ = bytes;
    todo!()
}
