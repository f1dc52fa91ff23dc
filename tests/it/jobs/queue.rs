//! The queue as an operator and as several processes see it.

use std::sync::Arc;
use std::time::Duration;

use super::{jobs, manager, restart, server, slice, until, wait_for_jobs};
use crate::harness::Server;
use crate::harness::backing;

const UID: &str = "1.2.3.11";

#[tokio::test]
async fn sh_2_5_jobs_are_listed_counted_and_paged_for_those_who_may() {
    let server = server(&[("KURA_STORAGE__REPACK_QUIET_S", "100000")]);
    let (own, foreign) = (server.reader("F001"), server.reader("F002"));
    for (token, uid) in [
        (&own, "1.2.3.12"),
        (&own, "1.2.3.13"),
        (&foreign, "1.2.3.12"),
    ] {
        for number in 1..=2 {
            server.stored(token, &[slice(uid, 1, number)]).await;
        }
    }
    let manager = manager(&server);
    wait_for_jobs(&server, &manager, "state=done", 3).await;
    assert_eq!(
        jobs(&server, &manager, "kind=repack&state=due").await.len(),
        3
    );
    let read = server.token("F001", "lifecycle.read");
    let mine = jobs(&server, &read, "").await;
    assert_eq!(mine.len(), 2);
    assert!(mine.iter().all(|job| job["facility"] == "F001"));
    let theirs = jobs(&server, &server.token("F002", "lifecycle.read"), "").await;
    let path = format!("/api/v1/jobs/{}", theirs[0]["id"].as_str().unwrap());
    assert_eq!(server.get(&path, &read).await.status, 404);
    let shown = server.get(&path, &manager).await.json();
    assert_eq!(shown, theirs[0]);
    assert_eq!(shown["payload"]["kind"], "repack");
    assert!(!shown.to_string().contains("Yamada"));

    let page = server
        .get("/api/v1/jobs?kind=repack&limit=2", &manager)
        .await
        .json();
    let counts = page["counts"].as_array().unwrap();
    assert!(counts.contains(&serde_json::json!({"state": "due", "kind": "repack", "count": 3})));
    let next = format!(
        "/api/v1/jobs?kind=repack&limit=2&cursor={}",
        page["nextCursor"].as_str().unwrap()
    );
    let rest = server.get(&next, &manager).await.json();
    assert_eq!(rest["jobs"].as_array().unwrap().len(), 1);
    assert!(rest["nextCursor"].is_null());

    for query in [
        "state=Due",
        "state=",
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=1",
        "cursor=1.zz",
        "offset=1",
        "state=due&state=dead",
        "cursor=%27%3B--.01900000-0000-7000-8000-000000000001",
    ] {
        let answer = server.get(&format!("/api/v1/jobs?{query}"), &manager).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        let answer = server.get(&format!("/api/v1/jobs?{query}"), &own).await;
        assert_eq!(answer.status, 404, "{query}: {}", answer.text());
    }
    assert_eq!(jobs(&server, &manager, "kind=no'such").await.len(), 0);
    for id in ["0", "%27", "01900000-0000-7000-8000-000000000001"] {
        assert_eq!(
            server
                .get(&format!("/api/v1/jobs/{id}"), &manager)
                .await
                .status,
            404
        );
        let restart = format!("/api/v1/jobs/{id}/restart");
        let answer = server
            .post(&restart, &manager, "application/json", Vec::new())
            .await;
        assert_eq!(answer.status, 404);
    }
    let auditor = server.token("F001", "audit.read.own");
    assert_eq!(server.get("/api/v1/jobs", &auditor).await.status, 403);
    assert_eq!(server.get("/api/v1/jobs", "x").await.status, 401);
}

/// Two processes over one database: each job is done by one of them.
#[tokio::test]
async fn two_workers_do_a_job_once() {
    if backing::forgets() {
        return;
    }
    let settings = [("KURA_STORAGE__REPACK_QUIET_S", "1")];
    let one = server(&settings);
    let other = restart(&one.data, &settings);
    let (token, manager) = (one.reader("F001"), manager(&one));
    for study in 0..6 {
        for (number, server) in [(1, &one), (2, &other)] {
            server
                .stored(&token, &[slice(&format!("{UID}.{study}"), 1, number)])
                .await;
        }
    }
    let done = wait_for_jobs(&one, &manager, "kind=repack&state=done", 6).await;
    for job in &done {
        assert_eq!(job["attempts"], 1, "{job}");
        assert_eq!(job["result"], "2 instances from 2 packs into 1");
    }
    let lines = |server: &Server| {
        let log = server.log();
        log.iter()
            .filter(|line| line.contains("job done") && line.contains("repack"))
            .count()
    };
    until("both have said what they did", async || {
        (lines(&one) + lines(&other) == 6).then_some(())
    })
    .await;
    println!("one did {}, the other {}", lines(&one), lines(&other));
}

/// The job of a process that was killed is taken over once its lease has ended.
#[tokio::test]
async fn a_killed_workers_job_is_taken_over_after_its_lease() {
    if backing::forgets() {
        return;
    }
    let first = server(&[
        ("KURA_STORAGE__REPACK_QUIET_S", "100000"),
        ("KURA_WORKER__ENABLED", "false"),
    ]);
    let (token, manager) = (first.reader("F001"), manager(&first));
    for number in 1..=2 {
        first.stored(&token, &[slice(UID, 1, number)]).await;
    }
    let data = Arc::clone(&first.data);
    drop(first);
    // As a worker that was killed leaves it.
    let until = kura::model::Clock::System.now().0 + 3_000_000;
    let claimed = format!(
        "UPDATE job SET state = 'running', attempts = 1, lease_until = {until} WHERE kind = 'repack'"
    );
    super::execute(data.path(), &[&claimed]).await;
    let second = restart(&data, &[]);
    let held = jobs(&second, &manager, "kind=repack").await.remove(0);
    assert_eq!(
        (&held["state"], &held["attempts"]),
        (&"running".into(), &1.into())
    );
    let done = wait_for_jobs(&second, &manager, "kind=repack&state=done", 1).await;
    assert_eq!(done[0]["attempts"], 2);
}

/// Told to stop, a process ends in time and leaves no job in its name.
#[tokio::test]
async fn a_stop_leaves_no_job_behind() {
    let mut server = server(&[("KURA_SHUTDOWN_TIMEOUT_S", "5")]);
    let manager = manager(&server);
    wait_for_jobs(&server, &manager, "state=done", 3).await;
    let pid = server.pid().to_string();
    let told = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(told.unwrap().success());
    let begun = std::time::Instant::now();
    until("it ends", async || (!server.is_alive()).then_some(())).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    let again = restart(&server.data, &[("KURA_WORKER__ENABLED", "false")]);
    assert_eq!(jobs(&again, &manager, "state=running").await.len(), 0);
    assert_eq!(jobs(&again, &manager, "state=due").await.len(), 4);
}
