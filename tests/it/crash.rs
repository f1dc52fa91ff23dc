//! Nothing acknowledged is lost: the process is killed while clients store, started again, and everything it said 200 to is
//! there, byte for byte, once (product.md 3.1, 3.4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::harness::{Server, instance, multipart, server};

const KILLS: usize = 20;
const CLIENTS: usize = 8;

/// xorshift: random enough for moments, the same again for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// A small instance whose bytes say its number.
fn file(number: usize) -> Vec<u8> {
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

fn path(number: usize) -> String {
    let study = number / 40;
    format!(
        "/studies/1.2.3.7.{study}/series/1.2.3.7.{study}.{}/instances/1.2.3.7.{study}.0.{number}",
        number % 3
    )
}

/// One client: stores three instances a request until told to stop, and notes what was acknowledged.
async fn client(
    base: String,
    token: String,
    next: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeSet<usize>>>,
) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    while !stop.load(Ordering::SeqCst) {
        let first = next.fetch_add(3, Ordering::SeqCst);
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
            acknowledged.lock().unwrap().extend(numbers);
        }
    }
}

/// Slow: twenty lives of a server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t20_what_was_acknowledged_survives_twenty_kills() {
    let seed = std::env::var_os("KURA_TEST_SEED")
        .and_then(|seed| seed.to_str()?.parse().ok())
        .unwrap_or(20_261_123);
    println!("seed {seed} (KURA_TEST_SEED)");
    let mut random = Random(seed);
    let mut server = Server::start();
    let (data, token) = (Arc::clone(&server.data), server.reader("F001"));
    let next = Arc::new(AtomicUsize::new(0));
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    for _ in 0..KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(client(
                server.base.clone(),
                token.clone(),
                Arc::clone(&next),
                Arc::clone(&stop),
                Arc::clone(&acknowledged),
            ));
        }
        tokio::time::sleep(Duration::from_millis(30 + random.next(400))).await;
        server.kill();
        stop.store(true, Ordering::SeqCst);
        clients.join_all().await;
        server = Server::start_on(Arc::clone(&data));
    }
    let acknowledged: Vec<usize> = acknowledged.lock().unwrap().iter().copied().collect();
    for number in &acknowledged {
        let back = server
            .get_as(
                &path(*number),
                &token,
                "application/dicom; transfer-syntax=*",
            )
            .await;
        assert_eq!(back.status, 200, "{number}: {}", back.text());
        assert!(back.body == file(*number), "{number} differs");
    }
    let mut copies = BTreeMap::new();
    let mut offset = 0;
    loop {
        let page = server
            .get(&format!("/instances?limit=5000&offset={offset}"), &token)
            .await;
        if page.status == 204 {
            break;
        }
        let rows = page.json().as_array().unwrap().clone();
        offset += rows.len();
        for row in rows {
            *copies
                .entry(row["00080018"]["Value"][0].as_str().unwrap().to_owned())
                .or_insert(0) += 1;
        }
    }
    assert!(
        copies.values().all(|count| *count == 1),
        "an instance is there twice"
    );
    assert!(copies.len() >= acknowledged.len());
    println!(
        "{KILLS} kills, {CLIENTS} clients: {} acknowledged, {} stored in all",
        acknowledged.len(),
        copies.len()
    );
    assert!(
        acknowledged.len() > 100,
        "too little was stored for the test to mean anything"
    );
    drop(server::kura(data.path(), &["facility", "list"]));
}
