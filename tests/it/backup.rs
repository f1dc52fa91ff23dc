//! A backup that is taken while clients store, as docs/operations.md says: the database first, then what was stored, then the
//! key. Restored elsewhere, it holds everything that was acknowledged before it began.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::cli::{run, sql};
use crate::harness::{Server, backing, instance, multipart};

const CLIENTS: usize = 4;

fn file(number: usize) -> Vec<u8> {
    let study = number / 25;
    instance("1.2.3.6")
        .uids(
            &format!("1.2.3.6.{study}"),
            &format!("1.2.3.6.{study}.1"),
            &format!("1.2.3.6.{study}.1.{number}"),
        )
        .bytes(0x7FE0_0010, "OW", number.to_le_bytes().repeat(300))
        .file()
}

/// Stores two instances a request until told to stop, and notes what was acknowledged.
async fn client(
    base: String,
    token: String,
    next: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeSet<usize>>>,
) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    while !stop.load(Ordering::SeqCst) {
        let first = next.fetch_add(2, Ordering::SeqCst);
        let (media_type, body) = multipart::write(&[file(first), file(first + 1)]);
        let answer = http
            .post(format!("{base}/dicomweb/studies"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", media_type)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        acknowledged.lock().unwrap().extend([first, first + 1]);
    }
}

/// What `cp -a` or `rsync` does: files that go while it runs are passed over.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let path = entry.path();
        if path.file_name().is_some_and(|name| name == ".tmp") {
            continue;
        }
        let at = to.join(entry.file_name());
        if path.is_dir() {
            copy(&path, &at);
        } else if let Err(error) = std::fs::copy(&path, at) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        }
    }
}

async fn at_least(acknowledged: &Mutex<BTreeSet<usize>>, count: usize) -> BTreeSet<usize> {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let so_far = acknowledged.lock().unwrap().clone();
        if so_far.len() >= count {
            return so_far;
        }
        assert!(Instant::now() < deadline, "{} stored", so_far.len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t20_a_backup_under_load_holds_what_was_acknowledged_before_it() {
    if backing::has_no_files() {
        return;
    }
    let server = Server::start();
    let token = server.reader("F001");
    let (next, stop) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
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
    let before = at_least(&acknowledged, 120).await;

    let (from, restored) = (server.data.path(), Arc::new(tempfile::tempdir().unwrap()));
    let to = restored.path();
    let statement = format!("VACUUM INTO '{}/kura.db'", to.display());
    sql(from, statement).await;
    let more = acknowledged.lock().unwrap().len() + 40;
    let during = at_least(&acknowledged, more).await;
    copy(&from.join("blobs"), &to.join("blobs"));
    std::fs::copy(from.join("local-key.pem"), to.join("local-key.pem")).unwrap();
    stop.store(true, Ordering::SeqCst);
    clients.join_all().await;
    drop(server);

    let verified = run(to, "verify");
    let kinds: BTreeSet<&str> = verified
        .out
        .lines()
        .filter(|line| line.contains('\t'))
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    assert_eq!(
        (verified.code, kinds),
        (0, BTreeSet::from(["newer"])),
        "{}",
        verified.out
    );

    let again = Server::start_on(Arc::clone(&restored));
    let fetch = async |number: usize| {
        let study = number / 25;
        let path = format!(
            "/studies/1.2.3.6.{study}/series/1.2.3.6.{study}.1/instances/1.2.3.6.{study}.1.{number}"
        );
        again
            .get_as(&path, &token, "application/dicom; transfer-syntax=*")
            .await
    };
    for number in &before {
        let back = fetch(*number).await;
        assert_eq!(
            back.status,
            200,
            "{number}, with a token of before: {}",
            back.text()
        );
        assert!(back.body == file(*number), "{number} differs");
    }
    // What was stored while the copy ran lies in the store: it can be taken in.
    let resumed = run(to, "reindex --resume");
    assert_eq!(resumed.code, 0, "{resumed:?}");
    for number in &during {
        assert_eq!(fetch(*number).await.status, 200, "{number}");
    }
    let after = run(to, "verify");
    let left: Vec<&str> = after
        .out
        .lines()
        .filter(|line| line.contains('\t'))
        .collect();
    // Of a pack that was closed while its folder was read, one of its two objects may have been copied without the other:
    // a listing is no moment in time.
    let halves: Vec<&str> = left
        .iter()
        .filter_map(|line| line.strip_prefix("newer\t")?.split('.').next())
        .collect();
    let alone: BTreeSet<&str> = halves.iter().copied().collect();
    assert!(
        after.code == 0 && halves.len() == left.len() && alone.len() == left.len(),
        "{}",
        after.out
    );
    println!(
        "{} acknowledged before the copy, {} while it ran; all are there",
        before.len(),
        during.len() - before.len()
    );
}
