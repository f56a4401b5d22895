//! Rejections: to `google.rpc.Status`. The one mapping table.
use csroute_engine::{Code, Rejection};

use crate::pb;

/// The gRPC status code of a rejection.
pub const fn grpc_code(code: Code) -> i32 {
    let _ = code;
    todo!()
}

/// The status of a rejection, with `ErrorInfo` and, where a retry helps, `RetryInfo`.
pub fn status(rejection: &Rejection) -> pb::google::rpc::Status {
    let _ = rejection;
    todo!()
}
