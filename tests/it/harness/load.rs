//! Clients that store without a pause, a note of what was acknowledged to them, and the look whether all of it is there, byte
//! for byte, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{Server, instance, multipart};

const CLIENTS: usize = 8;

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
    let study = number / 40;
    instance("1.2.3.7")
        .uids(
            &format!("1.2.3.7.{study}"),
            &format!("1.2.3.7.{study}.{}", number % 3),
            &format!("1.2.3.7.{study}.0.{number}"),
        )
        .text(0x0020_0013, "IS", &number.to_string())
        .bytes(0x7FE0_0010, "OW", number.to_le_bytes().repeat(400))
        .file()
}

/// Where it is then.
pub fn path(number: usize) -> String {
    let study = number / 40;
    format!(
        "/studies/1.2.3.7.{study}/series/1.2.3.7.{study}.{}/instances/1.2.3.7.{study}.0.{number}",
        number % 3
    )
}

/// What clients have sent, and what they were told is stored.
#[derive(Clone, Debug, Default)]
pub struct Load {
    next: Arc<AtomicUsize>,
    acknowledged: Arc<Mutex<BTreeSet<usize>>>,
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
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = JoinSet::new();
        for _ in 0..CLIENTS {
            running.spawn(self.clone().client(
                base.to_owned(),
                token.to_owned(),
                Arc::clone(&stop),
            ));
        }
        Clients { stop, running }
    }

    async fn client(self, base: String, token: String, stop: Arc<AtomicBool>) {
        // A connection a request: a proxy in between may give each to another server.
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0);
        let http = http.build().unwrap();
        while !stop.load(Ordering::SeqCst) {
            let first = self.next.fetch_add(3, Ordering::SeqCst);
            let numbers = first..first + 3;
            let files: Vec<Vec<u8>> = numbers.clone().map(file).collect();
            let (media_type, body) = multipart::write(&files);
            let sent = http
                .post(format!("{base}/dicomweb/studies"))
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", media_type)
                .body(body)
                .send()
                .await;
            if let Ok(answer) = sent
                && answer.status() == 200
            {
                self.acknowledged.lock().unwrap().extend(numbers);
            }
        }
    }

    /// How many instances were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits until so many more are acknowledged.
    pub async fn wait_for_more(&self, more: usize) {
        let enough = self.acknowledged() + more;
        let started = Instant::now();
        while self.acknowledged() < enough {
            assert!(
                started.elapsed() < Duration::from_mins(1),
                "nothing more is acknowledged"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Looks whether everything acknowledged is there, byte for byte, and nothing twice; gives how many there are in all.
    pub async fn check(&self, server: &Server, token: &str) -> usize {
        let acknowledged: Vec<usize> = self.acknowledged.lock().unwrap().iter().copied().collect();
        for number in &acknowledged {
            let accept = "application/dicom; transfer-syntax=*";
            let back = server.get_as(&path(*number), token, accept).await;
            assert_eq!(back.status, 200, "{number}: {}", back.text());
            assert!(back.body == file(*number), "{number} differs");
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
        assert!(copies.len() >= acknowledged.len());
        copies.len()
    }
}
