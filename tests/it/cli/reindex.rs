//! `kura reindex` as somebody types it; that its index is the same is shown in `tests/it/reindex.rs`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::verify::objects;
use super::{fails, run};
use crate::harness::{Server, instance};

/// The data folder of two facilities, without its database.
async fn lost() -> Arc<TempDir> {
    let server = Server::start();
    server
        .stored(
            &server.reader("F001"),
            &[instance("1.2.3.1").file(), instance("1.2.3.2").file()],
        )
        .await;
    server
        .stored(&server.reader("F002"), &[instance("1.2.3.3").file()])
        .await;
    let data = Arc::clone(&server.data);
    fails(&run(data.path(), "reindex"), 2, "not empty");
    drop(server);
    lose(data.path());
    data
}

pub fn lose(data: &Path) {
    for name in ["kura.db", "kura.db-wal", "kura.db-shm"] {
        fs::remove_file(data.join(name)).ok();
    }
}

#[tokio::test]
async fn a_lost_index_is_made_from_packs_alone() {
    let data = lost().await;
    let at = data.path();
    let refused = run(at, "reindex");
    fails(&refused, 2, "no facility F001, F002");
    assert!(refused.err.contains("--make-facilities"), "{}", refused.err);
    run(
        at,
        "facility add F001 --name みなと中央病院 --issuer HOSP-A",
    );
    fails(&run(at, "reindex"), 2, "no facility F002:");
    let made = run(at, "reindex --make-facilities");
    assert_eq!(
        (made.code, made.out.as_str(), made.err.as_str()),
        (
            0,
            "reindexed 3 packs of 2 facilities: 3 instances recorded, 0 replaced, 0 there twice, 0 deleted, 0 conflicts, 0 packs known before, 0 stored again, 0 lost\n",
            "added F002, under its code for want of a name\n"
        )
    );
    assert!(run(at, "verify").out.ends_with("nothing is wrong\n"));
    fails(&run(at, "reindex"), 2, "--resume");
    let resumed = run(at, "reindex --resume");
    assert_eq!(
        (resumed.code, resumed.out.as_str()),
        (
            0,
            "reindexed 0 packs of 2 facilities: 0 instances recorded, 0 replaced, 0 there twice, 0 deleted, 0 conflicts, 3 packs known before, 0 stored again, 0 lost\n"
        )
    );
}

#[tokio::test]
async fn what_is_damaged_is_stored_again_or_named() {
    let data = lost().await;
    let at = data.path();
    let packs = objects(at, "pack");
    let metas = objects(at, "meta");
    fs::remove_file(&metas[0]).unwrap();
    fs::write(&packs[1], &fs::read(&packs[1]).unwrap()[..500]).unwrap();
    let made = run(at, "reindex --make-facilities");
    let lines: Vec<&str> = made.out.lines().collect();
    assert_eq!((made.code, lines.len()), (1, 3), "{made:?}");
    let name = |path: &Path| {
        let below = path.strip_prefix(at.join("blobs")).unwrap();
        below.to_str().unwrap().to_owned()
    };
    let torn = lines
        .iter()
        .find(|line| line.starts_with(&name(&packs[1])))
        .unwrap();
    assert!(
        torn.contains("not taken in") && torn.contains("--resume"),
        "{torn}"
    );
    let again = lines
        .iter()
        .find(|line| line.starts_with(&name(&packs[0])))
        .unwrap();
    assert!(again.contains("stored again"), "{again}");
    assert!(
        lines[2].contains("2 instances recorded") && lines[2].ends_with("1 stored again, 1 lost"),
        "{}",
        lines[2]
    );
    let server = Server::start_on(Arc::clone(&data));
    let token = server.reader("F001");
    let found = server.get("/instances", &token).await.json();
    let uid = found[0]["00080018"]["Value"][0].as_str().unwrap();
    let study = uid.rsplitn(3, '.').last().unwrap();
    let head = server
        .get(&format!("/studies/{study}/metadata"), &token)
        .await;
    assert_eq!(head.status, 200, "its head can be read again");
    let file = server
        .get_as(
            &format!("/studies/{study}/series/{study}.1/instances/{uid}"),
            &token,
            "application/dicom; transfer-syntax=*",
        )
        .await;
    let expected = instance(study.strip_suffix(".1").unwrap()).file();
    assert!(file.body == expected, "the same bytes");
}
