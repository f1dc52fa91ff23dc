//! HTTP/2 on plain connections, with prior knowledge (RFC 9113 3.3; dicomweb.md C30): what a proxy in front speaks.
//!
//! The streams of a connection are polled with it and by nobody else, so that all of them end with it. The limits are those of
//! HTTP/1.1: a head is waited for no longer, an idle connection is closed, a stop lets what runs come to its end.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::error::PayloadError;
use actix_http::{Payload, Request, Response};
use actix_service::Service;
use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, DATE, EXPECT, HOST, HeaderName, HeaderValue,
    TRANSFER_ENCODING, UPGRADE,
};
use actix_web::http::{Method, StatusCode, Uri, Version};
use bytes::{Bytes, BytesMut};
use futures::stream::{FuturesUnordered, Stream, StreamExt as _};
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::conditional::http_date;
use crate::model::Clock;

/// What every connection begins with (RFC 9113 3.4), as far as it tells the two protocols apart.
const PREFACE: &[u8; 14] = b"PRI * HTTP/2.0";
/// Streams of a connection at a time. OHIF has up to 200 requests under way (C30).
const STREAMS: u32 = 256;
/// The longest head that is read, as of HTTP/1.1; what an operator allows is less.
const HEAD_BYTES: u32 = 128 << 10;
/// What may arrive before it is taken: of one stream, and of all. A line of 1 Gbps and 30 ms has 3.6 MiB under way (MINT Z02).
const STREAM_WINDOW: u32 = 8 << 20;
const WINDOW: u32 = 16 << 20;
/// What of an answer waits for the connection.
const SEND_BYTES: usize = 64 << 10;
/// What is shorter is held back while more is at hand: a piece of 64 KiB does not fit into the usual window by one byte, and
/// clients take many short frames for an attack.
const LEAST_BYTES: usize = 1 << 10;
/// How long the other side has to acknowledge the end of a connection without streams.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is between a connection and the application.
#[derive(Clone, Debug)]
pub(super) struct Door<S, E> {
    /// The application.
    pub(super) app: S,
    /// Whether the sender of a head with `Expect: 100-continue` may send the body.
    pub(super) expect: E,
    pub(super) clock: Clock,
    /// By when the preface and the head of the first request must be there.
    pub(super) head: Duration,
    /// When a connection without streams is closed.
    pub(super) idle: Duration,
}

/// Whether a connection begins as HTTP/2 does; `None` if nothing tells within `limit`. Nothing is taken from it.
pub(super) async fn is_spoken(io: &TcpStream, limit: Duration) -> Option<bool> {
    let looking = async {
        let mut begin = [0; PREFACE.len()];
        loop {
            let len = io.peek(&mut begin).await?;
            let (seen, expected) = (begin.get(..len), PREFACE.get(..len));
            if len == 0 || len == PREFACE.len() || seen != expected {
                return Ok::<_, io::Error>(len > 0 && seen == expected);
            }
            // What is there is told again at once, until there is more.
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(limit, looking).await.ok()?.ok()
}

/// Answers what comes on a connection until it ends. Once `draining` is over, nothing new is taken.
pub(super) async fn serve<S, E, B>(
    io: TcpStream,
    door: &Door<S, E>,
    draining: impl Future<Output = ()>,
) where
    S: Service<Request, Response: Into<Response<B>>, Error: Into<Response<BoxBody>>>,
    E: AsyncFn(Request) -> Result<Request, Response<BoxBody>>,
    B: MessageBody + 'static,
{
    let peer = io.peer_addr().ok();
    let Ok((io, kept)) = twice(io) else {
        return;
    };
    if said_farewell(io, peer, door, draining).await {
        linger(kept).await;
    }
}

/// A connection, and another handle of it.
fn twice(io: TcpStream) -> io::Result<(TcpStream, TcpStream)> {
    let io = io.into_std()?;
    let kept = io.try_clone()?;
    Ok((TcpStream::from_std(io)?, TcpStream::from_std(kept)?))
}

/// Lets the other side close first: what it has not read yet of the last answers is lost when its own words meet a socket
/// that is no more.
async fn linger(mut io: TcpStream) {
    let mut rest = [0; 1024];
    let closed = async { while io.read(&mut rest).await.is_ok_and(|len| len > 0) {} };
    timeout(FAREWELL, closed).await.ok();
}

/// Answers until the connection ends; whether that was said to the other side.
async fn said_farewell<S, E, B>(
    io: TcpStream,
    peer: Option<SocketAddr>,
    door: &Door<S, E>,
    draining: impl Future<Output = ()>,
) -> bool
where
    S: Service<Request, Response: Into<Response<B>>, Error: Into<Response<BoxBody>>>,
    E: AsyncFn(Request) -> Result<Request, Response<BoxBody>>,
    B: MessageBody + 'static,
{
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buffer_size(SEND_BYTES);
    let mut draining = pin!(draining);
    let begun = tokio::select! {
        begun = timeout(door.head, builder.handshake::<_, Bytes>(io)) => begun,
        () = &mut draining => return false,
    };
    let Ok(Ok(mut connection)) = begun else {
        return false;
    };
    let mut running = FuturesUnordered::new();
    let (mut is_over, mut until) = (false, deadline(door.head));
    loop {
        tokio::select! {
            next = connection.accept() => match next {
                Some(Ok((request, to))) => running.push(answer(door, peer, request, to)),
                // Its streams end with it.
                Some(Err(_)) => return false,
                None => return is_over,
            },
            Some(()) = running.next(), if !running.is_empty() => {
                if running.is_empty() {
                    until = deadline(if is_over { FAREWELL } else { door.idle });
                }
            }
            () = &mut draining, if !is_over => {
                is_over = say_farewell(&mut connection);
                until = deadline(FAREWELL);
            }
            () = sleep_until(until), if running.is_empty() => {
                if is_over {
                    return true;
                }
                is_over = say_farewell(&mut connection);
                until = deadline(FAREWELL);
            }
        }
    }
}

fn deadline(after: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after).unwrap_or(now)
}

/// What has begun goes on; the connection ends with the last stream.
fn say_farewell(connection: &mut Connection<TcpStream, Bytes>) -> bool {
    connection.graceful_shutdown();
    true
}

/// One stream, from its head to the last byte of its answer.
async fn answer<S, E, B>(
    door: &Door<S, E>,
    peer: Option<SocketAddr>,
    request: http::Request<RecvStream>,
    mut to: SendResponse<Bytes>,
) where
    S: Service<Request, Response: Into<Response<B>>, Error: Into<Response<BoxBody>>>,
    E: AsyncFn(Request) -> Result<Request, Response<BoxBody>>,
    B: MessageBody + 'static,
{
    let is_head = request.method() == http::Method::HEAD;
    let date = http_date(door.clock.now());
    let waits = |request: &Request| {
        let expect = request.headers().get(EXPECT);
        expect.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    };
    let admitted = match taken(request, peer) {
        Ok(request) if waits(&request) => {
            let admitted = (door.expect)(request).await;
            let mut go_on = http::Response::new(());
            *go_on.status_mut() = http::StatusCode::CONTINUE;
            if admitted.is_ok() && to.send_informational(go_on).is_err() {
                return;
            }
            admitted
        }
        taken => taken,
    };
    let response = match admitted {
        Ok(request) => tokio::select! {
            response = door.app.call(request) => match response {
                Ok(response) => response.into().map_into_boxed_body(),
                Err(error) => error.into(),
            },
            // Nobody wants it any more: what works on it stops.
            _ = poll_fn(|context| to.poll_reset(context)) => return,
        },
        Err(refusal) => refusal,
    };
    if let Err(error) = send(response, to, is_head, &date).await {
        tracing::debug!(%error, "a stream ended before its answer");
    }
}

/// A request as the application knows it: what is said in pseudo-headers stands where HTTP/1.1 has it.
fn taken(
    request: http::Request<RecvStream>,
    peer: Option<SocketAddr>,
) -> Result<Request, Response<BoxBody>> {
    let malformed = || Response::bad_request().map_into_boxed_body();
    let (from, body) = request.into_parts();
    let payload = if body.is_end_stream() {
        Payload::None
    } else {
        Payload::Stream {
            payload: Upload(body).boxed_local(),
        }
    };
    let mut request = Request::with_payload(payload);
    let head = request.head_mut();
    let target = from.uri.path_and_query().map_or("/", |it| it.as_str());
    head.uri = target.parse::<Uri>().map_err(|_| malformed())?;
    head.method = Method::from_bytes(from.method.as_str().as_bytes()).map_err(|_| malformed())?;
    head.version = Version::HTTP_2;
    head.peer_addr = peer;
    let mut cookies = Vec::new();
    for (name, value) in &from.headers {
        if *name == http::header::COOKIE {
            cookies.push(value.as_bytes());
            continue;
        }
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| malformed())?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| malformed())?;
        head.headers.append(name, value);
    }
    if !cookies.is_empty() {
        // They may come one by one (RFC 9113 8.2.3).
        let cookies = HeaderValue::from_bytes(&cookies.join(&b"; "[..]));
        head.headers
            .insert(COOKIE, cookies.map_err(|_| malformed())?);
    }
    if let Some(authority) = from.uri.authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| malformed())?;
        head.headers.insert(HOST, host);
    }
    Ok(request)
}

/// The body of a request. What was taken makes room for as much.
struct Upload(RecvStream);

impl Stream for Upload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let broken = |error| Some(Err(PayloadError::Io(io::Error::other(error))));
        let next = ready!(self.0.poll_data(context));
        Poll::Ready(match next {
            Some(Ok(piece)) => match self.0.flow_control().release_capacity(piece.len()) {
                Ok(()) => Some(Ok(piece)),
                Err(error) => broken(error),
            },
            Some(Err(error)) => broken(error),
            None => None,
        })
    }
}

/// Sends an answer as fast as it is taken. One that fails on its way ends the stream with an error, and never as a whole (S34).
async fn send(
    response: Response<BoxBody>,
    mut to: SendResponse<Bytes>,
    is_head: bool,
    date: &str,
) -> Result<(), h2::Error> {
    let (response, mut body) = response.into_parts();
    let size = match response.status() {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => BodySize::None,
        _ => body.size(),
    };
    let is_over = is_head || matches!(size, BodySize::None | BodySize::Sized(0));
    let mut out = to.send_response(head(&response, size, date), is_over)?;
    if is_over {
        return Ok(());
    }
    let mut held = Bytes::new();
    loop {
        let at_once = poll_fn(|context| Poll::Ready(Pin::new(&mut body).poll_next(context))).await;
        let next = if let Poll::Ready(next) = at_once {
            next
        } else {
            if push(&mut out, std::mem::take(&mut held), 0)
                .await?
                .is_none()
            {
                return Ok(());
            }
            tokio::select! {
                next = poll_fn(|context| Pin::new(&mut body).poll_next(context)) => next,
                _ = poll_fn(|context| out.poll_reset(context)) => return Ok(()),
            }
        };
        match next {
            Some(Ok(piece)) => match push(&mut out, joined(&held, piece), LEAST_BYTES).await? {
                Some(left) => held = left,
                None => return Ok(()),
            },
            Some(Err(_)) => {
                out.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
            None => return out.send_data(held, true),
        }
    }
}

fn joined(held: &Bytes, piece: Bytes) -> Bytes {
    if held.is_empty() {
        return piece;
    }
    let mut joined = BytesMut::with_capacity(held.len().saturating_add(piece.len()));
    joined.extend_from_slice(held);
    joined.extend_from_slice(&piece);
    joined.freeze()
}

/// Sends a piece as there is room for it, and gives back what is left once that is not more than `least`; `None` where nobody
/// takes it any more.
async fn push(
    out: &mut SendStream<Bytes>,
    mut piece: Bytes,
    least: usize,
) -> Result<Option<Bytes>, h2::Error> {
    while piece.len() > least {
        out.reserve_capacity(piece.len());
        let Some(room) = poll_fn(|context| out.poll_capacity(context)).await else {
            return Ok(None);
        };
        let room = room?.min(piece.len());
        out.send_data(piece.split_to(room), false)?;
    }
    Ok(Some(piece))
}

/// The head of an answer, without what HTTP/1.1 says of its connection (RFC 9113 8.2.2).
fn head(response: &Response<()>, size: BodySize, date: &str) -> http::Response<()> {
    let mut head = http::Response::new(());
    let status = http::StatusCode::from_u16(response.status().as_u16());
    *head.status_mut() = status.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = head.headers_mut();
    for (name, value) in response.headers() {
        let is_of_connection = [CONNECTION, TRANSFER_ENCODING, UPGRADE].contains(name)
            || matches!(name.as_str(), "keep-alive" | "proxy-connection");
        let is_length = *name == CONTENT_LENGTH && size != BodySize::Stream;
        let (name, value) = (
            http::HeaderName::from_bytes(name.as_str().as_bytes()),
            http::HeaderValue::from_bytes(value.as_bytes()),
        );
        if let (Ok(name), Ok(value)) = (name, value)
            && !is_of_connection
            && !is_length
        {
            headers.append(name, value);
        }
    }
    if let BodySize::Sized(len) = size {
        headers.insert(http::header::CONTENT_LENGTH, len.into());
    }
    if !response.headers().contains_key(DATE)
        && let Ok(date) = http::HeaderValue::from_str(date)
    {
        headers.insert(http::header::DATE, date);
    }
    head
}
