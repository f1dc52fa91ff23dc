//! The process is killed while people store, delete and restore: what was acknowledged holds, what was not is whole or
//! nothing, and the kept columns are true.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use tokio::task::JoinSet;

use super::{file_of, person};
use crate::harness::backing;
use crate::harness::server::mismatches;
use crate::harness::{Server, instance, multipart};

const KILLS: u64 = 6;
const CLIENTS: usize = 6;
const FILES: usize = 3;
/// Studies more that are known before the next kill.
const EACH_LIFE: usize = 8;

/// Where a study is, as far as the clients were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    In,
    Out,
    /// The last call was not answered.
    Unknown,
}

type Told = Arc<Mutex<BTreeMap<usize, Sight>>>;

fn file(study: usize, number: usize) -> Vec<u8> {
    let uid = format!("1.2.3.8.{study}");
    let series = format!("{uid}.{}", number % 2);
    instance("1.2.3.8")
        .uids(&uid, &series, &format!("{series}.{number}"))
        .bytes(0x7FE0_0010, "OW", number.to_le_bytes().repeat(100))
        .file()
}

fn path(study: usize, number: usize) -> String {
    let uid = format!("1.2.3.8.{study}");
    let series = format!("{uid}.{}", number % 2);
    format!("/studies/{uid}/series/{series}/instances/{series}.{number}")
}

/// One person at work until told to stop.
struct Person {
    base: String,
    token: String,
    http: Client,
    told: Told,
}

impl Person {
    async fn call(&self, request: RequestBuilder) -> Option<reqwest::Response> {
        let token = format!("Bearer {}", self.token);
        request.header("authorization", token).send().await.ok()
    }

    fn tell(&self, study: usize, sight: Sight) {
        self.told.lock().unwrap().insert(study, sight);
    }

    async fn work(&self, study: usize) -> Option<()> {
        let base = &self.base;
        let files: Vec<Vec<u8>> = (0..FILES).map(|number| file(study, number)).collect();
        let (media_type, body) = multipart::write(&files);
        self.tell(study, Sight::Unknown);
        let store = self.http.post(format!("{base}/dicomweb/studies"));
        let stored = self
            .call(store.header("content-type", media_type).body(body))
            .await?;
        assert_eq!(stored.status(), 200);
        self.tell(study, Sight::In);
        let url = format!("{base}/dicomweb/studies/1.2.3.8.{study}");
        self.tell(study, Sight::Unknown);
        let (one, two) = (
            self.call(self.http.delete(&url)),
            self.call(self.http.delete(&url)),
        );
        let (one, two) = tokio::join!(one, two);
        let (one, two) = (one?, two?);
        let mut statuses = [one.status().as_u16(), two.status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 404], "of two that delete one does");
        self.tell(study, Sight::Out);
        if study.is_multiple_of(3) {
            return Some(());
        }
        let header = |answer: &reqwest::Response| answer.headers().get("x-kura-deletion").cloned();
        let id = header(&one).or_else(|| header(&two)).expect("an id");
        let url = format!("{base}/api/v1/deletions/{}/restore", id.to_str().unwrap());
        self.tell(study, Sight::Unknown);
        let restored = self
            .call(self.http.post(url).header("if-match", "\"1\""))
            .await?;
        assert_eq!(restored.status(), 200);
        self.tell(study, Sight::In);
        Some(())
    }
}

async fn check(server: &Server, token: &str, told: &BTreeMap<usize, Sight>) {
    for (study, sight) in told {
        let list = format!("/studies/1.2.3.8.{study}/instances");
        let found = server.get(&list, token).await;
        let count = match found.status {
            200 => found.json().as_array().unwrap().len(),
            404 => 0,
            other => panic!("{study}: {other}"),
        };
        match sight {
            Sight::In => assert_eq!(count, FILES, "{study}"),
            Sight::Out => assert_eq!(count, 0, "{study}"),
            Sight::Unknown => assert!(count == 0 || count == FILES, "{study}: {count}"),
        }
        if count > 0 {
            let number = study % FILES;
            let back = file_of(server, token, &path(*study, number)).await;
            assert!(back.body == file(*study, number), "{study} differs");
        }
    }
    let wrong = mismatches(server).await;
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Studies of which it is known where they are.
fn known(told: &BTreeMap<usize, Sight>) -> usize {
    let known = told.values().filter(|sight| **sight != Sight::Unknown);
    known.count()
}

/// Slow: six lives of a server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x01_killed_in_the_middle_a_deletion_is_whole_or_nothing() {
    if backing::forgets() {
        return;
    }
    let mut server = Server::start();
    let (data, token) = (Arc::clone(&server.data), person(&server, "F001", "hanako"));
    let (next, told) = (Arc::new(AtomicUsize::new(0)), Told::default());
    for life in 0..KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let mut people = JoinSet::new();
        for _ in 0..CLIENTS {
            let person = Person {
                base: server.base.clone(),
                token: token.clone(),
                http: Client::builder().no_proxy().build().unwrap(),
                told: Arc::clone(&told),
            };
            let (next, stop) = (Arc::clone(&next), Arc::clone(&stop));
            people.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    person.work(next.fetch_add(1, Ordering::SeqCst)).await;
                }
            });
        }
        let known = || known(&told.lock().unwrap());
        let enough = known() + EACH_LIFE;
        let working = async {
            while known() < enough {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let working = tokio::time::timeout(Duration::from_mins(1), working).await;
        working.expect("people get on with their work");
        tokio::time::sleep(Duration::from_millis(13 * life)).await;
        server.kill();
        stop.store(true, Ordering::SeqCst);
        while let Some(person) = people.join_next().await {
            person.expect("nobody was answered wrongly");
        }
        server = Server::start_on(Arc::clone(&data));
    }
    let told = told.lock().unwrap().clone();
    check(&server, &token, &told).await;
    println!(
        "{KILLS} kills, {CLIENTS} people: {} of {} studies acknowledged",
        known(&told),
        told.len()
    );
}
