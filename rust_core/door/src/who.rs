//! Who calls, and until when: what a call's metadata says. The one place where it is read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use csroute_engine::{Code, Rejection};
use csroute_node::Node;
use csroute_node::access::{Credential, Who};
use http::HeaderMap;

/// The metadata keys.
pub const TENANT_KEY: &str = "csroute-tenant";
/// Who calls, for the journal.
pub const CALLER_KEY: &str = "csroute-caller";

/// As whom a call goes on: the node's front says so.
pub(crate) fn admitted(node: &Node, headers: &HeaderMap, path: &str, peer: &Peer) -> Result<Who, Rejection> {
    let credential = Credential {
        authorization: text(headers, "authorization")?.unwrap_or_default(),
        names: &peer.names,
    };
    let caller = text(headers, CALLER_KEY)?.filter(|caller| !caller.is_empty());
    node.admit(
        &credential,
        path,
        text(headers, TENANT_KEY)?,
        caller.unwrap_or(&peer.name),
    )
}

fn text<'a>(headers: &'a HeaderMap, key: &str) -> Result<Option<&'a str>, Rejection> {
    let value = headers.get(key).map(http::HeaderValue::to_str).transpose();
    value.map_err(|_| Rejection::about(Code::Malformed, key, "this metadata is visible ASCII"))
}

/// What a connection knows of its client.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its address, as gRPC writes it.
    name: String,
    /// The names in its verified certificate.
    names: Vec<String>,
}

impl Peer {
    /// A client at this address.
    pub fn at(address: std::net::SocketAddr, names: Vec<String>) -> Self {
        let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        Self {
            name: format!("{family}:{address}"),
            names,
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
        "H" => Duration::from_hours(value),
        "M" => Duration::from_mins(value),
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
        assert_eq!(timeout("99999999H"), Some(Duration::from_hours(99_999_999)));
        for wrong in ["", "m", "1", "1x", "+1S", "123456789S", "1é"] {
            assert_eq!(timeout(wrong), None, "{wrong:?}");
        }
    }
}
