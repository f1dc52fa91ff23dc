//! Bad days, each under eight clients that store and two that read: a full disk, a folder that became read-only, a database
//! and a store that are away. While it lasts the answers say so, with `Retry-After`; what was acknowledged stays; within ten
//! seconds of the repair a store is taken again; afterwards everything acknowledged is there, and `kura verify` finds nothing.

mod disk;
mod outage;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::load::{Load, Role};
use crate::harness::{Server, server};

/// How long a store may wait for its answer while something is away, and a server for its first success after the repair.
const SOON: Duration = Duration::from_secs(10);

const ROLES: [Role; 10] = {
    let mut roles = [Role::Store; 10];
    roles[8] = Role::Read;
    roles[9] = Role::Read;
    roles
};

/// A data folder within `parent` with the facility `F001` on the embedded default, or on what `place` gives it.
fn folder(parent: &Path, place: impl FnOnce(&Path)) -> Arc<TempDir> {
    let data = Arc::new(tempfile::tempdir_in(parent).unwrap());
    place(data.path());
    server::kura(data.path(), &["facility", "add", "F001", "--name", "One"]);
    data
}

/// What a fault does, and what is answered meanwhile.
struct Fault<B, R> {
    name: &'static str,
    /// Brings it about.
    begin: B,
    /// Mends it.
    repair: R,
    /// What stores are answered while it lasts.
    stores: &'static [u16],
    /// Whether what is stored can be read while it lasts.
    reads: bool,
}

/// Lets clients work before, in and after a fault, and looks at everything they were told.
async fn endure<B: AsyncFnOnce(), R: AsyncFnOnce()>(server: &Server, fault: Fault<B, R>) {
    let token = server.reader("F001");
    let load = Load::default();
    let clients = load.start_as(&server.base, &token, &ROLES);
    load.wait_for_more(60).await;
    load.wait_until("nothing is read", Duration::from_mins(1), || {
        load.compared() > 5
    })
    .await;

    (fault.begin)().await;
    // Requests that were under way may still have gone well.
    load.wait_until("no store fails", Duration::from_mins(1), || {
        load.answers("store").keys().any(|status| *status != 200)
    })
    .await;
    load.forget_answers();
    load.wait_until("no store is answered", Duration::from_mins(1), || {
        let refused = load.answers("store").into_iter();
        refused
            .filter(|(status, _)| *status != 200)
            .map(|(_, seen)| seen.times)
            .sum::<usize>()
            >= 16
    })
    .await;
    let health = server.get("/health/ready", "").await;
    let (stores, reads) = (load.answers("store"), load.answers("read"));
    println!(
        "{}: stores {stores:?}, reads {reads:?}, ready {}",
        fault.name, health.status
    );
    for (status, seen) in stores.iter().filter(|(status, _)| **status != 200) {
        assert!(
            fault.stores.contains(status),
            "{}: a store got {status}",
            fault.name
        );
        assert_eq!(
            seen.times, seen.with_retry_after,
            "{}: {status} says when to come back",
            fault.name
        );
    }
    for (status, seen) in &reads {
        let fits = *status == 200 || (!fault.reads && *status == 503);
        assert!(fits, "{}: a read got {status}", fault.name);
        assert!(*status == 200 || seen.times == seen.with_retry_after);
    }
    if fault.reads {
        let before = load.compared();
        load.wait_until("nothing is read in the fault", SOON, || {
            load.compared() > before
        })
        .await;
    }

    (fault.repair)().await;
    let repaired = Instant::now();
    let before = load.acknowledged();
    load.wait_until("no store is taken after the repair", SOON, || {
        load.acknowledged() > before
    })
    .await;
    let after = repaired.elapsed();
    load.wait_for_more(30).await;
    clients.stop().await;
    let in_all = load.check(server, &token).await;
    println!(
        "{}: first store {after:.1?} after the repair; {} acknowledged, {in_all} stored, {} compared while being read",
        fault.name,
        load.acknowledged(),
        load.compared()
    );
    print!("{}", server::kura(server.data.path(), &["verify"]));
}
