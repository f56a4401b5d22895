//! A lean gRPC client: HTTP/2 frames and nothing else, so that what is measured is the server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::net::TcpStream;

const WINDOW_BYTES: u32 = 4 << 20;
const FRAME_BYTES: u32 = 64 << 10;
/// gRPC's frame: whether compressed, and the length.
const HEAD: usize = 5;

/// A connection, to be cloned for each that uses it.
#[derive(Clone)]
pub struct Client {
    send: SendRequest<Bytes>,
    headers: HeaderMap,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Well, with this message.
    Well(Bytes),
    /// With this gRPC status.
    Status(u16),
    /// Not within its time.
    Late,
    /// The connection broke, or what came is no gRPC: why.
    Lost(String),
}

fn lost(why: &str) -> Ended {
    Ended::Lost(why.to_owned())
}

impl From<h2::Error> for Ended {
    fn from(error: h2::Error) -> Self {
        Ended::Lost(error.to_string())
    }
}

impl Client {
    /// Connects, in plain text. Each call carries the metadata.
    pub async fn connect(address: SocketAddr, metadata: &[(String, String)]) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(4 * WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES)
            .handshake::<_, Bytes>(stream)
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(async move { drop(connection.await) });
        let mut headers = HeaderMap::new();
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        for (name, value) in metadata {
            let name = HeaderName::try_from(name).map_err(io::Error::other)?;
            headers.insert(name, HeaderValue::try_from(value).map_err(io::Error::other)?);
        }
        Ok(Self { send, headers })
    }

    fn request(&self, path: &'static str, timeout: Option<Duration>) -> Result<Request<()>, Ended> {
        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        let uri = http::Uri::builder().scheme("http").authority("csroute");
        *request.uri_mut() = uri
            .path_and_query(path)
            .build()
            .map_err(|error| Ended::Lost(error.to_string()))?;
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        if let Some(timeout) = timeout {
            let value = HeaderValue::from_str(&format!("{}m", timeout.as_millis().max(1)));
            headers.insert("grpc-timeout", value.map_err(|error| Ended::Lost(error.to_string()))?);
        }
        Ok(request)
    }

    /// One call. With a timeout the server is told, and the call is given up.
    pub async fn unary(&self, path: &'static str, message: &[u8], timeout: Option<Duration>) -> Ended {
        let call = self.call(path, message, timeout);
        let ended = match timeout {
            None => call.await,
            Some(timeout) => match tokio::time::timeout(timeout, call).await {
                Ok(ended) => ended,
                Err(_) => return Ended::Late,
            },
        };
        ended.map_or_else(|ended| ended, Ended::Well)
    }

    async fn call(&self, path: &'static str, message: &[u8], timeout: Option<Duration>) -> Result<Bytes, Ended> {
        let mut send = self.send.clone().ready().await?;
        let (reply, out) = send.send_request(self.request(path, timeout)?, false)?;
        let mut out = Sender(out);
        if message.len() + HEAD <= FRAME_BYTES as usize {
            out.0.send_data(framed(message), true)?;
        } else {
            out.send(framed(message)).await?;
            out.end()?;
        }
        let mut replies = Receiver::new(reply);
        let found = replies
            .next()
            .await?
            .ok_or_else(|| lost("an answer without a message"))?;
        match replies.next().await? {
            None => Ok(found),
            Some(_) => Err(lost("a call with two answers")),
        }
    }

    /// A stream both ways.
    pub async fn open(&self, path: &'static str) -> Result<(Sender, Receiver), Ended> {
        let mut send = self.send.clone().ready().await?;
        let (reply, out) = send.send_request(self.request(path, None)?, false)?;
        Ok((Sender(out), Receiver::new(reply)))
    }
}

/// The way out of a stream.
pub struct Sender(SendStream<Bytes>);

impl Sender {
    /// Hands over framed messages, as fast as the server takes them.
    pub async fn send(&mut self, mut data: Bytes) -> Result<(), Ended> {
        while !data.is_empty() {
            self.0.reserve_capacity(data.len());
            while self.0.capacity() == 0 {
                let more = std::future::poll_fn(|context| self.0.poll_capacity(context)).await;
                more.ok_or_else(|| lost("the stream is closed"))??;
            }
            let piece = data.split_to(data.len().min(self.0.capacity()));
            self.0.send_data(piece, false)?;
        }
        Ok(())
    }

    /// No more messages.
    pub fn end(&mut self) -> Result<(), Ended> {
        Ok(self.0.send_data(Bytes::new(), true)?)
    }
}

/// The way in of a call or a stream.
pub struct Receiver {
    head: Option<ResponseFuture>,
    body: Option<RecvStream>,
    left: BytesMut,
}

impl Receiver {
    fn new(head: ResponseFuture) -> Self {
        Self {
            head: Some(head),
            body: None,
            left: BytesMut::new(),
        }
    }

    /// The next message; None: the stream ended well.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Ended> {
        if let Some(head) = self.head.take() {
            let reply = head.await?;
            if let Some(status) = status(reply.headers()) {
                return ended(status);
            }
            self.body = Some(reply.into_body());
        }
        let body = self.body.as_mut().ok_or_else(|| lost("it ended before"))?;
        loop {
            if let Some(message) = unframed(&mut self.left) {
                return Ok(Some(message));
            }
            let Some(data) = body.data().await else {
                let trailers = body.trailers().await?.unwrap_or_default();
                return ended(status(&trailers).ok_or_else(|| lost("an end without a status"))?);
            };
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            self.left.extend_from_slice(&data);
        }
    }
}

fn ended(status: u16) -> Result<Option<Bytes>, Ended> {
    if status == 0 {
        Ok(None)
    } else {
        Err(Ended::Status(status))
    }
}

fn status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn unframed(data: &mut BytesMut) -> Option<Bytes> {
    let head = data.get(1..HEAD)?.try_into().ok()?;
    let length = HEAD + u32::from_be_bytes(head) as usize;
    if data.len() < length {
        return None;
    }
    let mut message = data.split_to(length).freeze();
    message.advance(HEAD);
    Some(message)
}

/// Appends a message in gRPC's frame.
pub fn put(to: &mut BytesMut, message: &[u8]) {
    to.reserve(HEAD + message.len());
    to.put_u8(0);
    to.put_u32(message.len() as u32);
    to.put_slice(message);
}

/// A message in gRPC's frame.
pub fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    put(&mut frame, message);
    frame.freeze()
}
