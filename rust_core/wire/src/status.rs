//! Rejections to `google.rpc.Status`: the one mapping table. Doors hand its bytes on, and add nothing.
//!
//! ```
//! use csroute_engine::{Code, Rejection};
//! let status = csroute_wire::status(&Rejection::new(Code::Busy, "8192 calls are in flight"));
//! assert_eq!((status.code, status.details.len()), (8, 2));          // RESOURCE_EXHAUSTED; ErrorInfo, RetryInfo
//! ```

use std::collections::BTreeMap;

use csroute_engine::{Code, Rejection};
use prost::Message;
use prost_types::{Any, Duration};

use crate::pb::google::rpc::{ErrorInfo, RetryInfo, Status};

/// The status codes of gRPC that are used here.
mod grpc {
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const DEADLINE_EXCEEDED: i32 = 4;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const ALREADY_EXISTS: i32 = 6;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const FAILED_PRECONDITION: i32 = 9;
    pub(super) const ABORTED: i32 = 10;
    pub(super) const OUT_OF_RANGE: i32 = 11;
    pub(super) const UNIMPLEMENTED: i32 = 12;
    pub(super) const INTERNAL: i32 = 13;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// The gRPC status code of a rejection.
pub const fn grpc_code(code: Code) -> i32 {
    match code {
        Code::Malformed
        | Code::FieldMissing
        | Code::FieldTooLong
        | Code::OutOfRange
        | Code::UnknownValue
        | Code::TooMany
        | Code::MessageTooLarge
        | Code::PolicyInvalid => grpc::INVALID_ARGUMENT,
        Code::UnknownMethod | Code::PolicyUnsupported => grpc::UNIMPLEMENTED,
        Code::TicketUnknown
        | Code::AgentUnknown
        | Code::SessionUnknown
        | Code::QueueUnknown
        | Code::ClockUnknown
        | Code::ChannelUnknown
        | Code::MomentUnknown
        | Code::VersionUnknown
        | Code::SceneUnknown => grpc::NOT_FOUND,
        Code::Conflict => grpc::ALREADY_EXISTS,
        Code::WrongState
        | Code::Stale
        | Code::Superseded
        | Code::NoCapacity
        | Code::NotLoggedIn
        | Code::TimeBackward
        | Code::NoPolicy => grpc::FAILED_PRECONDITION,
        Code::WaitingFull
        | Code::ClassesFull
        | Code::AgentsFull
        | Code::SkillsFull
        | Code::SessionsFull
        | Code::Busy
        | Code::DiskFull
        | Code::TenantsFull => grpc::RESOURCE_EXHAUSTED,
        Code::Draining | Code::Recovering | Code::JournalFailed => grpc::UNAVAILABLE,
        Code::SequenceGone => grpc::OUT_OF_RANGE,
        Code::DeadlinePassed => grpc::DEADLINE_EXCEEDED,
        Code::WatcherSlow | Code::PolicyConflict => grpc::ABORTED,
        Code::Unauthenticated => grpc::UNAUTHENTICATED,
        Code::Forbidden => grpc::PERMISSION_DENIED,
        Code::Internal => grpc::INTERNAL,
    }
}

fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/google.rpc.{name}"),
        value: message.encode_to_vec(),
    }
}

/// The status of a rejection, with `ErrorInfo` and, where a retry helps, `RetryInfo`.
pub fn status(rejection: &Rejection) -> Status {
    let code = rejection.code;
    let mut metadata = BTreeMap::from([("code".to_owned(), code.number().to_string())]);
    if !rejection.subject.is_empty() {
        metadata.insert("subject".to_owned(), rejection.subject.clone());
    }
    let info = ErrorInfo {
        reason: code.name().to_owned(),
        domain: "csroute".to_owned(),
        metadata,
    };
    let mut details = vec![any("ErrorInfo", &info)];
    if let Some(ms) = code.retry_after_ms() {
        let delay = Duration {
            seconds: i64::from(ms / 1000),
            nanos: (ms % 1000) as i32 * 1_000_000,
        };
        details.push(any(
            "RetryInfo",
            &RetryInfo {
                retry_delay: Some(delay),
            },
        ));
    }
    Status {
        code: grpc_code(code),
        message: message(rejection),
        details,
    }
}

/// What is wrong, and where.
fn message(rejection: &Rejection) -> String {
    if rejection.subject.is_empty() {
        rejection.message.to_string()
    } else {
        format!("{}: {}", rejection.subject, rejection.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(status: &Status) -> ErrorInfo {
        ErrorInfo::decode(&*status.details[0].value).unwrap()
    }

    #[test]
    fn every_code_has_a_status_that_says_all() {
        for &code in Code::ALL {
            let status = status(&Rejection::about(code, "tickets[3].id", "must be given"));
            assert_eq!(
                (status.code, status.message.as_str()),
                (grpc_code(code), "tickets[3].id: must be given")
            );
            assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.ErrorInfo");
            let info = info(&status);
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (code.name(), "csroute"));
            assert_eq!(
                (&*info.metadata["code"], &*info.metadata["subject"]),
                (&*code.number().to_string(), "tickets[3].id")
            );
            assert_eq!(status.details.len() > 1, code.retry_after_ms().is_some());
        }
    }

    #[test]
    fn a_retry_is_told_when() {
        let status = status(&Rejection::new(Code::Busy, "full"));
        assert_eq!(
            (status.code, status.message.as_str()),
            (grpc::RESOURCE_EXHAUSTED, "full")
        );
        assert!(!info(&status).metadata.contains_key("subject"));
        assert_eq!(status.details[1].type_url, "type.googleapis.com/google.rpc.RetryInfo");
        let retry = RetryInfo::decode(&*status.details[1].value).unwrap();
        assert_eq!(
            retry.retry_delay,
            Some(Duration {
                seconds: 0,
                nanos: 50_000_000
            })
        );
    }

    /// Whoever retries goes by these.
    #[test]
    fn codes_that_invite_a_retry_are_those_that_grpc_retries() {
        for &code in Code::ALL {
            let invites = matches!(grpc_code(code), grpc::RESOURCE_EXHAUSTED | grpc::UNAVAILABLE);
            assert!(invites || code.retry_after_ms().is_none(), "{code:?}");
        }
    }
}
