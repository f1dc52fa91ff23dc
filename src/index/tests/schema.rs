//! Opening, migrating, facilities.

use sea_orm::ConnectionTrait;

use super::world::{World, clock, url};
use crate::error::Kind;
use crate::index::{Index, SchemaState};
use crate::model::{FacilityCode, FacilityKind};

#[tokio::test]
async fn an_empty_database_is_older_until_it_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(&url(&folder), clock()).await.unwrap();
    let state = index.schema_state().await.unwrap();
    assert!(
        matches!(state, SchemaState::Older { at: 0, .. }),
        "{state:?}"
    );
    assert!(state.refusal().unwrap().contains("kura migrate"));
    index.migrate().await.unwrap();
    index.migrate().await.unwrap();
    assert_eq!(index.schema_state().await.unwrap(), SchemaState::Current);
    assert_eq!(index.acl_epoch().await.unwrap(), 1);
    index.health().await.unwrap();
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let World { index, folder } = World::new().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        VALUES (9999, 'later', TRUE, X'00', 0)";
    index.writer.execute_unprepared(newer).await.unwrap();
    let again = Index::open(&url(&folder), clock()).await.unwrap();
    let state = again.schema_state().await.unwrap();
    assert!(
        matches!(state, SchemaState::Newer { at: 9999, .. }),
        "{state:?}"
    );
    assert_eq!(again.migrate().await.unwrap_err().kind(), Kind::Conflict);
}

#[tokio::test]
async fn a_schema_without_a_column_is_refused() {
    let World { index, folder } = World::new().await;
    let drop = "ALTER TABLE series DROP COLUMN laterality";
    index.writer.execute_unprepared(drop).await.unwrap();
    let refused = Index::open(&url(&folder), clock()).await.unwrap_err();
    assert_eq!(
        refused.detail(),
        "the table series lacks the column laterality"
    );
}

#[tokio::test]
async fn what_is_written_is_flushed_and_only_the_writer_writes() {
    let World {
        index,
        folder: _folder,
    } = World::new().await;
    let pragma = |db: sea_orm::DatabaseConnection, name: &'static str| async move {
        let statement =
            sea_orm::Statement::from_string(db.get_database_backend(), format!("PRAGMA {name}"));
        let row = db.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index::<i32>(0).unwrap()
    };
    assert_eq!(pragma(index.writer.clone(), "synchronous").await, 2);
    assert_eq!(pragma(index.writer.clone(), "foreign_keys").await, 1);
    let write = index
        .reader
        .execute_unprepared("DELETE FROM acl_epoch")
        .await;
    assert!(write.is_err());
}

#[tokio::test]
async fn sh_1_a_code_and_an_issuer_belong_to_one_facility() {
    let World {
        index,
        folder: _folder,
    } = World::new().await;
    let code = |text| FacilityCode::parse(text).unwrap();
    let issuers = ["HIS".to_owned(), "CLINIC".to_owned()];
    let kind = FacilityKind::Member;
    let one = index
        .add_facility(&code("F001"), "One", kind, &issuers)
        .await
        .unwrap();
    let taken = index
        .add_facility(&code("F001"), "Two", kind, &[])
        .await
        .unwrap_err();
    assert_eq!(taken.kind(), Kind::Conflict);
    let taken = index
        .add_facility(&code("F002"), "Two", kind, &issuers[1..])
        .await
        .unwrap_err();
    assert_eq!(taken.kind(), Kind::Conflict);
    assert_eq!(index.facilities().await.unwrap().len(), 1);
    let found = index
        .facility_by_code(&code("F001"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.id, found.name.as_str()), (one.id, "One"));
    assert!(
        index
            .facility_by_code(&code("F002"))
            .await
            .unwrap()
            .is_none()
    );
}
