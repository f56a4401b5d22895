//! A lean gRPC client: HTTP/2 frames and nothing else, so that what is measured is the door.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue, Request};
use tokio::net::TcpStream;

const WINDOW_BYTES: u32 = 4 << 20;
/// What is gathered of small messages before it is handed to HTTP/2.
const GATHER_BYTES: usize = 16 << 10;

/// A connection.
#[derive(Clone)]
pub struct Client(SendRequest<Bytes>);

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Well, with this message.
    Well(Bytes),
    /// With this gRPC status.
    Status(u16),
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the door listens");
        stream.set_nodelay(true).expect("a socket");
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(4 * WINDOW_BYTES)
            .max_frame_size(64 << 10)
            .handshake::<_, Bytes>(stream)
            .await
            .expect("HTTP/2");
        tokio::spawn(async move { drop(connection.await) });
        Self(send)
    }

    /// One call. With a timeout the server is told, and the call is given up.
    pub async fn unary(&self, path: &'static str, message: &[u8], timeout: Option<Duration>) -> Option<Ended> {
        let call = async {
            let mut send = self.0.clone().ready().await.ok()?;
            let (reply, mut body) = send.send_request(request(path, timeout), false).ok()?;
            body.send_data(framed(message), true).ok()?;
            let reply = reply.await.ok()?;
            if let Some(status) = status(reply.headers()) {
                return Some(Ended::Status(status));
            }
            let mut body = reply.into_body();
            let mut got = Bytes::new();
            while let Some(data) = body.data().await {
                let data = data.ok()?;
                body.flow_control().release_capacity(data.len()).ok()?;
                if got.is_empty() {
                    got = data;
                } else {
                    got = [got, data].concat().into();
                }
            }
            match status(&body.trailers().await.ok()??)? {
                0 => Some(Ended::Well(got.split_off(5.min(got.len())))),
                status => Some(Ended::Status(status)),
            }
        };
        match timeout {
            None => call.await,
            Some(timeout) => tokio::time::timeout(timeout, call).await.ok().flatten(),
        }
    }

    /// All messages over one stream, so many of them in flight: how many were answered.
    pub async fn stream(&self, path: &'static str, messages: &[Vec<u8>], window: usize) -> usize {
        let mut send = self.0.clone().ready().await.expect("a connection");
        let (reply, mut out) = send.send_request(request(path, None), false).expect("a stream");
        let reply = reply.await.expect("headers");
        let mut body = reply.into_body();
        let (mut sent, mut answered) = (0, 0);
        let mut left = Frames::default();
        let mut pending: VecDeque<Bytes> = VecDeque::new();
        let mut ended = false;
        poll_fn(|context| {
            use std::task::Poll;
            loop {
                let mut moved = false;
                // Out: as many as the window lets, gathered.
                while pending.is_empty() && sent < messages.len() && sent - answered < window {
                    let mut gathered = BytesMut::with_capacity(GATHER_BYTES);
                    while sent < messages.len() && sent - answered < window && gathered.len() < GATHER_BYTES {
                        put(&mut gathered, &messages[sent]);
                        sent += 1;
                    }
                    out.reserve_capacity(gathered.len());
                    pending.push_back(gathered.freeze());
                }
                while let Some(data) = pending.front() {
                    if out.capacity() < data.len() {
                        match out.poll_capacity(context) {
                            Poll::Ready(Some(Ok(_))) => continue,
                            Poll::Ready(_) => return Poll::Ready(()),
                            Poll::Pending => break,
                        }
                    }
                    let data = pending.pop_front().expect("it is there");
                    out.send_data(data, false).expect("an open stream");
                    moved = true;
                }
                if sent == messages.len() && pending.is_empty() && !ended {
                    out.send_data(Bytes::new(), true).expect("an open stream");
                    ended = true;
                }
                // In: whatever is there.
                match body.poll_data(context) {
                    Poll::Ready(Some(Ok(data))) => {
                        body.flow_control().release_capacity(data.len()).expect("what came");
                        answered += left.count(data);
                        moved = true;
                    }
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
                if !moved {
                    return Poll::Pending;
                }
            }
        })
        .await;
        answered
    }
}

/// Counts messages in what comes, however it is cut.
#[derive(Default)]
struct Frames {
    left: BytesMut,
}

impl Frames {
    fn count(&mut self, data: Bytes) -> usize {
        self.left.extend_from_slice(&data);
        let mut messages = 0;
        while self.left.len() >= 5 {
            let length = 5 + u32::from_be_bytes([self.left[1], self.left[2], self.left[3], self.left[4]]) as usize;
            if self.left.len() < length {
                break;
            }
            self.left.advance(length);
            messages += 1;
        }
        messages
    }
}

fn request(path: &'static str, timeout: Option<Duration>) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    let uri = http::Uri::builder()
        .scheme("http")
        .authority("bench")
        .path_and_query(path);
    *request.uri_mut() = uri.build().expect("a path");
    let headers = request.headers_mut();
    headers.insert("te", HeaderValue::from_static("trailers"));
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    if let Some(timeout) = timeout {
        let value = HeaderValue::from_str(&format!("{}m", timeout.as_millis()));
        headers.insert("grpc-timeout", value.expect("digits"));
    }
    request
}

fn status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn put(to: &mut BytesMut, message: &[u8]) {
    to.put_u8(0);
    to.put_u32(message.len() as u32);
    to.put_slice(message);
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    put(&mut frame, message);
    frame.freeze()
}
