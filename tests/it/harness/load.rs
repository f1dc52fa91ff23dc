//! Clients that store, delete and read without a pause while something goes wrong, and a note of what they were told:
//! afterwards everything acknowledged is there, byte for byte, once, and nothing that was deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, Response};
use tokio::task::JoinSet;

use super::{Server, instance, multipart};

const CLIENTS: usize = 8;
/// Instances of one request, of one study, and series of one study. A request is of one study, so that it is taken or refused
/// as a whole.
const BATCH: usize = 3;
const PER_STUDY: usize = 42;
const SERIES: usize = 3;

/// As it was stored.
const WHOLE: &str = "application/dicom; transfer-syntax=*";

/// xorshift: random enough for moments, the same again for the same seed.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// From `KURA_TEST_SEED`, or always the same.
    pub fn seeded() -> Self {
        let seed = std::env::var_os("KURA_TEST_SEED")
            .and_then(|seed| seed.to_str()?.parse().ok())
            .unwrap_or(20_261_123);
        println!("seed {seed} (KURA_TEST_SEED)");
        Self(seed)
    }

    /// A number below `below`.
    pub fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// A small instance whose bytes say its number.
pub fn file(number: usize) -> Vec<u8> {
    let study = number / PER_STUDY;
    instance("1.2.3.7")
        .uids(
            &format!("1.2.3.7.{study}"),
            &format!("1.2.3.7.{study}.{}", number % SERIES),
            &format!("1.2.3.7.{study}.0.{number}"),
        )
        .text(0x0020_0013, "IS", &number.to_string())
        .bytes(0x7FE0_0010, "OW", number.to_le_bytes().repeat(400))
        .file()
}

/// Where it is then.
pub fn path(number: usize) -> String {
    let study = number / PER_STUDY;
    format!(
        "/studies/1.2.3.7.{study}/series/1.2.3.7.{study}.{}/instances/1.2.3.7.{study}.0.{number}",
        number % SERIES
    )
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Stores new instances.
    Store,
    /// Stores new instances, and deletes one of each fourth request.
    StoreAndDelete,
    /// Fetches what was stored last and compares it.
    Read,
}

/// How often a status was answered, and how often with `Retry-After`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub times: usize,
    pub with_retry_after: usize,
}

/// What clients have sent, and what they were told.
#[derive(Clone, Debug, Default)]
pub struct Load(Arc<Notes>);

#[derive(Debug, Default)]
struct Notes {
    next: AtomicUsize,
    acknowledged: Mutex<BTreeSet<usize>>,
    /// A deletion was sent; whether it was done is known only where it was answered.
    doubtful: Mutex<BTreeSet<usize>>,
    deleted: Mutex<BTreeSet<usize>>,
    answers: Mutex<BTreeMap<(&'static str, u16), Seen>>,
    compared: AtomicUsize,
}

/// Clients at work.
#[derive(Debug)]
pub struct Clients {
    stop: Arc<AtomicBool>,
    running: JoinSet<()>,
}

impl Clients {
    /// Lets each finish its request.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.running.join_all().await;
    }
}

impl Load {
    /// Eight clients that store three instances a request.
    pub fn start(&self, base: &str, token: &str) -> Clients {
        self.start_as(base, token, &[Role::Store; CLIENTS])
    }

    /// A client for each of `roles`.
    pub fn start_as(&self, base: &str, token: &str, roles: &[Role]) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = JoinSet::new();
        for (turn, role) in roles.iter().enumerate() {
            // A connection a request: a proxy in between may give each to another server.
            let http = Client::builder().no_proxy().pool_max_idle_per_host(0);
            let one = One {
                http: http.build().unwrap(),
                load: self.clone(),
                base: base.to_owned(),
                token: token.to_owned(),
                turn,
            };
            running.spawn(one.work(*role, Arc::clone(&stop)));
        }
        Clients { stop, running }
    }

    /// How many instances were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.0.acknowledged.lock().unwrap().len()
    }

    /// How many deletions were acknowledged so far.
    pub fn deleted(&self) -> usize {
        self.0.deleted.lock().unwrap().len()
    }

    /// How many files were read and compared while all went on.
    pub fn compared(&self) -> usize {
        self.0.compared.load(Ordering::SeqCst)
    }

    /// What was answered to `store`, `delete` or `read` since they were last forgotten, by status.
    pub fn answers(&self, to: &str) -> BTreeMap<u16, Seen> {
        let answers = self.0.answers.lock().unwrap();
        let mine = answers.iter().filter(|((what, _), _)| *what == to);
        mine.map(|((_, status), seen)| (*status, *seen)).collect()
    }

    /// Forgets the answers so far.
    pub fn forget_answers(&self) {
        self.0.answers.lock().unwrap().clear();
    }

    /// Waits until so many more are acknowledged.
    pub async fn wait_for_more(&self, more: usize) {
        let enough = self.acknowledged() + more;
        self.wait_until(
            "nothing more is acknowledged",
            Duration::from_mins(1),
            || self.acknowledged() >= enough,
        )
        .await;
    }

    /// Waits until something holds.
    pub async fn wait_until(&self, what: &str, limit: Duration, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(
                started.elapsed() < limit,
                "{what}: {:?}",
                self.0.answers.lock().unwrap()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What was acknowledged and never asked to be deleted.
    fn kept(&self) -> Vec<usize> {
        let doubtful = self.0.doubtful.lock().unwrap();
        let acknowledged = self.0.acknowledged.lock().unwrap();
        acknowledged.difference(&doubtful).copied().collect()
    }

    fn note(&self, what: &'static str, response: &Response) {
        let mut answers = self.0.answers.lock().unwrap();
        let status = response.status().as_u16();
        let seen = answers.entry((what, status)).or_default();
        seen.times += 1;
        seen.with_retry_after += usize::from(response.headers().contains_key("retry-after"));
    }

    /// Looks whether everything acknowledged is there, byte for byte, nothing twice, and nothing that was deleted; gives how
    /// many there are in all.
    pub async fn check(&self, server: &Server, token: &str) -> usize {
        let kept = self.kept();
        let mut lost = Vec::new();
        for number in &kept {
            let back = server.get_as(&path(*number), token, WHOLE).await;
            if back.status != 200 || back.body != file(*number) {
                lost.push((*number, back.status));
            }
        }
        assert!(
            lost.is_empty(),
            "of {} acknowledged are lost: {lost:?}",
            kept.len()
        );
        let deleted: Vec<usize> = self.0.deleted.lock().unwrap().iter().copied().collect();
        for number in deleted {
            let gone = server.get_as(&path(number), token, WHOLE).await;
            assert_eq!(gone.status, 404, "{number} was deleted");
        }
        let mut copies = BTreeMap::new();
        let mut offset = 0;
        loop {
            let page = server
                .get(&format!("/instances?limit=5000&offset={offset}"), token)
                .await;
            if page.status == 204 {
                break;
            }
            let rows = page.json().as_array().unwrap().clone();
            offset += rows.len();
            for row in rows {
                let uid = row["00080018"]["Value"][0].as_str().unwrap().to_owned();
                *copies.entry(uid).or_insert(0) += 1;
            }
        }
        assert!(
            copies.values().all(|count| *count == 1),
            "an instance is there twice"
        );
        assert!(copies.len() >= kept.len());
        copies.len()
    }
}

/// One client.
struct One {
    http: Client,
    load: Load,
    base: String,
    token: String,
    turn: usize,
}

impl One {
    async fn work(mut self, role: Role, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::SeqCst) {
            self.turn += 1;
            let went_well = match role {
                Role::Store => self.store().await.is_some(),
                Role::StoreAndDelete => match self.store().await {
                    Some(number) if self.turn.is_multiple_of(4) => self.delete(number).await,
                    stored => stored.is_some(),
                },
                Role::Read => self.read().await,
            };
            if !went_well {
                // One that is away answers at once: ask again soon, and leave the machine to others meanwhile.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn send(
        &self,
        what: &'static str,
        method: Method,
        path: &str,
        body: Option<(String, Vec<u8>)>,
    ) -> Option<Response> {
        let request = self
            .http
            .request(method, format!("{}/dicomweb{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token));
        let request = match body {
            Some((media_type, body)) => request.header("content-type", media_type).body(body),
            None => request.header("accept", WHOLE),
        };
        let response = request.send().await.ok()?;
        self.load.note(what, &response);
        Some(response)
    }

    /// Stores a batch; gives its first number if all of it was taken.
    async fn store(&self) -> Option<usize> {
        let notes = &self.load.0;
        let first = notes.next.fetch_add(BATCH, Ordering::SeqCst);
        let files: Vec<Vec<u8>> = (first..first + BATCH).map(file).collect();
        let body = Some(multipart::write(&files));
        let answer = self.send("store", Method::POST, "/studies", body).await?;
        (answer.status() == 200).then(|| {
            let mut acknowledged = notes.acknowledged.lock().unwrap();
            acknowledged.extend(first..first + BATCH);
            first
        })
    }

    async fn delete(&self, number: usize) -> bool {
        let notes = &self.load.0;
        notes.doubtful.lock().unwrap().insert(number);
        let path = path(number);
        let answer = self.send("delete", Method::DELETE, &path, None).await;
        let is_done = answer.is_some_and(|answer| answer.status() == 204);
        if is_done {
            notes.deleted.lock().unwrap().insert(number);
        }
        is_done
    }

    /// Fetches one of the newest and compares every byte. An answer that breaks off is no answer.
    async fn read(&self) -> bool {
        let kept = self.load.kept();
        let Some(number) = kept.iter().rev().nth(self.turn % kept.len().clamp(1, 200)) else {
            return false;
        };
        let answer = self.send("read", Method::GET, &path(*number), None).await;
        let Some(answer) = answer else { return false };
        let status = answer.status();
        let Ok(body) = answer.bytes().await else {
            return false;
        };
        if status != 200 {
            // It may have been deleted since; else what was acknowledged is never not there.
            let is_kept = !self.load.0.doubtful.lock().unwrap().contains(number);
            assert!(!(is_kept && status == 404), "{number} is not there");
            return false;
        }
        assert!(body == file(*number), "{number} differs while it is read");
        self.load.0.compared.fetch_add(1, Ordering::SeqCst);
        true
    }
}
