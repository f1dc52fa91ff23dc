//! What a pack promises, on a folder and in memory.

use futures::{StreamExt as _, TryStreamExt as _};
use proptest::prelude::*;
use uuid::Uuid;

use super::super::footer::read_footer;
use super::super::frame_table::frame_table;
use super::super::inflate::inflate_block;
use super::super::metadata::read_pieces;
use super::super::place::BlobRef;
use super::*;

/// 2026-01-01 00:00 UTC.
const NEW_YEAR: Timestamp = Timestamp(1_767_225_600_000_000);

async fn folder() -> (tempfile::TempDir, Vault) {
    let root = tempfile::tempdir().unwrap();
    let url = format!("fs://{}", root.path().display());
    (root, Vault::open(&url).await.unwrap())
}

async fn memory() -> Vault {
    Vault::open("memory://").await.unwrap()
}

async fn begin(vault: &Vault, number: u128) -> PackWriter {
    let owner = FacilityCode::parse("KST").unwrap();
    let study = StudyUid::parse("1.2.3").unwrap();
    let pack_id = PackId(Uuid::from_u128(number));
    PackWriter::begin(
        vault,
        &owner,
        &study,
        pack_id,
        NEW_YEAR,
        "http://a/dicomweb",
    )
    .await
    .unwrap()
}

fn entry(series: u8, instance: u32) -> Entry {
    Entry {
        series: SeriesUid::parse(&format!("1.2.3.{series}")).unwrap(),
        instance: SopInstanceUid::parse(&format!("1.2.3.{series}.{instance}")).unwrap(),
        sop_class: SopClassUid::parse("1.2.840.10008.5.1.4.1.1.2").unwrap(),
        transfer_syntax_uid: "1.2.840.10008.1.2.1".to_owned(),
        frame_table: None,
    }
}

fn file(number: u32, len: usize) -> Bytes {
    let byte = |i: usize| u8::try_from((i + number as usize) % 253).unwrap();
    (0..len).map(byte).collect()
}

fn head(entry: &Entry) -> String {
    format!(
        r#"{{"00080018":{{"vr":"UI","Value":["{}"]}}}}"#,
        entry.instance
    )
}

async fn part(pack: &mut PackWriter, bytes: &Bytes) {
    pack.start_part();
    for piece in bytes.chunks(100_000) {
        pack.write(bytes.slice_ref(piece)).await.unwrap();
    }
}

async fn keep(pack: &mut PackWriter, bytes: &Bytes, entry: Entry) {
    part(pack, bytes).await;
    let head = head(&entry);
    pack.keep(entry, head.as_bytes()).await.unwrap();
}

async fn objects(vault: &Vault) -> Vec<String> {
    let listed: Vec<_> = vault.list("").try_collect().await.unwrap();
    let mut names: Vec<String> = listed.into_iter().map(|it| it.object).collect();
    names.sort();
    names
}

async fn bytes_of(vault: &Vault, object: &str, range: Range<u64>) -> Vec<u8> {
    let blob = BlobRef {
        object: object.to_owned(),
        range,
    };
    let slices: Vec<Bytes> = vault.read(&blob).try_collect().await.unwrap();
    slices.concat()
}

/// Two interleaved series with holes between them, read back from the objects alone.
async fn check_round_trip(vault: &Vault) {
    let files: Vec<Bytes> = (0..6).map(|n| file(n, 300_000 + n as usize)).collect();
    let mut pack = begin(vault, 1).await;
    part(&mut pack, &files[5]).await;
    pack.discard_part();
    for n in [0_u8, 1, 2, 3] {
        keep(&mut pack, &files[usize::from(n)], entry(n % 2, n.into())).await;
        part(&mut pack, &files[4]).await;
    }
    assert!(
        objects(vault).await.is_empty(),
        "nothing is seen before the seal"
    );
    let written = pack.len();
    let sealed = pack.seal(NEW_YEAR).await.unwrap().unwrap();

    let stem = "KST/2026/01/01/00000000-0000-0000-0000-000000000001";
    assert_eq!(sealed.object, format!("{stem}.pack"));
    assert_eq!(
        objects(vault).await,
        [format!("{stem}.meta"), format!("{stem}.pack")]
    );
    assert_eq!(
        vault.byte_count(&sealed.object).await.unwrap(),
        sealed.byte_count
    );
    assert_eq!(
        vault.byte_count(&sealed.metadata_object).await.unwrap(),
        sealed.metadata_bytes
    );
    assert!(sealed.byte_count > written + trailer::LEN);

    let (footer, digest) = read_footer(vault, &sealed.object).await.unwrap();
    assert_eq!(
        (footer.entries.as_slice(), digest),
        (sealed.entries.as_slice(), sealed.digest)
    );
    assert_eq!((footer.owner.as_str(), footer.begun_at), ("KST", NEW_YEAR));
    assert_eq!(
        read_pieces(vault, &footer.metadata_object).await.unwrap(),
        sealed.pieces
    );
    let metadata = bytes_of(vault, &footer.metadata_object, 0..footer.metadata_bytes).await;
    assert_eq!(sha256(&metadata), footer.metadata_digest);

    assert_eq!(footer.entries.len(), 4);
    for (n, kept) in footer.entries.into_iter().enumerate() {
        let bytes = bytes_of(vault, &sealed.object, kept.range).await;
        assert!(bytes == files[n], "{n}");
        assert_eq!(kept.digest, sha256(&files[n]));
        let block = kept.meta.block;
        let block = vault
            .read_small(&sealed.metadata_object, block, 1 << 20)
            .await
            .unwrap();
        let json = inflate_block(&block, &kept.meta.json).unwrap();
        let expected = entry(u8::try_from(n % 2).unwrap(), u32::try_from(n).unwrap());
        assert_eq!(json, head(&expected).as_bytes());
    }
}

#[tokio::test]
async fn a_pack_explains_itself_and_its_holes_have_no_entry() {
    check_round_trip(&folder().await.1).await;
    check_round_trip(&memory().await).await;
}

#[tokio::test]
async fn a_pack_given_up_or_without_a_kept_part_leaves_nothing() {
    let (root, vault) = folder().await;
    for number in 0..3 {
        let mut pack = begin(&vault, number).await;
        if number > 0 {
            keep(&mut pack, &file(1, 9 << 20), entry(1, 1)).await;
        }
        part(&mut pack, &file(1, 9 << 20)).await;
        match number {
            0 => assert!(pack.seal(NEW_YEAR).await.unwrap().is_none()),
            1 => pack.abort().await,
            _ => drop(pack),
        }
        assert!(objects(&vault).await.is_empty());
        let leftovers = || {
            std::fs::read_dir(root.path().join(".tmp/0"))
                .unwrap()
                .count()
        };
        for _ in 0..10_000 {
            // What was dropped in the middle of a write goes when the write has ended.
            if number < 2 || leftovers() == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(leftovers(), 0);
    }
}

#[tokio::test]
async fn several_packs_are_sealed_together() {
    let (_root, vault) = folder().await;
    let mut packs = Vec::new();
    for number in 0..3 {
        let mut pack = begin(&vault, number).await;
        if number != 1 {
            keep(&mut pack, &file(1, 10), entry(1, 1)).await;
        }
        packs.push(pack);
    }
    let sealed: Vec<Option<Sealed>> = seal_all(packs, NEW_YEAR)
        .await
        .into_iter()
        .collect::<Result<_>>()
        .unwrap();
    let found: Vec<bool> = sealed.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, false, true]);
    assert_eq!(objects(&vault).await.len(), 4);
    assert!(seal_all(Vec::new(), NEW_YEAR).await.is_empty());
}

#[tokio::test]
async fn a_large_frame_table_lies_in_the_pack_and_a_small_one_in_the_row() {
    let vault = memory().await;
    let mut pack = begin(&vault, 1).await;
    let tables = [0, 1, 64 << 10, (64 << 10) + 1, 200_000].map(|len| file(9, len).to_vec());
    for (number, table) in (0..).zip(&tables) {
        let table = Some(table.clone());
        keep(
            &mut pack,
            &file(number, 1_000),
            Entry {
                frame_table: table,
                ..entry(1, number)
            },
        )
        .await;
    }
    let sealed = pack.seal(NEW_YEAR).await.unwrap().unwrap();
    let (footer, _) = read_footer(&vault, &sealed.object).await.unwrap();
    assert_eq!(footer.entries, sealed.entries);
    for (kept, table) in sealed.entries.iter().zip(&tables) {
        let column = kept.frame_table.as_deref().unwrap();
        assert_eq!(
            column.len() < 30,
            table.len() > 64 << 10 || table.len() < 20
        );
        assert!(frame_table(&vault, column, &sealed.object).await.unwrap() == *table);
    }
    let mut torn = sealed.entries[4].frame_table.clone().unwrap();
    torn[20] ^= 1;
    let error = frame_table(&vault, &torn, &sealed.object)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
}

#[tokio::test]
async fn a_head_that_is_too_long_costs_its_part_only() {
    let vault = memory().await;
    let mut pack = begin(&vault, 1).await;
    part(&mut pack, &file(1, 10)).await;
    let long = vec![b' '; (64 << 20) + 1];
    assert_eq!(
        pack.keep(entry(1, 1), &long).await.unwrap_err().kind(),
        Kind::TooLarge
    );
    assert_eq!(
        pack.keep(entry(1, 1), b"{}").await.unwrap_err().kind(),
        Kind::Internal
    );
    keep(&mut pack, &file(2, 10), entry(1, 2)).await;
    let sealed = pack.seal(NEW_YEAR).await.unwrap().unwrap();
    assert_eq!(
        (sealed.entries.len(), sealed.entries[0].range.clone()),
        (1, 10..20)
    );
}

#[tokio::test]
async fn a_pack_is_full_by_bytes_or_by_series() {
    let vault = memory().await;
    let mut pack = begin(&vault, 1).await;
    keep(&mut pack, &file(1, 1), entry(0, 1)).await;
    assert!(!pack.is_full() && !pack.is_empty());
    for series in 1..32 {
        assert!(!pack.is_full());
        keep(&mut pack, &file(1, 1), entry(series, 1)).await;
    }
    assert!(pack.is_full());
    let mut pack = begin(&vault, 2).await;
    pack.start_part();
    pack.write(Bytes::from(vec![0; 64 << 20])).await.unwrap();
    assert!(pack.is_full() && pack.is_empty());
}

#[tokio::test]
async fn a_torn_pack_is_refused() {
    let (root, vault) = folder().await;
    let mut pack = begin(&vault, 1).await;
    keep(&mut pack, &file(1, 1_000), entry(1, 1)).await;
    let sealed = pack.seal(NEW_YEAR).await.unwrap().unwrap();
    let path = root.path().join(&sealed.object);
    let whole = std::fs::read(&path).unwrap();
    for len in [
        0,
        23,
        24,
        whole.len() / 2,
        whole.len() - 24,
        whole.len() - 1,
    ] {
        std::fs::write(&path, &whole[..len]).unwrap();
        let error = read_footer(&vault, &sealed.object).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal, "cut at {len}");
    }
    // Every byte of footer and trailer counts; those of a file are for its own digest.
    for at in 1_000..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        std::fs::write(&path, &changed).unwrap();
        assert!(
            read_footer(&vault, &sealed.object).await.is_err(),
            "byte {at}"
        );
    }
    std::fs::write(&path, &whole).unwrap();
    read_footer(&vault, &sealed.object).await.unwrap();
    assert!(vault.list("").next().await.is_some());
}

#[tokio::test]
async fn packs_are_made_on_any_thread() {
    fn any_thread<T: Send>(value: T) -> T {
        value
    }
    let vault = memory().await;
    let mut pack = any_thread(begin(&vault, 1)).await;
    any_thread(keep(&mut pack, &file(1, 10), entry(1, 1))).await;
    assert!(any_thread(pack.seal(NEW_YEAR)).await.unwrap().is_some());
}

proptest! {
    #[test]
    fn the_name_of_a_pack_is_its_owner_its_day_and_its_key(seconds in 0_i64..4_000_000_000) {
        let owner = FacilityCode::parse("KST").unwrap();
        let stem = stem(&owner, PackId(Uuid::nil()), Timestamp(seconds * 1_000_000)).unwrap();
        prop_assert_eq!(stem.len(), "KST/2026/01/01/".len() + 36);
        prop_assert!(stem.starts_with("KST/"));
    }
}

#[test]
fn a_name_says_whose_pack_it_is_and_since_when() {
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(
        uuid::NoContext,
        1_767_225_600,
        5_000_000,
    ));
    let name = PackName::parse(&format!("KST/2026/01/01/{id}.meta")).unwrap();
    assert_eq!(
        (name.owner.as_str(), name.pack_id.0, name.is_metadata),
        ("KST", id, true)
    );
    assert_eq!(name.begun_at(), Timestamp(1_767_225_600_005_000));
    assert!(
        !PackName::parse(&format!("KST/2026/01/01/{id}.pack"))
            .unwrap()
            .is_metadata
    );
    for other in [
        format!("kst/2026/01/01/{id}.pack"),
        format!("KST/2026/1/01/{id}.pack"),
        format!("KST/2026/01/01/x/{id}.pack"),
        format!("KST/2026/01/01/{id}.part"),
        format!("KST/2026/01/01/{}.pack", id.simple()),
        format!("KST/2026/01/01/{id}"),
        "KST".to_owned(),
    ] {
        assert_eq!(PackName::parse(&other), None, "{other}");
    }
}
