//! From an HTTP/2 request to the node and back, by the wire's own table of methods. Nothing is decoded here.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use csroute_engine::{Code, Rejection};
use csroute_node::access::Who;
use csroute_wire::pb::csroute::v1::WorkRequest;
use csroute_wire::{Kind, Method};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use prost::Message as _;
use rustc_hash::FxHashMap;
use tokio_stream::StreamExt as _;
use tonic::Status;
use tonic::codec::{EncodeBody, Streaming};

use crate::codec::{Raw, framed};
use crate::desk::{Desk, HANDLE, said};
use crate::refusal::{status, unreadable};
use crate::standard::Standard;
use crate::strand::Strand;
use crate::talk::{Follow, Place, Talk};
use crate::who::{Peer, admitted, deadline};

/// What the door answers to beside the node's methods, for benches: the same way without the node.
pub const ECHO: &str = "/csroute.bench.Echo/Echo";

/// A reply's body.
pub(crate) enum Reply {
    /// One message, then that all is well.
    One(Option<Bytes>, bool),
    /// Nothing: the headers said it all.
    Empty,
    /// A stream, and its place.
    Many(Pin<Box<EncodeBody<Raw, Talk>>>, Arc<Desk>, Arc<Strand>),
    /// Health and reflection.
    Standard(tonic::body::Body),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.get_mut() {
            Reply::One(message, ended) => {
                if let Some(message) = message.take() {
                    return Poll::Ready(Some(Ok(Frame::data(message))));
                }
                if std::mem::replace(ended, true) {
                    return Poll::Ready(None);
                }
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Reply::Empty => Poll::Ready(None),
            Reply::Many(body, desk, strand) => {
                let frame = body.as_mut().poll_frame(context);
                if let Poll::Ready(Some(Ok(_))) = &frame {
                    // HTTP/2 asks for more once it could send this: as long as it does not, the client does not read.
                    strand.handed_over(desk.tick());
                }
                frame
            }
            Reply::Standard(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Reply::One(message, ended) => message.is_none() && *ended,
            Reply::Empty => true,
            Reply::Many(body, ..) => body.is_end_stream(),
            Reply::Standard(body) => body.is_end_stream(),
        }
    }
}

/// All methods by their paths; what RPCs there are.
pub(crate) fn methods() -> FxHashMap<&'static str, Method> {
    let rpcs = Method::ALL.iter().filter(|method| method.kind() != Kind::Internal);
    rpcs.map(|&method| (method.path(), method)).collect()
}

/// What one connection's calls share.
pub(crate) struct Service {
    pub desk: Arc<Desk>,
    pub methods: Arc<FxHashMap<&'static str, Method>>,
    pub standard: Standard,
    pub peer: Peer,
}

/// A call's end: its reply, or why not.
type Ended = Result<Response<Reply>, Status>;

/// A unary call that is counted while it is under way.
struct Counted<'a>(&'a Desk);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call that may go on, without its headers: what a task has to carry is small.
struct Begun {
    method: Method,
    who: Who,
    /// Unix µs; 0: none.
    deadline: i64,
    body: Incoming,
}

/// What a request is, by its headers.
enum Heard {
    Call(Begun),
    Echo(Incoming),
    /// Health and reflection, if anything.
    Other(Box<Request<Incoming>>),
    Not(Box<Response<Reply>>),
}

impl Service {
    /// Answers a request; whatever is wrong is a status. What the headers say is decided at once, in the connection's task.
    pub fn call(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Reply>, Infallible>> {
        let heard = self.hear(request);
        async move {
            Ok(match heard {
                Heard::Call(call) if call.method.kind() == Kind::Unary => self.unary(call).await.unwrap_or_else(no),
                Heard::Call(call) => Box::pin(self.stream(call)).await.unwrap_or_else(no),
                Heard::Echo(body) => self.echo(body).await.unwrap_or_else(no),
                Heard::Other(request) => Box::pin(self.standard.call(*request)).await.map(Reply::Standard),
                Heard::Not(response) => *response,
            })
        }
    }

    fn hear(&self, request: Request<Incoming>) -> Heard {
        let headers = request.headers();
        if !headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
        {
            let mut response = Response::new(Reply::Empty);
            *response.status_mut() = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Heard::Not(Box::new(response));
        }
        let path = request.uri().path();
        let Some(&method) = self.methods.get(path) else {
            return if self.desk.settings.echo && path == ECHO {
                Heard::Echo(request.into_body())
            } else {
                Heard::Other(Box::new(request))
            };
        };
        if headers
            .get("grpc-encoding")
            .is_some_and(|encoding| encoding != "identity")
        {
            let message = "compressed messages are not taken: send grpc-encoding identity";
            return Heard::Not(Box::new(no(Status::unimplemented(message))));
        }
        match admitted(&self.desk.node, headers, method.path(), &self.peer) {
            Ok(who) => Heard::Call(Begun {
                method,
                who,
                deadline: deadline(headers),
                body: request.into_body(),
            }),
            Err(rejection) => Heard::Not(Box::new(no(self.desk.refused(method.path(), None, said(&rejection))))),
        }
    }

    async fn unary(&self, call: Begun) -> Ended {
        let Begun {
            method,
            who,
            deadline,
            body,
        } = call;
        let desk = &*self.desk;
        let calls = desk.calls.fetch_add(1, Ordering::Relaxed);
        let _counted = Counted(desk);
        let calls_max = desk.calls_max.load(Ordering::Relaxed);
        if calls >= calls_max {
            // Before a byte of it is read: shedding must cost less than serving.
            let message = format!("{calls_max} calls are in flight at this door, as many as may be: wait for answers");
            let no = desk.no(Rejection::new(Code::Busy, message));
            return Err(desk.refused(method.path(), Some(&who), no));
        }
        let message = one(self.messages(body)).await?;
        let answer = desk.call(method, &who, message, deadline).await;
        if answer.grpc_code != 0 {
            return Err(desk.refused(method.path(), Some(&who), answer));
        }
        Ok(reply(Reply::One(Some(framed(&answer.bytes)), false)))
    }

    async fn echo(&self, body: Incoming) -> Ended {
        let message = one(self.messages(body)).await?;
        Ok(reply(Reply::One(Some(framed(&message)), false)))
    }

    async fn stream(&self, call: Begun) -> Ended {
        match call.method.kind() {
            Kind::Stream => self.route_stream(call),
            Kind::Watch => self.watch(call).await,
            Kind::Work => self.work(call).await,
            Kind::Unary | Kind::Internal => Err(Status::unimplemented("")),
        }
    }

    fn route_stream(&self, call: Begun) -> Ended {
        let talk = Talk {
            place: self.place(call.method, &call.who)?,
            path: call.method.path(),
            who: call.who,
            deadline: call.deadline,
            opening: None,
            requests: Some(self.messages(call.body)),
            act: Method::RouteBatch,
            follow: None,
            ends: true,
            broken: None,
            over: false,
        };
        Ok(many(talk))
    }

    async fn watch(&self, call: Begun) -> Ended {
        let Begun {
            method,
            who,
            deadline,
            body,
        } = call;
        let place = self.place(method, &who)?;
        let message = one(self.messages(body)).await?;
        let handle = self
            .open(method, [Method::WatchOpen, Method::WatchClose], &who, message, deadline)
            .await?;
        let talk = Talk {
            place,
            path: method.path(),
            who,
            deadline: 0,
            opening: None,
            requests: None,
            act: Method::WatchNext,
            follow: Some(Follow {
                handle,
                next: Method::WatchNext,
                closes: Method::WatchClose,
            }),
            ends: false,
            broken: None,
            over: false,
        };
        // The headers leave now: the client knows that from here on nothing is missed.
        Ok(many(talk.begin(None)))
    }

    async fn work(&self, call: Begun) -> Ended {
        let Begun {
            method,
            who,
            deadline,
            body,
        } = call;
        let place = self.place(method, &who)?;
        let mut requests = self.messages(body);
        let Some(first) = requests.next().await else {
            let message = "the first message of a Work stream names its session";
            let no = self.desk.no(Rejection::about(Code::FieldMissing, "session", message));
            return Err(self.desk.refused(method.path(), Some(&who), no));
        };
        let first = first.map_err(unreadable)?;
        let mut handle = self
            .open(
                method,
                [Method::WorkOpen, Method::WorkClose],
                &who,
                first.clone(),
                deadline,
            )
            .await?;
        let opening = handle.split_off(HANDLE.min(handle.len()));
        let talk = Talk {
            place,
            path: method.path(),
            who,
            deadline,
            opening: Some(opening),
            requests: Some(requests),
            act: Method::WorkAct,
            follow: Some(Follow {
                handle,
                next: Method::WorkNext,
                closes: Method::WorkClose,
            }),
            ends: true,
            broken: None,
            over: false,
        };
        Ok(many(talk.begin(acts(&first).then_some(first))))
    }

    async fn open(
        &self,
        method: Method,
        [opens, closes]: [Method; 2],
        who: &Who,
        message: Bytes,
        deadline: i64,
    ) -> Result<Bytes, Status> {
        let opened = self.desk.open(opens, closes, who, message, deadline).await;
        if opened.grpc_code == 0 {
            Ok(opened.bytes.into())
        } else {
            Err(self.desk.refused(method.path(), Some(who), opened))
        }
    }

    fn place(&self, method: Method, who: &Who) -> Result<Place, Status> {
        Place::take(&self.desk)
            .map_err(|rejection| self.desk.refused(method.path(), Some(who), self.desk.no(rejection)))
    }

    /// Twice the bound: what is a little too large gets the node's numbered rejection; what is far too large is cut.
    fn messages(&self, body: Incoming) -> Streaming<Bytes> {
        Streaming::new_request(Raw, body, None, Some(2 * self.desk.settings.message_bytes_max))
    }
}

/// A status without a message before it.
fn no(status: Status) -> Response<Reply> {
    status.into_http::<tonic::body::Body>().map(|_| Reply::Empty)
}

impl Desk {
    /// A refusal on its way out: it is logged.
    pub fn refused(&self, path: &str, who: Option<&Who>, no: csroute_node::Completion) -> Status {
        self.log.rejected(path, who, &no);
        if no.grpc_code == tonic::Code::Internal as i32 {
            self.failed.store(true, Ordering::Relaxed);
        }
        status(no)
    }
}

/// Whether the message that opens a Work stream has actions already.
fn acts(first: &[u8]) -> bool {
    WorkRequest::decode(first).is_ok_and(|request| !request.actions.is_empty())
}

/// The one message of a call.
async fn one(messages: Streaming<Bytes>) -> Result<Bytes, Status> {
    let mut messages = pin!(messages);
    match messages.next().await {
        Some(message) => message.map_err(unreadable),
        None => Err(Status::internal("the call has no message")),
    }
}

fn many(talk: Talk) -> Response<Reply> {
    let (desk, strand) = talk.place.parts();
    let plain = tonic::codec::SingleMessageCompressionOverride::default();
    let body = EncodeBody::new_server(Raw, talk, None, plain, None);
    reply(Reply::Many(Box::pin(body), desk, strand))
}

fn reply(body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    response
}
