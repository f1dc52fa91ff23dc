//! The keys of a provider through rotation, outage, floods and slow answers; the provider is a socket that a test rules.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use serde_json::{Value, json};

use super::fetch::FetchError;
use super::*;
use crate::model::{Clock, Timestamp};

/// The Ed25519 key of RFC 8037 A.2, and one more point of the curve.
const X: [&str; 2] = [
    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE",
];

/// What the socket answers, and how often it was asked.
#[derive(Default)]
struct Script {
    answer: Mutex<String>,
    asked: AtomicUsize,
    is_held: Mutex<bool>,
    released: Condvar,
}

struct World {
    script: Arc<Script>,
    base: String,
    clock: Clock,
    provider: Arc<Provider>,
}

fn answer(stream: &TcpStream, script: &Script) {
    let mut lines = BufReader::new(stream).lines();
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|l| !l.is_empty()))
    {}
    script.asked.fetch_add(1, Ordering::SeqCst);
    let mut is_held = script.is_held.lock().unwrap();
    while *is_held {
        is_held = script.released.wait(is_held).unwrap();
    }
    drop(is_held);
    let text = script.answer.lock().unwrap().clone();
    let mut stream = stream;
    // The client may have given up.
    drop(stream.write_all(text.as_bytes()));
}

fn http(status: &str, headers: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {len}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}

fn key(kid: &str, x: &str) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x})
}

fn set(keys: &[Value]) -> String {
    http("200 OK", "", &json!({ "keys": keys }).to_string())
}

impl World {
    /// A provider whose set holds the key `a`, not fetched yet.
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Script::default());
        *script.answer.lock().unwrap() = set(&[key("a", X[0])]);
        let told = Arc::clone(&script);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let told = Arc::clone(&told);
                std::thread::spawn(move || answer(&stream, &told));
            }
        });
        let clock = Clock::fixed(Timestamp(1_700_000_000_000_000));
        let provider = Provider::new(&base, Some(&format!("{base}/jwks")), 900, clock.clone());
        Self {
            script,
            base,
            clock,
            provider: Arc::new(provider.unwrap()),
        }
    }

    async fn fetched() -> Self {
        let world = Self::new();
        world.provider.fetch_once().await.unwrap();
        world
    }

    fn answers(&self, text: String) {
        *self.script.answer.lock().unwrap() = text;
    }

    fn hold(&self, is_held: bool) {
        *self.script.is_held.lock().unwrap() = is_held;
        self.script.released.notify_all();
    }

    fn asked(&self) -> usize {
        self.script.asked.load(Ordering::SeqCst)
    }

    /// Whether the key is here, without asking for it.
    fn has(&self, kid: &str) -> bool {
        self.provider.known(Some(kid)).is_some()
    }

    async fn finds(&self, kid: &str) -> bool {
        self.provider.find(Some(kid)).await.is_some()
    }

    /// Runs the loop of the provider beside `work`.
    async fn beside_the_loop<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            () = self.provider.keep_fresh() => unreachable!("the loop has no end"),
            done = work => done,
        }
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .unwrap();
}

#[tokio::test]
async fn sh_2_2_4_a_new_key_is_picked_up_by_the_first_token_that_names_it() {
    let world = World::new();
    world
        .beside_the_loop(async {
            until(|| world.has("a")).await;
            world.answers(set(&[key("a", X[0]), key("b", X[1])]));
            assert!(world.finds("b").await);
            assert!(world.has("a") && world.has("b"));
            assert_eq!(world.asked(), 2);
        })
        .await;
}

#[tokio::test]
async fn sh_2_2_4_unknown_names_ask_once_a_minute_however_many_they_are() {
    let world = World::new();
    world
        .beside_the_loop(async {
            until(|| world.has("a")).await;
            let names: Vec<String> = (0..200).map(|number| format!("x{number}")).collect();
            let found = join_all(names.iter().map(|name| world.finds(name))).await;
            assert!(found.iter().all(|found| !found));
            assert_eq!(world.asked(), 2, "one at the start, one for all of them");
            world.clock.advance_s(59);
            assert!(!world.finds("y").await);
            assert_eq!(world.asked(), 2);
            world.clock.advance_s(1);
            assert!(!world.finds("y").await);
            assert_eq!(world.asked(), 3);
            // A set of one key serves tokens that name none.
            assert!(world.provider.find(None).await.is_some());
        })
        .await;
}

#[tokio::test]
async fn sh_2_2_4_a_slow_provider_holds_up_nobody_whose_key_is_known() {
    let world = World::new();
    world
        .beside_the_loop(async {
            until(|| world.has("a")).await;
            world.hold(true);
            let (unknown, ()) = tokio::join!(world.finds("b"), async {
                until(|| world.asked() == 2).await;
                for _ in 0..100 {
                    let known = world.provider.find(Some("a")).now_or_never();
                    assert!(known.flatten().is_some(), "at once, while a fetch runs");
                }
                world.answers(set(&[key("a", X[0]), key("b", X[1])]));
                world.hold(false);
            });
            assert!(unknown, "whoever asked gets what the fetch brought");
        })
        .await;
}

#[tokio::test]
async fn sh_2_2_4_the_old_set_serves_for_a_day_without_the_provider() {
    let world = World::fetched().await;
    for broken in [
        http("500 Internal Server Error", "", ""),
        http("200 OK", "", "no JSON"),
        set(&[]),
        String::new(),
    ] {
        world.answers(broken);
        assert!(world.provider.fetch_once().await.is_err());
    }
    world.clock.advance_s(24 * 3600 - 1);
    assert!(world.has("a"));
    world.clock.advance_s(1);
    assert!(!world.has("a"), "a day is over");
    world.answers(set(&[key("a", X[0])]));
    world.provider.fetch_once().await.unwrap();
    assert!(world.has("a"));
}

#[tokio::test]
async fn sh_2_2_4_a_key_that_is_gone_serves_until_its_last_token_has_expired() {
    let world = World::fetched().await;
    world.clock.advance_s(100);
    world.answers(set(&[key("b", X[1])]));
    world.provider.fetch_once().await.unwrap();
    assert!(world.has("a") && world.has("b"));
    // Last seen 100 s ago; tokens live 900 s and clocks differ by 60 s.
    world.clock.advance_s(859);
    assert!(world.has("a"));
    world.clock.advance_s(1);
    assert!(!world.has("a"));
    assert!(world.has("b"));
}

#[tokio::test]
async fn sh_2_2_4_keys_that_cannot_have_signed_are_no_reason_to_refuse_the_others() {
    let world = World::new();
    let mut encryption = key("enc", X[1]);
    encryption["use"] = json!("enc");
    let odd = [
        json!({"kty": "XX", "kid": "odd"}),
        json!({"kty": "EC", "crv": "P-521", "kid": "curve", "x": "AA", "y": "AA"}),
        json!({"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}),
        json!("text"),
        encryption,
        key("a", X[0]),
    ];
    world.answers(set(&odd));
    assert_eq!(world.provider.fetch_once().await.unwrap(), 1);
    for kid in ["odd", "curve", "secret", "enc"] {
        assert!(!world.has(kid), "{kid}");
    }
}

#[tokio::test]
async fn sh_2_2_4_an_endless_answer_has_an_end() {
    let world = World::new();
    let filler = "x".repeat(1024 * 1024);
    world.answers(http(
        "200 OK",
        "",
        &format!("{{\"keys\":[],\"f\":\"{filler}\"}}"),
    ));
    let refused = world.provider.fetch_once().await.unwrap_err();
    assert!(matches!(refused, FetchError::TooLong), "{refused}");
}

#[tokio::test]
async fn sh_2_2_4_a_redirect_to_another_host_is_not_followed() {
    let (world, elsewhere) = (World::new(), World::new());
    let to = format!("location: {}/jwks\r\n", elsewhere.base);
    world.answers(http("302 Found", &to, ""));
    let refused = world.provider.fetch_once().await.unwrap_err();
    assert!(matches!(refused, FetchError::NoAnswer(_)), "{refused}");
    assert_eq!(elsewhere.asked(), 0);
    let endless = format!("location: {}/jwks\r\n", world.base);
    world.answers(http("302 Found", &endless, ""));
    assert!(world.provider.fetch_once().await.is_err());
    assert!(world.asked() < 8, "{}", world.asked());
}

#[tokio::test]
async fn sh_2_2_4_a_discovery_document_of_another_issuer_gives_no_keys() {
    let world = World::new();
    let base = &world.base;
    let discovering = |issuer: &str| Provider::new(issuer, None, 900, world.clock.clone()).unwrap();
    let says = |issuer: &str, jwks_uri: &str| {
        let document = json!({"issuer": issuer, "jwks_uri": jwks_uri}).to_string();
        world.answers(http("200 OK", "", &document));
    };
    for other in [format!("{base}/"), "https://idp.example.org".to_owned()] {
        says(&other, &format!("{base}/jwks"));
        let refused = discovering(base).fetch_once().await.unwrap_err();
        assert!(refused.to_string().contains(&other), "{refused}");
    }
    for elsewhere in ["http://idp.example.org/jwks", "file:///etc/passwd", ""] {
        says(base, elsewhere);
        let refused = discovering(base).fetch_once().await.unwrap_err();
        assert!(matches!(refused, FetchError::Address(_)), "{refused}");
    }
}
