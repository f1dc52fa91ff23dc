//! `kura migrate`, and `kura openapi`, which needs nothing of it.

use super::{command, ended, fails, run};

#[test]
fn the_schema_is_migrated_and_stays() {
    let data = tempfile::tempdir().unwrap();
    let at = data.path();
    for _ in 0..2 {
        let migrated = run(at, "migrate");
        assert_eq!((migrated.code, migrated.out.as_str()), (0, ""));
        assert_eq!(migrated.err, "the schema is up to date\n");
    }
    fails(
        &run(at, "migrate --database-url mysql://localhost/kura"),
        2,
        "database_url",
    );
    let nowhere = format!("sqlite://{}/missing/kura.db?mode=rwc", at.display());
    let refused = ended(&mut command(at, &["migrate", "--database-url", &nowhere]));
    assert!(
        refused.code != 0 && refused.err.starts_with("kura: "),
        "{refused:?}"
    );
    assert_eq!(refused.err.lines().count(), 1, "{}", refused.err);
}

#[test]
fn the_document_needs_no_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("none");
    let printed = run(&data, "openapi");
    assert_eq!((printed.code, printed.err.as_str()), (0, ""));
    let document: serde_json::Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(!data.exists(), "it makes nothing");
    assert_eq!(run(&data, "openapi --nonsense").code, 2);
}
