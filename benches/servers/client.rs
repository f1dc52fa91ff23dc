//! A client that costs little: HTTP/1.1 over loopback, bodies from parts that are there already, answers thrown away as they
//! come, with the moments that matter.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, LINK,
    LOCATION,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

type Parts = futures::stream::Iter<Sending>;

/// A body on its way.
struct Sending {
    parts: std::vec::IntoIter<Bytes>,
    /// When the last part was taken.
    sent: Arc<OnceLock<Instant>>,
}

impl Iterator for Sending {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        let part = self.parts.next()?;
        if self.parts.len() == 0 {
            self.sent.get_or_init(Instant::now);
        }
        Some(Ok(Frame::data(part)))
    }
}

/// One request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub path: String,
    pub accept: &'static str,
    /// Whether a compressed answer is welcome.
    pub gzip: bool,
    /// Content type and parts of a body; a request with one is a POST.
    pub body: Option<(String, Vec<Bytes>)>,
    /// Whether the body of the answer is kept.
    pub keep: bool,
    /// Whether an answer that is no success is one to count.
    pub may_fail: bool,
}

impl Ask {
    /// A GET.
    pub(crate) fn get(path: impl Into<String>, accept: &'static str) -> Self {
        Self {
            path: path.into(),
            accept,
            ..Self::default()
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Taken {
    pub status: u16,
    /// Until the first byte of the body.
    pub first: Duration,
    /// Until the last.
    pub whole: Duration,
    /// Bytes of the body on the wire.
    pub bytes: u64,
    /// The body, where it was to be kept.
    pub body: BytesMut,
    /// Path of the next page, where there is one.
    pub next: Option<String>,
    /// Path that the answer leads to, where it does.
    pub location: Option<String>,
    /// When the last of the body was handed to the socket.
    pub sent: Instant,
}

/// One connection to one server.
pub(crate) struct Connection {
    sender: SendRequest<StreamBody<Parts>>,
    host: String,
    token: String,
}

impl Connection {
    pub(crate) async fn open(address: &str, token: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let mut builder = http1::Builder::new();
        builder.max_buf_size(512 * 1024);
        let (sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .expect("HTTP/1.1");
        Handle::current().spawn(connection);
        Self {
            sender,
            host: address.to_owned(),
            token: token.to_owned(),
        }
    }

    /// Sends a request and takes the whole answer.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> Taken {
        let begun = Instant::now();
        self.sender.ready().await.expect("the connection lives");
        let sent = Arc::new(OnceLock::new());
        let request = self.request(ask, &sent);
        let response = self.sender.send_request(request).await;
        let response = response.unwrap_or_else(|error| panic!("{}: {error}", ask.path));
        let link = response
            .headers()
            .get(LINK)
            .and_then(|value| value.to_str().ok());
        let mut taken = Taken {
            status: response.status().as_u16(),
            first: Duration::ZERO,
            whole: Duration::ZERO,
            bytes: 0,
            body: BytesMut::new(),
            next: link.and_then(next_page),
            location: response.headers().get(LOCATION).and_then(path_of),
            sent: *sent.get().unwrap_or(&begun),
        };
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.unwrap_or_else(|error| panic!("{}: {error:?}", ask.path));
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if taken.bytes == 0 {
                taken.first = begun.elapsed();
            }
            taken.bytes += data.len() as u64;
            if ask.keep || taken.status >= 400 {
                taken.body.extend_from_slice(&data);
            }
        }
        taken.whole = begun.elapsed();
        assert!(
            ask.may_fail || matches!(taken.status, 200 | 204 | 303),
            "{} {}: {} {}",
            self.host,
            ask.path,
            taken.status,
            String::from_utf8_lossy(&taken.body)
        );
        taken
    }

    fn request(
        &self,
        ask: &Ask,
        sent: &Arc<OnceLock<Instant>>,
    ) -> hyper::Request<StreamBody<Parts>> {
        let mut request = hyper::Request::builder()
            .uri(&ask.path)
            .header(HOST, &self.host);
        if !self.token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.token));
        }
        if !ask.accept.is_empty() {
            request = request.header(ACCEPT, ask.accept);
        }
        if ask.gzip {
            request = request.header(ACCEPT_ENCODING, "gzip");
        }
        let mut parts = Vec::new();
        if let Some((content_type, body)) = &ask.body {
            let length: usize = body.iter().map(Bytes::len).sum();
            request = request
                .method("POST")
                .header(CONTENT_TYPE, content_type)
                .header(CONTENT_LENGTH, length);
            parts.clone_from(body);
        }
        let sending = Sending {
            parts: parts.into_iter(),
            sent: Arc::clone(sent),
        };
        let body = StreamBody::new(futures::stream::iter(sending));
        request.body(body).expect("a request")
    }
}

/// The path of an address.
fn path_of(address: &HeaderValue) -> Option<String> {
    let (_, address) = address.to_str().ok()?.split_once("://")?;
    Some(address[address.find('/')?..].to_owned())
}

/// The path in a link to the next page.
fn next_page(link: &str) -> Option<String> {
    let (_, address) = link.split_once("://")?;
    let (address, relation) = address.split_once('>')?;
    let at = relation
        .contains("rel=\"next\"")
        .then(|| address.find('/'))??;
    Some(address[at..].to_owned())
}

/// Does all of `asks` over so many connections; how long each took, in the order in which they ended, and the whole.
pub(crate) async fn all(
    address: &str,
    token: &str,
    connections: usize,
    asks: Vec<Ask>,
) -> (Duration, Vec<Duration>) {
    let open = (0..connections).map(|_| Connection::open(address, token));
    let open = futures::future::join_all(open).await;
    let count = asks.len();
    let queue = Arc::new(Mutex::new(VecDeque::from(asks)));
    let times = Arc::new(Mutex::new(Vec::with_capacity(count)));
    let begun = Instant::now();
    let tasks = open.into_iter().map(|mut connection| {
        let (queue, times) = (Arc::clone(&queue), Arc::clone(&times));
        Handle::current().spawn(async move {
            loop {
                let next = queue.lock().expect("no task panics").pop_front();
                let Some(request) = next else { break };
                let answer = connection.ask(&request).await;
                times.lock().expect("no task panics").push(answer.whole);
            }
        })
    });
    for ended in futures::future::join_all(tasks).await {
        ended.expect("every request is answered");
    }
    let whole = begun.elapsed();
    let times = std::mem::take(&mut *times.lock().expect("no task panics"));
    (whole, times)
}
