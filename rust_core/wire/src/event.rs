//! Events: to bytes.
use csroute_engine::Event;

/// Appends an event as a field of a message: 1 in a `WatchReply`, 3 in a `WorkReply`.
pub fn encode_event(event: &Event, field: u32, out: &mut Vec<u8>) {
    let _ = (event, field, out);
    todo!()
}

/// Ends a `WatchReply` of events by its resume token.
pub fn finish_watch_reply(sequence: u64, out: &mut Vec<u8>) {
    let _ = (sequence, out);
    todo!()
}

/// Whether an event concerns this session's agents: whether its Work stream carries it.
pub fn concerns(event: &Event, session: &str) -> bool {
    let _ = (event, session);
    todo!()
}
