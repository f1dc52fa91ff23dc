//! What the vault promises, on a folder and in memory.

use std::path::Path;

use futures::StreamExt as _;

use super::*;

async fn folder() -> (tempfile::TempDir, Vault) {
    let root = tempfile::tempdir().unwrap();
    let url = format!("fs://{}", root.path().display());
    let vault = Vault::open(&url).await.unwrap();
    (root, vault)
}

fn pattern(len: usize) -> Bytes {
    (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

async fn put(vault: &Vault, object: &str, bytes: &Bytes) -> u64 {
    let mut put = vault.create(object).await.unwrap();
    for piece in bytes.chunks(300_000) {
        put.write(bytes.slice_ref(piece)).await.unwrap();
    }
    put.close().await.unwrap()
}

fn blob(object: &str, range: Range<u64>) -> BlobRef {
    BlobRef {
        object: object.to_owned(),
        range,
    }
}

async fn read(vault: &Vault, object: &str, range: Range<u64>) -> Result<Vec<u8>> {
    let slices: Vec<Bytes> = vault.read(&blob(object, range)).try_collect().await?;
    assert!(slices.iter().all(|slice| slice.len() <= SLICE_BYTES));
    Ok(slices.concat())
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}

async fn check_ranges(vault: &Vault) {
    let object = "KST/2026/07/01/a.pack";
    let bytes = pattern(9 << 20);
    assert_eq!(put(vault, object, &bytes).await, 9 << 20);
    for range in [
        0..9 << 20,
        0..1,
        5..5,
        1_048_575..1_048_577,
        3_000_000..7_654_321,
    ] {
        let expected = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        let got = read(vault, object, range.clone()).await.unwrap();
        assert!(got == bytes[expected], "{range:?}");
    }
    let small = vault.read_small(object, 10..20, 10).await.unwrap();
    assert_eq!(small, bytes.slice(10..20));
    assert_eq!(vault.byte_count(object).await.unwrap(), 9 << 20);
}

async fn check_promises_broken(vault: &Vault) {
    put(vault, "KST/b.pack", &pattern(100)).await;
    for (object, range, kind) in [
        ("KST/b.pack", 90..101, Kind::Internal),
        ("KST/b.pack", 200..201, Kind::Internal),
        // What is missing may come back with the volume it lies on (W09).
        ("KST/none.pack", 0..1, Kind::Unavailable),
    ] {
        let error = read(vault, object, range.clone()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{object} {range:?} {error:?}");
        let error = vault
            .read_small(object, range.clone(), 99)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{object} {range:?} {error:?}");
    }
    let error = vault.read_small("KST/b.pack", 0..11, 10).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let error = vault.read_small("KST/b.pack", 11..0, 10).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
}

async fn check_listing(vault: &Vault) {
    for object in ["KST/2026/1.pack", "KST/2026/1.meta", "NGY/2026/2.pack"] {
        put(vault, object, &pattern(7)).await;
    }
    let names = async |prefix: &str| {
        let listed: Vec<Listed> = vault.list(prefix).try_collect().await.unwrap();
        assert!(listed.iter().all(|it| it.byte_count == 7));
        let mut names: Vec<String> = listed.into_iter().map(|it| it.object).collect();
        names.sort();
        names
    };
    assert_eq!(
        names("").await,
        ["KST/2026/1.meta", "KST/2026/1.pack", "NGY/2026/2.pack"]
    );
    assert_eq!(names("NGY/").await, ["NGY/2026/2.pack"]);
    assert!(names("OSK/").await.is_empty());
    vault.delete("KST/2026/1.pack").await.unwrap();
    vault.delete("KST/2026/1.pack").await.unwrap();
    vault.delete("OSK/2026/1.pack").await.unwrap();
    assert_eq!(names("KST/").await, ["KST/2026/1.meta"]);
}

#[tokio::test]
async fn any_range_comes_back() {
    check_ranges(&folder().await.1).await;
    check_ranges(&Vault::open("memory://").await.unwrap()).await;
}

#[tokio::test]
async fn bytes_that_a_row_promised_and_that_are_not_there_are_a_defect() {
    let (_root, vault) = folder().await;
    check_promises_broken(&vault).await;
    check_promises_broken(&Vault::open("memory://").await.unwrap()).await;
}

#[tokio::test]
async fn a_listing_shows_objects_and_nothing_else() {
    let (root, vault) = folder().await;
    std::fs::write(root.path().join("lost+found"), b"x").unwrap();
    check_listing(&vault).await;
    check_listing(&Vault::open("memory://").await.unwrap()).await;
}

#[tokio::test]
async fn an_object_has_its_name_only_when_it_is_whole() {
    let (root, vault) = folder().await;
    let object = "KST/2026/07/01/c.pack";
    let mut put = vault.create(object).await.unwrap();
    put.write(pattern(9 << 20)).await.unwrap();
    assert!(!root.path().join(object).exists());
    assert!(vault.list("").next().await.is_none());
    assert_eq!(put.written(), 9 << 20);
    put.close().await.unwrap();
    assert!(root.path().join(object).exists());
    assert_eq!(files_below(&root.path().join(TEMPORARY)), ["0.lock"]);
}

#[tokio::test]
async fn an_object_given_up_leaves_nothing() {
    let (root, vault) = folder().await;
    for size in [0, 10, 20 << 20] {
        let mut aborted = vault.create("KST/d.pack").await.unwrap();
        aborted.write(pattern(size)).await.unwrap();
        aborted.abort().await;
        let mut dropped = vault.create("KST/e.pack").await.unwrap();
        dropped.write(pattern(size)).await.unwrap();
        drop(dropped);
        // A write that was under way removes its file when it has ended.
        for _ in 0..10_000 {
            if files_below(root.path()) == ["0.lock"] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(files_below(root.path()), ["0.lock"], "{size}");
    }
}

#[tokio::test]
async fn a_name_is_used_once_and_stays_inside() {
    let (root, vault) = folder().await;
    put(&vault, "KST/f.pack", &pattern(1)).await;
    let mut twice = vault.create("KST/f.pack").await.unwrap();
    twice.write(pattern(2)).await.unwrap();
    assert_eq!(twice.close().await.unwrap_err().kind(), Kind::Internal);
    assert_eq!(vault.byte_count("KST/f.pack").await.unwrap(), 1);
    assert_eq!(files_below(root.path()).len(), 2, "the object and the lock");
    for object in [
        "../f", "/f", "KST//f", ".tmp/f", "", "KST/", "KST/ f", "KST/蔵",
    ] {
        let error = vault.create(object).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal, "{object}");
    }
}

#[tokio::test]
async fn health_notices_that_the_folder_went_away() {
    let (root, vault) = folder().await;
    vault.health().await.unwrap();
    Vault::open("memory://")
        .await
        .unwrap()
        .health()
        .await
        .unwrap();
    root.close().unwrap();
    assert_eq!(vault.health().await.unwrap_err().kind(), Kind::Unavailable);
}
