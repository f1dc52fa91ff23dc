//! Objects that no row knows go, and nothing else (decision 0008).

use std::sync::Arc;

use super::{
    assert_store_is_what_rows_name, manager, objects, path, restart, server, slice, until,
    wait_for_jobs,
};
use crate::harness::backing;

const UID: &str = "1.2.3.10";

#[tokio::test]
async fn what_no_row_knows_goes_when_it_is_old_and_what_is_no_pack_stays() {
    if backing::has_no_files() {
        return;
    }
    let young = server(&[]);
    let token = young.reader("F001");
    let manager = manager(&young);
    young.stored(&token, &[slice(UID, 1, 1)]).await;
    let data = Arc::clone(&young.data);
    let pack = objects(data.path(), ".pack").await.remove(0);
    let pack = data.path().join("blobs").join(pack);
    let day = pack.parent().unwrap();
    let orphan = day.join("01900000-0000-7000-8000-00000000000a.pack");
    let meta = day.join("01900000-0000-7000-8000-00000000000b.meta");
    // What came of an upload that was not ended (MINT Z43).
    let upload = day.join("01900000-0000-7000-8000-00000000000d");
    std::fs::create_dir_all(&upload).unwrap();
    let part = upload.join("00000000000000000000.part");
    let foreign = day.join("notes.txt");
    let unknown = data.path().join("blobs/NOBODY/2026/01/01");
    std::fs::create_dir_all(&unknown).unwrap();
    let unknown = unknown.join("01900000-0000-7000-8000-00000000000c.pack");
    for file in [&orphan, &meta, &part, &foreign, &unknown] {
        std::fs::write(file, b"left over").unwrap();
    }
    // A dead process's unfinished file; its slot has a lock that nobody holds.
    let slot = data.path().join("blobs/.tmp/9");
    std::fs::create_dir_all(&slot).unwrap();
    std::fs::write(data.path().join("blobs/.tmp/9.lock"), b"").unwrap();
    std::fs::write(slot.join("x.pack.abc"), b"half").unwrap();

    drop(young);
    let young = restart(&data, &[]);
    wait_for_jobs(&young, &manager, "kind=sweep_orphans&state=done", 1).await;
    let are_there = orphan.exists() && meta.exists() && part.exists();
    assert!(are_there, "too young");
    drop(young);

    let old = restart(&data, &[("KURA_STORAGE__ORPHAN_AGE_S", "0")]);
    super::hurry(&data, "sweep_orphans").await;
    until("orphans go", async || {
        (!orphan.exists() && !meta.exists() && !part.exists()).then_some(())
    })
    .await;
    assert!(foreign.exists() && unknown.exists() && pack.exists());
    assert!(!slot.join("x.pack.abc").exists());
    let back = old
        .get_as(
            &path(UID, 1, 1),
            &token,
            "application/dicom; transfer-syntax=*",
        )
        .await;
    assert!(back.body == slice(UID, 1, 1));
    std::fs::remove_file(foreign).unwrap();
    std::fs::remove_file(unknown).unwrap();
    assert_store_is_what_rows_name(data.path()).await;
}

/// A sweep without any age beside eight clients that store: what was acknowledged is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_never_takes_what_is_being_stored() {
    let server = Arc::new(server(&[
        ("KURA_STORAGE__ORPHAN_AGE_S", "0"),
        ("KURA_WORKER__LEASE_S", "3"),
    ]));
    let (token, manager) = (server.reader("F001"), manager(&server));
    let mut clients = tokio::task::JoinSet::new();
    for client in 1..=8 {
        let (server, token) = (Arc::clone(&server), token.clone());
        clients.spawn(async move {
            let mut stored = Vec::new();
            for number in 1..=15 {
                let answer = server.store(&token, &[slice(UID, client, number)]).await;
                // 503: it was swept before it was recorded, and the client knows.
                assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
                if answer.status == 200 {
                    stored.push((client, number));
                }
            }
            stored
        });
    }
    let stored: Vec<(usize, usize)> = clients.join_all().await.into_iter().flatten().collect();
    wait_for_jobs(&server, &manager, "kind=sweep_orphans&state=done", 2).await;
    for (series, number) in &stored {
        let back = server
            .get_as(
                &path(UID, *series, *number),
                &token,
                "application/dicom; transfer-syntax=*",
            )
            .await;
        assert_eq!(back.status, 200, "{series}.{number}: {}", back.text());
        assert!(back.body == slice(UID, *series, *number));
    }
    println!("{} of 120 stored beside sweeps", stored.len());
    assert!(stored.len() > 60);
}
