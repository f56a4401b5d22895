//! How a refusal leaves: as gRPC's status with the node's `google.rpc.Status` in its details. And the log of them.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use csroute_node::Completion;
use csroute_node::access::Who;
use csroute_wire::ErrorInfo;
use csroute_wire::pb::google::rpc::Status as RpcStatus;
use prost::Message;
use serde_json::json;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

/// A node's no as gRPC says it.
pub(crate) fn status(no: Completion) -> Status {
    let message = RpcStatus::decode(&*no.bytes)
        .map(|status| status.message)
        .unwrap_or_default();
    Status::with_details_and_metadata(
        Code::from_i32(no.grpc_code),
        message,
        Bytes::from(no.bytes),
        MetadataMap::new(),
    )
}

/// What tonic says of a message that cannot be read, as other gRPC servers say it.
pub(crate) fn unreadable(status: Status) -> Status {
    if status.code() == Code::OutOfRange {
        return Status::resource_exhausted(status.message());
    }
    status
}

/// Logs rejected calls on stderr, a JSON object a line, at most so many a second.
#[derive(Debug)]
pub(crate) struct Log {
    per_s_max: u32,
    second: Mutex<Second>,
}

#[derive(Debug)]
struct Second {
    began: Instant,
    logged: u32,
    left_out: u64,
}

impl Log {
    pub fn new(per_s_max: u32) -> Self {
        let second = Second {
            began: Instant::now(),
            logged: 0,
            left_out: 0,
        };
        Self {
            per_s_max,
            second: Mutex::new(second),
        }
    }

    /// One call's rejection.
    pub fn rejected(&self, path: &str, who: Option<&Who>, no: &Completion) {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.duration_since(second.began).as_secs() >= 1 {
            (second.began, second.logged) = (now, 0);
        }
        if second.logged >= self.per_s_max {
            second.left_out += 1;
            return;
        }
        second.logged += 1;
        let left_out = std::mem::take(&mut second.left_out);
        drop(second);
        let Ok(status) = RpcStatus::decode(&*no.bytes) else {
            return;
        };
        let info = status
            .details
            .first()
            .and_then(|detail| ErrorInfo::decode(&*detail.value).ok())
            .unwrap_or_default();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = json!({
            "event": "rejected", "level": "info", "door": "native", "time_us": unix.as_micros() as u64,
            "method": path, "name": info.reason, "message": status.message,
            "code": info.metadata.get("code").and_then(|code| code.parse::<u16>().ok()),
            "tenant": who.map_or("", |who| &who.tenant), "caller": who.map_or("", |who| &who.caller),
        });
        if left_out > 0 {
            line["left_out"] = left_out.into();
        }
        eprintln!("{line}");
    }
}
