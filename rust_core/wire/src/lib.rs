//! The wire: protobuf bytes to commands, and views and events to protobuf bytes. No IO, no thread, no clock.
//!
//! What comes in is read in place: a command borrows its texts from the request's bytes. It is first read whole
//! (bytes that are no such message are `MALFORMED`, all of it), then checked item by item: every length, range,
//! enum value and list size has its bound in `csroute_engine::limits`, and a rejection names the field by its path,
//! `tickets[3].attributes[0].name`. What depends on state or policy is the engine's to check.
//!
//! ```
//! use csroute_engine::{Code, Engine};
//! use csroute_wire::{Method, Replies, Request, decode, pb::csroute::v1::{NewTicket, RouteRequest}};
//! use prost::Message;
//!
//! let ticket = NewTicket { id: "t-1".into(), channel: "chat".into(), ..NewTicket::default() };
//! let bytes = RouteRequest { ticket: Some(ticket), wait_ms: 0 }.encode_to_vec();
//!
//! let Ok(Request::Write(write)) = decode(Method::Route, &bytes) else { panic!("a write, and well-formed") };
//! let (mut engine, mut events) = (Engine::new(), Vec::new());
//! engine.begin(1_762_790_400_000_000, &mut events).unwrap();
//! let mut replies = Replies::new(&write);
//! for item in 0..write.len() {
//!     let result = write.command(item).and_then(|command| engine.apply(&command, &mut events));
//!     replies.push(&write, &engine, result);
//! }
//! // A batch has a result an item; here the one rejection is the answer.
//! assert_eq!(replies.finish().unwrap_err().code, Code::NoPolicy);
//! ```

mod ask;
mod check;
mod decode;
mod difference;
mod event;
mod item;
mod making;
mod message;
mod method;
pub mod pb;
mod policies;
mod policy;
mod proto;
mod query;
mod reply;
mod scenes;
mod status;
mod survey;
mod view;

pub use decode::{Request, Watch, Write, decode};
pub use difference::{DIFFERENCES_MAX, DIFFERENCES_TOLD, Differences, difference};
pub use event::{concerns, encode_event, finish_watch_reply};
pub use making::{made, tables, version_of};
pub use method::{Effect, Kind, Method};
pub use pb::google::rpc::{ErrorInfo, RetryInfo};
pub use policies::{Look, Policies, Terms, Wish};
pub use policy::{install, policy};
pub use query::{Query, encode_rejection_counts};
pub use reply::{Replies, drain_reply, route_reply};
pub use status::{grpc_code, status};

/// A serialized `google.protobuf.FileDescriptorSet` of all protos, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
