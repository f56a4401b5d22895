//! The wire: protobuf bytes to commands, and views and events to protobuf bytes. No IO, no thread, no clock.
//!
//! What comes in is read in place: a command borrows its texts from the request's bytes. It is first read whole
//! (bytes that are no such message are `MALFORMED`, all of it), then checked item by item: every length, range,
//! enum value and list size has its bound in `csroute_engine::limits`, and a rejection names the field by its path,
//! `tickets[3].attributes[0].name`. What depends on state or policy is the engine's to check.

mod decode;
mod event;
mod method;
pub mod pb;
mod policy;
mod query;
mod reply;
mod status;

pub use decode::{Request, Watch, Write, decode};
pub use event::{concerns, encode_event, finish_watch_reply};
pub use method::{Effect, Kind, Method};
pub use policy::policy;
pub use query::{Query, encode_rejection_counts};
pub use reply::{Replies, drain_reply, route_reply};
pub use status::{grpc_code, status};
