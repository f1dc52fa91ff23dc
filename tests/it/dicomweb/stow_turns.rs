//! Who stores when many want to (S24): each facility has its share of the places, those beyond it wait for their turn, and
//! what is refused is refused before its body travels.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::task::JoinSet;

use super::stow_wire::ask;
use crate::harness::{Server, instance, multipart};

const WAITING: &str = "kura_stores_waiting";

/// A server with so many places in all, for one facility, and to wait in.
fn server(places: usize, share: usize, room: usize, wait_s: u64) -> Server {
    let [places, share, room] = [places, share, room].map(|it| it.to_string());
    Server::start_set(&[
        ("KURA_LIMITS__UPLOADS", &places),
        ("KURA_LIMITS__UPLOADS_PER_FACILITY", &share),
        ("KURA_LIMITS__UPLOADS_WAITING", &room),
        ("KURA_LIMITS__UPLOAD_WAIT_S", &wait_s.to_string()),
        ("KURA_METRICS__LISTEN", "127.0.0.1:0"),
    ])
}

/// A store that has its place and goes no further until it is told to.
struct Begun {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Begun {
    fn of(server: &Server, token: &str, uid: &str) -> Self {
        let (media_type, body) = multipart::write(&[instance(uid).file()]);
        let (stream, answer) = ask(server, &head(token, &media_type, body.len()));
        assert!(answer.starts_with("HTTP/1.1 100 "), "{answer}");
        Self { stream, rest: body }
    }

    /// Sends the rest; its status.
    fn end(mut self) -> String {
        self.stream.write_all(&self.rest).unwrap();
        let mut status = [0; 12];
        self.stream.read_exact(&mut status).unwrap();
        String::from_utf8_lossy(&status[9..]).into_owned()
    }
}

fn head(token: &str, media_type: &str, length: usize) -> String {
    format!(
        "Authorization: Bearer {token}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n"
    )
}

/// The value of a series of the metrics, 0 where there is none.
async fn metric(server: &Server, series: &str) -> u64 {
    let url = format!("{}/metrics", server.metrics());
    let page = server.client.get(url).send().await.unwrap();
    let page = page.text().await.unwrap();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

/// Waits until so many stores wait.
async fn until_waiting(server: &Server, count: u64) {
    let started = Instant::now();
    while metric(server, WAITING).await != count {
        assert!(started.elapsed() < Duration::from_secs(20), "{count} wait");
    }
}

/// A whole store whose request is on its way.
struct Sent(JoinSet<u16>);

impl Sent {
    fn is_answered(&mut self) -> bool {
        self.0.try_join_next().is_some()
    }

    async fn status(mut self) -> u16 {
        self.0.join_next().await.unwrap().unwrap()
    }
}

fn store(server: &Server, token: &str, uid: &str) -> Sent {
    let (media_type, body) = multipart::write(&[instance(uid).file()]);
    let request = server
        .request(Method::POST, "/studies", token)
        .header("content-type", media_type)
        .body(body);
    let mut under_way = JoinSet::new();
    under_way.spawn(async move { request.send().await.unwrap().status().as_u16() });
    Sent(under_way)
}

#[tokio::test]
async fn s24_a_facility_that_has_its_share_leaves_places_to_others() {
    let server = server(3, 2, 4, 60);
    let (one, two) = (server.reader("F001"), server.reader("F002"));
    let first = Begun::of(&server, &one, "1.2.1");
    let second = Begun::of(&server, &one, "1.2.2");
    let mut third = store(&server, &one, "1.2.3");
    until_waiting(&server, 1).await;
    // One place is left, and it is not for the facility that has two.
    let other = server.store(&two, &[instance("1.2.4").file()]).await;
    assert_eq!(other.status, 200, "{}", other.text());
    assert!(!third.is_answered());
    assert_eq!(first.end(), "200");
    assert_eq!(third.status().await, 200);
    assert_eq!(second.end(), "200");
    until_waiting(&server, 0).await;
    let waits = metric(&server, "kura_store_wait_seconds_count").await;
    assert_eq!(waits, 4, "each store says how long it waited");
}

#[tokio::test]
async fn s24_those_who_wait_take_turns_by_facility() {
    let server = server(1, 1, 8, 60);
    let tokens = ["F001", "F002"].map(|code| server.reader(code));
    let first = Begun::of(&server, &tokens[0], "1.2.1");
    let long_line = (0..4).map(|n| store(&server, &tokens[0], &format!("1.2.2.{n}")));
    let long_line: Vec<_> = long_line.collect();
    until_waiting(&server, 4).await;
    // It comes last and waits for one store, not for five.
    let other = Begun::of_next(&server, &tokens[1], "1.2.3");
    until_waiting(&server, 5).await;
    assert_eq!(first.end(), "200");
    let other = other.join().unwrap();
    assert!(metric(&server, WAITING).await >= 4, "the long line waits");
    assert_eq!(other.end(), "200");
    for store in long_line {
        assert_eq!(store.status().await, 200);
    }
}

impl Begun {
    /// The same for one that waits first.
    fn of_next(server: &Server, token: &str, uid: &str) -> std::thread::JoinHandle<Self> {
        let (media_type, body) = multipart::write(&[instance(uid).file()]);
        let address = server.base.trim_start_matches("http://").to_owned();
        let head = format!(
            "POST /dicomweb/studies HTTP/1.1\r\nHost: kura\r\nExpect: 100-continue\r\n{}\r\n",
            head(token, &media_type, body.len())
        );
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = [0; 25];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer[..], b"HTTP/1.1 100 Continue\r\n\r\n");
            Self { stream, rest: body }
        })
    }
}

#[tokio::test]
async fn s24_a_full_line_is_told_to_come_again_before_the_body_travels() {
    let server = server(1, 1, 1, 60);
    let (one, two) = (server.reader("F001"), server.reader("F002"));
    let first = Begun::of(&server, &one, "1.2.1");
    let second = store(&server, &one, "1.2.2");
    until_waiting(&server, 1).await;
    let (media_type, body) = multipart::write(&[instance("1.2.3").file()]);
    let (_, answer) = ask(&server, &head(&one, &media_type, body.len()));
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("retry-after: 5"));
    for token in [&one, &two] {
        let refused = server.store(token, &[instance("1.2.3").file()]).await;
        assert_eq!(refused.status, 503);
        assert_eq!(refused.header("retry-after"), "5");
        assert_eq!(refused.header("content-type"), "application/problem+json");
        assert_eq!(refused.json()["code"], "unavailable");
    }
    let refused = "kura_stores_refused_total{reason=\"full\"}";
    assert_eq!(metric(&server, refused).await, 3);
    // Viewers are not held up.
    assert!(server.get("/studies", &one).await.status < 300);
    assert_eq!(first.end(), "200");
    assert_eq!(second.status().await, 200);
}

#[tokio::test]
async fn s24_a_full_room_makes_way_for_a_facility_that_has_none_in_it() {
    let server = server(1, 1, 2, 60);
    let (one, two) = (server.reader("F001"), server.reader("F002"));
    let first = Begun::of(&server, &one, "1.2.1");
    let line = ["1.2.2", "1.2.3"].map(|uid| store(&server, &one, uid));
    until_waiting(&server, 2).await;
    let other = store(&server, &two, "1.2.4");
    let full = "kura_stores_refused_total{reason=\"full\"}";
    let started = Instant::now();
    while metric(&server, full).await == 0 {
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(first.end(), "200");
    assert_eq!(other.status().await, 200);
    let mut statuses = Vec::new();
    for store in line {
        statuses.push(store.status().await);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
}

#[tokio::test]
async fn s24_a_store_whose_turn_does_not_come_is_told_so() {
    let server = server(1, 1, 4, 1);
    let token = server.reader("F001");
    let first = Begun::of(&server, &token, "1.2.1");
    let late = server.store(&token, &[instance("1.2.2").file()]).await;
    assert_eq!(
        (late.status, late.header("retry-after").as_str()),
        (503, "5")
    );
    assert!(late.text().contains("take too long"), "{}", late.text());
    let refused = "kura_stores_refused_total{reason=\"late\"}";
    assert_eq!(metric(&server, refused).await, 1);
    assert_eq!(metric(&server, WAITING).await, 0);
    assert_eq!(first.end(), "200");
}

#[tokio::test]
async fn s24_a_store_that_is_given_up_leaves_its_line() {
    let server = server(1, 1, 1, 60);
    let token = server.reader("F001");
    let first = Begun::of(&server, &token, "1.2.1");
    let io = tokio::net::TcpStream::connect(&server.base[7..])
        .await
        .unwrap();
    let (requests, connection) = h2::client::handshake(io).await.unwrap();
    let mut under_way = JoinSet::new();
    under_way.spawn(connection);
    let request = http::Request::post(format!("{}/dicomweb/studies", server.base))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/dicom");
    let mut requests = requests.ready().await.unwrap();
    let (_, mut body) = requests
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    until_waiting(&server, 1).await;
    body.send_reset(h2::Reason::CANCEL);
    until_waiting(&server, 0).await;
    // There is room again.
    let next = store(&server, &token, "1.2.2");
    until_waiting(&server, 1).await;
    assert_eq!(first.end(), "200");
    assert_eq!(next.status().await, 200);
}

#[tokio::test]
async fn s24_stores_that_wait_take_nothing_from_viewers() {
    let server = Server::start_set(&[
        ("KURA_LIMITS__UPLOADS", "1"),
        ("KURA_LIMITS__UPLOADS_PER_FACILITY", "1"),
        ("KURA_LIMITS__REQUESTS", "1"),
        ("KURA_METRICS__LISTEN", "127.0.0.1:0"),
    ]);
    let token = server.reader("F001");
    let first = Begun::of(&server, &token, "1.2.1");
    let second = store(&server, &token, "1.2.2");
    until_waiting(&server, 1).await;
    assert!(server.get("/studies", &token).await.status < 300);
    assert_eq!(first.end(), "200");
    assert_eq!(second.status().await, 200);
}

#[tokio::test]
async fn s24_more_requests_than_fit_are_asked_to_come_again() {
    let server = Server::start_set(&[
        ("KURA_LIMITS__REQUESTS", "1"),
        ("KURA_METRICS__LISTEN", "127.0.0.1:0"),
    ]);
    let token = server.reader("F001");
    let head = format!(
        "POST /api/v1/links HTTP/1.1\r\nHost: kura\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let started = Instant::now();
    while metric(&server, "kura_http_requests_in_flight").await == 0 {
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    let refused = server.get("/studies", &token).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), "5");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(server.get("/health/live", "").await.status, 200);
    drop(stream);
}
