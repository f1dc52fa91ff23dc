//! A study that came in many small requests is written anew once it is quiet (architecture.md 7.5): nobody notices but the
//! store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::{
    assert_store_is_what_rows_name, hurry, jobs, manager, named_objects, objects, path, quick,
    restart, server, slice, until, wait_for_jobs,
};
use crate::harness::{Answer, Server, backing, instance};

const UID: &str = "1.2.3.9";
const ALL: &str = "application/dicom; transfer-syntax=*";
const OCTETS: &str = "multipart/related; type=\"application/octet-stream\"; transfer-syntax=*";
const QUIET: (&str, &str) = ("KURA_STORAGE__REPACK_QUIET_S", "1");
const LATER: (&str, &str) = ("KURA_STORAGE__REPACK_QUIET_S", "100000");
const NO_GRACE: (&str, &str) = ("KURA_STORAGE__REPLACED_GRACE_S", "0");

/// Stores `count` slices of each series, one a request, series by series in turns.
async fn store_one_by_one(server: &Server, token: &str, series: usize, count: usize) {
    for number in 1..=count {
        for of in 1..=series {
            server.stored(token, &[slice(UID, of, number)]).await;
        }
    }
}

/// Status, what a cache compares, and the bytes.
type Seen = (u16, String, Vec<u8>);

/// Everything a reader may see of the study, with what a cache compares.
async fn everything(server: &Server, token: &str, paths: &[String]) -> BTreeMap<String, Seen> {
    let mut seen = BTreeMap::new();
    let mut note = |what: String, answer: Answer| {
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let etag = answer.header("etag");
        // Boundaries are made anew for each answer.
        let is_multipart = answer.header("content-type").starts_with("multipart");
        let body = if is_multipart {
            answer
                .parts()
                .into_iter()
                .flat_map(|part| part.body)
                .collect()
        } else {
            answer.body
        };
        seen.insert(what, (answer.status, etag, body));
    };
    for path in paths {
        let study = path.split("/series").next().unwrap();
        let series = path.split("/instances").next().unwrap();
        for (of, accept) in [
            (path.clone(), ALL),
            (format!("{path}/metadata"), "application/dicom+json"),
            (format!("{path}/frames/1"), OCTETS),
            (format!("{path}/bulkdata/7FE00010"), OCTETS),
            (format!("{series}/metadata"), "application/dicom+json"),
            (format!("{study}/metadata"), "application/dicom+json"),
        ] {
            note(of.clone(), server.get_as(&of, token, accept).await);
        }
    }
    for query in [
        "/studies?includefield=all",
        "/series?includefield=all",
        "/instances?limit=500",
    ] {
        note(query.to_owned(), server.get(query, token).await);
    }
    seen
}

/// The metadata of the study as a caller who takes gzip gets them, in order, and whether they came so.
async fn heads(server: &Server, token: &str) -> (serde_json::Value, bool) {
    let of = format!("/studies/{UID}.1/metadata");
    let request = server.request(reqwest::Method::GET, &of, token);
    let answer = server.send(request.header("accept-encoding", "gzip")).await;
    let is_gzip = answer.header("content-encoding") == "gzip";
    let mut json = Vec::new();
    if is_gzip {
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*answer.body), &mut json)
            .unwrap();
    } else {
        json = answer.body;
    }
    let mut heads: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let key = |head: &serde_json::Value| head["00080018"]["Value"][0].as_str().unwrap().to_owned();
    heads.as_array_mut().unwrap().sort_by_key(key);
    (heads, is_gzip)
}

#[tokio::test]
async fn a_study_stored_one_by_one_is_one_pack_a_series_and_looks_the_same() {
    if backing::forgets() {
        return;
    }
    let server = server(&[LATER]);
    let (token, manager) = (server.reader("F001"), manager(&server));
    store_one_by_one(&server, &token, 2, 12).await;
    // A frame table that lies in the pack, behind its file, and heads under the address of another listener.
    let many = instance(UID)
        .uids(
            &format!("{UID}.1"),
            &format!("{UID}.1.3"),
            &format!("{UID}.1.3.1"),
        )
        .text(0x0028_0008, "IS", "30000")
        .encapsulated("1.2.840.10008.1.2.5", &fragments(30_000))
        .file();
    server.stored(&token, &[&many]).await;
    let other = slice(UID, 3, 2);
    let (media_type, body) = crate::harness::multipart::write(&[&other]);
    let request = server.request(reqwest::Method::POST, "/studies", &token);
    let request = request
        .header("content-type", media_type)
        .header("host", "elsewhere.example");
    assert_eq!(server.send(request.body(body)).await.status, 200);
    assert_eq!(objects(server.data.path(), ".pack").await.len(), 26);

    let mut paths: Vec<String> = (1..=12)
        .map(|number| path(UID, 1 + number % 2, number))
        .collect();
    paths.extend([path(UID, 3, 1), path(UID, 3, 2)]);
    let last = format!("{}/frames/1,29999,30000", path(UID, 3, 1));
    let before = everything(&server, &token, &paths).await;
    let frames = server.get_as(&last, &token, OCTETS).await;
    assert_eq!(frames.status, 200, "{}", frames.text());
    let (all_heads, _) = heads(&server, &token).await;
    let data = Arc::clone(&server.data);
    let base = server.base.clone();
    drop(server);
    // On the same port, so that links stay the same.
    let port = base.rsplit(':').next().unwrap();
    let mut command = quick(&[NO_GRACE]);
    command.env("KURA_LISTEN", format!("127.0.0.1:{port}"));
    hurry(&data, "repack").await;
    let server = Server::start_with(Arc::clone(&data), command);
    let done = wait_for_jobs(&server, &manager, "kind=repack&state=done", 1).await;
    assert_eq!(done[0]["result"], "26 instances from 26 packs into 3");
    assert_eq!(done[0]["facility"], "F001");

    let after = everything(&server, &token, &paths).await;
    for (what, before) in &before {
        let after = &after[what];
        assert_eq!(before.0, after.0, "{what}");
        // The heads of many come as they lie where they are packed already, and in another order: another tag is due.
        let is_of_many = what.ends_with("/metadata") && !what.contains("/instances/");
        assert!(is_of_many || before.1 == after.1, "{what}");
        assert!(before.2 == after.2, "{what} differs");
    }
    let again = server.get_as(&last, &token, OCTETS).await;
    let bodies = |answer: &Answer| -> Vec<Vec<u8>> {
        answer.parts().into_iter().map(|part| part.body).collect()
    };
    assert!(bodies(&frames) == bodies(&again));
    assert_eq!(
        (all_heads, true),
        heads(&server, &token).await,
        "as it lies, now that all links have one base"
    );

    // Bytes first, rows second.
    until("the old packs go", async || {
        let objects = objects(server.data.path(), ".pack").await;
        let replaced = named_objects(server.data.path(), "replaced_at IS NOT NULL").await;
        (objects.len() == 3 && replaced.is_empty()).then_some(())
    })
    .await;
    assert_store_is_what_rows_name(server.data.path()).await;
    assert!(everything(&server, &token, &paths[..1]).await.len() > 1);
}

/// Fragments of two bytes each, without an offset table.
fn fragments(count: u32) -> Vec<u8> {
    let mut items = vec![0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0];
    for number in 0..count {
        // Lengths differ, so that the table cannot be short.
        let len = 2 + 2 * (number.wrapping_mul(2_654_435_761) >> 28);
        items.extend_from_slice(&[0xFE, 0xFF, 0x00, 0xE0]);
        items.extend_from_slice(&len.to_le_bytes());
        items.extend((0..len).map(|at| (number + at).to_le_bytes()[0]));
    }
    items.extend_from_slice(&[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    items
}

#[tokio::test]
async fn each_store_puts_the_repack_off_and_one_request_needs_none() {
    let server = server(&[LATER]);
    let (token, manager) = (server.reader("F001"), manager(&server));
    server
        .stored(&token, &[slice(UID, 1, 1), slice(UID, 1, 2)])
        .await;
    assert_eq!(jobs(&server, &manager, "kind=repack").await.len(), 0);
    server.stored(&token, &[slice(UID, 1, 3)]).await;
    let first = jobs(&server, &manager, "kind=repack").await;
    server.stored(&token, &[slice(UID, 1, 4)]).await;
    let second = jobs(&server, &manager, "kind=repack").await;
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(first[0]["id"], second[0]["id"]);
    assert!(first[0]["dueAt"].as_str() < second[0]["dueAt"].as_str());
    // The same bytes again: nothing new, nothing put off.
    server.stored(&token, &[slice(UID, 1, 4)]).await;
    assert_eq!(
        jobs(&server, &manager, "kind=repack").await[0]["dueAt"],
        second[0]["dueAt"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_during_the_swap_get_equal_bytes_and_writers_go_on() {
    let server = Arc::new(server(&[QUIET]));
    let (token, manager) = (server.reader("F001"), manager(&server));
    let stop = Arc::new(AtomicBool::new(false));
    store_one_by_one(&server, &token, 1, 20).await;
    let mut readers = JoinSet::new();
    for reader in 0..3 {
        let (server, token, stop) = (Arc::clone(&server), token.clone(), Arc::clone(&stop));
        readers.spawn(async move {
            let mut reads = 0;
            while !stop.load(Ordering::SeqCst) {
                let number = 1 + (reads + reader * 7) % 20;
                let back = server.get_as(&path(UID, 1, number), &token, ALL).await;
                assert_eq!(back.status, 200, "{}", back.text());
                assert!(back.body == slice(UID, 1, number), "{number} differs");
                let heads = server
                    .get(&format!("/studies/{UID}.1/metadata"), &token)
                    .await;
                assert!(heads.json().as_array().unwrap().len() >= 20);
                reads += 1;
            }
            reads
        });
    }
    wait_for_jobs(&server, &manager, "kind=repack&state=done", 1).await;
    for number in 21..=24 {
        server.stored(&token, &[slice(UID, 1, number)]).await;
    }
    wait_for_jobs(&server, &manager, "kind=repack&state=done", 2).await;
    stop.store(true, Ordering::SeqCst);
    let reads: usize = readers.join_all().await.into_iter().sum();
    println!("{reads} reads beside two swaps");
    for number in 1..=24 {
        let back = server.get_as(&path(UID, 1, number), &token, ALL).await;
        assert!(back.body == slice(UID, 1, number), "{number} differs");
    }
    if backing::has_no_files() {
        return;
    }
    let packs = named_objects(server.data.path(), "replaced_at IS NULL").await;
    assert_eq!(packs.len(), 2, "one pack and its metadata");
}

#[tokio::test]
async fn what_is_binned_moves_too_and_what_is_gone_is_left_behind() {
    if backing::forgets() {
        return;
    }
    let server = server(&[LATER]);
    let (token, manager) = (server.reader("F001"), manager(&server));
    store_one_by_one(&server, &token, 1, 6).await;
    let data = Arc::clone(&server.data);
    drop(server);
    let statements = [
        "UPDATE instance SET state = 'binned' WHERE instance_number = 2",
        "UPDATE instance SET state = 'quarantined' WHERE instance_number = 3",
        "DELETE FROM instance_uid WHERE instance_id IN (SELECT instance_id FROM instance WHERE instance_number = 4)",
        "DELETE FROM instance WHERE instance_number = 4",
        "UPDATE series SET instance_count = 3",
    ];
    super::execute(data.path(), &statements).await;
    hurry(&data, "repack").await;
    let server = restart(&data, &[NO_GRACE]);
    let done = wait_for_jobs(&server, &manager, "kind=repack&state=done", 1).await;
    assert_eq!(done[0]["result"], "5 instances from 6 packs into 2");
    until("the old packs go", async || {
        (objects(data.path(), ".pack").await.len() == 2).then_some(())
    })
    .await;
    super::execute(data.path(), &["UPDATE instance SET state = 'live'"]).await;
    for number in [1, 2, 3, 5, 6] {
        let back = server.get_as(&path(UID, 1, number), &token, ALL).await;
        assert!(back.body == slice(UID, 1, number), "{number} differs");
    }
    assert_eq!(server.get(&path(UID, 1, 4), &token).await.status, 404);
}

/// The bytes of the first pack change; nothing may be moved, and an operator must see why.
#[tokio::test]
async fn a_damaged_file_stops_the_job_dead_and_it_can_be_restarted() {
    if backing::has_no_files() {
        return;
    }
    let server = server(&[QUIET]);
    let (token, manager) = (server.reader("F001"), manager(&server));
    store_one_by_one(&server, &token, 1, 3).await;
    let before = objects(server.data.path(), "").await;
    let pack = objects(server.data.path(), ".pack").await.remove(1);
    let pack = server.data.path().join("blobs").join(pack);
    let good = std::fs::read(&pack).unwrap();
    let mut bad = good.clone();
    bad[200] ^= 1;
    std::fs::write(&pack, &bad).unwrap();
    let dead = wait_for_jobs(&server, &manager, "kind=repack&state=dead", 1)
        .await
        .remove(0);
    let reason = dead["result"].as_str().unwrap();
    assert!(
        reason.contains("not what was stored") && reason.contains("kura verify"),
        "{reason}"
    );
    assert_eq!(dead["attempts"], 1);
    let line = until("the log", async || {
        server
            .log()
            .into_iter()
            .find(|line| line.contains("a job is dead"))
    })
    .await;
    let id = dead["id"].as_str().unwrap();
    for said in [id, "not what was stored", "/restart"] {
        assert!(line.contains(said), "{line}");
    }
    assert_eq!(
        objects(server.data.path(), "").await,
        before,
        "nothing was changed"
    );

    std::fs::write(&pack, &good).unwrap();
    let reader = server.token("F001", "lifecycle.read");
    let restart = format!("/api/v1/jobs/{id}/restart");
    for (token, status) in [(&reader, 403), (&token, 404), (&manager, 200)] {
        let answer = server
            .post(&restart, token, "application/json", Vec::new())
            .await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    wait_for_jobs(&server, &manager, "kind=repack&state=done", 1).await;
    let answer = server
        .post(&restart, &manager, "application/json", Vec::new())
        .await;
    assert_eq!(answer.status, 409);
    assert_eq!(
        named_objects(server.data.path(), "replaced_at IS NULL")
            .await
            .len(),
        2
    );
}
