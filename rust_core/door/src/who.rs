//! Who calls, and until when: what a call's metadata says. The one place where it is read.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use csroute_engine::limits::ID_BYTES_MAX;
use csroute_engine::{Code, Rejection};
use http::HeaderMap;

/// The metadata keys.
pub const TENANT_KEY: &str = "csroute-tenant";
/// Who calls, for the journal.
pub const CALLER_KEY: &str = "csroute-caller";
const TENANT_DEFAULT: &str = "default";

/// Tenant and caller.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub tenant: Arc<str>,
    pub caller: Arc<str>,
}

impl Who {
    /// As the metadata says; the peer calls where nobody is named.
    pub fn of(headers: &HeaderMap, peer: &Peer) -> Result<Self, Rejection> {
        let tenant = headers
            .get(TENANT_KEY)
            .map_or(Ok(TENANT_DEFAULT), |value| text(value, TENANT_KEY))?;
        let caller = headers
            .get(CALLER_KEY)
            .map_or(Ok(""), |value| text(value, CALLER_KEY))?;
        if tenant.is_empty() || tenant.len() > ID_BYTES_MAX {
            let message = format!("a tenant has 1 to {ID_BYTES_MAX} characters, not {}", tenant.len());
            return Err(Rejection::about(Code::FieldTooLong, TENANT_KEY, message));
        }
        if caller.len() > ID_BYTES_MAX {
            let message = format!("a caller has at most {ID_BYTES_MAX} characters");
            return Err(Rejection::about(Code::FieldTooLong, CALLER_KEY, message));
        }
        Ok(Self {
            tenant: if tenant == TENANT_DEFAULT {
                peer.tenant.clone()
            } else {
                tenant.into()
            },
            caller: if caller.is_empty() {
                peer.name.clone()
            } else {
                caller.into()
            },
        })
    }
}

fn text<'a>(value: &'a http::HeaderValue, key: &str) -> Result<&'a str, Rejection> {
    value
        .to_str()
        .map_err(|_| Rejection::about(Code::Malformed, key, "this metadata is visible ASCII"))
}

/// What a connection knows of its client.
#[derive(Debug)]
pub(crate) struct Peer {
    /// As gRPC writes addresses.
    pub name: Arc<str>,
    tenant: Arc<str>,
}

impl Peer {
    /// A client at this address.
    pub fn at(address: std::net::SocketAddr) -> Self {
        let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        Self {
            name: format!("{family}:{address}").into(),
            tenant: TENANT_DEFAULT.into(),
        }
    }
}

/// The caller's deadline, Unix µs; 0: none, or one that cannot be read.
pub(crate) fn deadline(headers: &HeaderMap) -> i64 {
    let left = headers
        .get("grpc-timeout")
        .and_then(|value| timeout(value.to_str().ok()?));
    let Some(left) = left else { return 0 };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from((now + left).as_micros()).unwrap_or(i64::MAX)
}

/// gRPC's `TimeoutValue TimeoutUnit`: at most eight digits, then one letter.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "m", "1", "1x", "+1S", "123456789S", "1é"] {
            assert_eq!(timeout(wrong), None, "{wrong:?}");
        }
    }
}
