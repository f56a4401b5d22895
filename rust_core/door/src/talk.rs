//! A stream's replies: `RouteStream`, `Watch` and `Work` are one shape, read when the client takes, so that one who does
//! not read is not read from either.
//!
//! | | messages in | acts out | news out | ends |
//! |---|---|---|---|---|
//! | `RouteStream` | each is a `RouteBatch` | in the order sent | | when the client has ended, and all is answered |
//! | `Watch` | | | its events | never by itself |
//! | `Work` | each is a `WorkAct` | in the order sent | its session's events | when the client has ended, and all is answered |

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use csroute_engine::{Code, Rejection};
use csroute_node::Completion;
use csroute_node::access::Who;
use csroute_wire::Method;
use tokio_stream::Stream;
use tonic::Status;
use tonic::codec::Streaming;

use crate::desk::Desk;
use crate::refusal::{status, unreadable};
use crate::strand::{Next, Strand};

/// What a stream listens to.
#[derive(Debug)]
pub(crate) struct Follow {
    pub handle: Bytes,
    pub next: Method,
    pub closes: Method,
}

/// A stream's place among the open ones, given back however it ends.
pub(crate) struct Place {
    desk: Arc<Desk>,
    at: usize,
    strand: Arc<Strand>,
}

impl Place {
    /// A stream comes.
    pub fn take(desk: &Arc<Desk>) -> Result<Self, Rejection> {
        let Some((at, strand)) = desk.enter() else {
            let message = format!(
                "{} streams are open, and no more are taken (streams_max)",
                desk.streams_max.load(Ordering::Relaxed)
            );
            return Err(Rejection::new(Code::Busy, message));
        };
        Ok(Self {
            desk: desk.clone(),
            at,
            strand,
        })
    }

    /// What it is a place in.
    pub fn parts(&self) -> (Arc<Desk>, Arc<Strand>) {
        (self.desk.clone(), self.strand.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.desk.leave(self.at, &self.strand);
    }
}

/// The stream.
pub(crate) struct Talk {
    pub place: Place,
    pub path: &'static str,
    pub who: Who,
    pub deadline: i64,
    /// What it says first.
    pub opening: Option<Bytes>,
    /// Messages in, and what each is; None: no more come.
    pub requests: Option<Streaming<Bytes>>,
    pub act: Method,
    pub follow: Option<Follow>,
    /// Whether it ends once no more messages come.
    pub ends: bool,
    /// How its messages ended, if not well.
    pub broken: Option<Status>,
    pub over: bool,
}

impl Talk {
    /// Says what it is to follow for the first time.
    pub fn begin(mut self, first_act: Option<Bytes>) -> Self {
        if let Some(first) = first_act {
            self.act(first);
        }
        self.listen();
        self
    }

    fn act(&self, message: Bytes) {
        self.place
            .desk
            .act(&self.place.strand, self.act, &self.who, message, self.deadline);
    }

    fn listen(&mut self) {
        if let Some(follow) = &self.follow {
            self.place
                .desk
                .follow(&self.place.strand, follow.next, &self.who, follow.handle.clone());
        }
    }

    fn read(&mut self, context: &mut Context<'_>) {
        let desk = self.place.desk.clone();
        while let Some(requests) = &mut self.requests {
            if desk.ending.load(Ordering::Relaxed) {
                let message = "the node is stopping; open the stream again elsewhere, with the same ids";
                let no = desk.no(Rejection::new(Code::Draining, message));
                (self.requests, self.broken) = (None, Some(status(no)));
                return;
            }
            if self.place.strand.asked() >= desk.settings.stream_window {
                return;
            }
            match Pin::new(requests).poll_next(context) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(message))) => self.act(message),
                Poll::Ready(Some(Err(no))) => (self.requests, self.broken) = (None, Some(unreadable(no))),
                Poll::Ready(None) => self.requests = None,
            }
        }
    }

    fn refused(&self, no: Completion) -> Status {
        self.place.desk.refused(self.path, Some(&self.who), no)
    }

    fn slow(&self) -> Status {
        let message = format!(
            "nothing was read for {} ms (write_timeout_ms); go on from the last sequence",
            self.place.desk.settings.write_timeout.as_millis()
        );
        self.refused(self.place.desk.no(Rejection::new(Code::WatcherSlow, message)))
    }

    /// Its last word, if it has one.
    fn end(&mut self, last: Option<Status>) -> Poll<Option<Result<Bytes, Status>>> {
        self.over = true;
        Poll::Ready(last.map(Err))
    }
}

impl Stream for Talk {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let talk = self.get_mut();
        if talk.over {
            return Poll::Ready(None);
        }
        if let Some(opening) = talk.opening.take() {
            return Poll::Ready(Some(Ok(opening)));
        }
        talk.read(context);
        let tick = talk.place.desk.tick();
        loop {
            match talk.place.strand.next(context.waker(), tick) {
                Next::Act(Completion {
                    grpc_code: 0, bytes, ..
                }) => return Poll::Ready(Some(Ok(bytes.into()))),
                Next::News(Completion {
                    grpc_code: 0, bytes, ..
                }) => {
                    talk.listen();
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(Ok(bytes.into())));
                    }
                }
                Next::Act(no) | Next::News(no) => {
                    let last = talk.refused(no);
                    return talk.end(Some(last));
                }
                Next::Nothing(0) if talk.requests.is_none() && (talk.ends || talk.broken.is_some()) => {
                    let last = talk.broken.take();
                    return talk.end(last);
                }
                Next::Nothing(_) => return Poll::Pending,
                Next::Cut => {
                    let last = talk.slow();
                    return talk.end(Some(last));
                }
            }
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        if let Some(follow) = &self.follow {
            self.place.desk.post(follow.closes, &self.who, follow.handle.clone());
        }
    }
}
