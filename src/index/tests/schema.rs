//! Opening, migrating, facilities.

use sea_orm::ConnectionTrait;

use super::world::{World, clock, empty, is_postgres, skipped};
use crate::error::Kind;
use crate::index::{Index, SchemaState};
use crate::model::{FacilityCode, FacilityKind};

#[tokio::test]
async fn an_empty_database_is_older_until_it_is_migrated() {
    let (url, _place) = empty();
    let index = Index::open(&url, clock()).await.unwrap();
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
    let world = World::new().await;
    let index = &world.index;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        VALUES (9999, 'later', TRUE, '', 0)";
    index.writer.execute_unprepared(newer).await.unwrap();
    let again = Index::open(&world.url, clock()).await.unwrap();
    let state = again.schema_state().await.unwrap();
    assert!(
        matches!(state, SchemaState::Newer { at: 9999, .. }),
        "{state:?}"
    );
    assert_eq!(again.migrate().await.unwrap_err().kind(), Kind::Conflict);
}

#[tokio::test]
async fn a_schema_without_a_column_is_refused() {
    let world = World::new().await;
    let index = &world.index;
    let drop = "ALTER TABLE series DROP COLUMN laterality";
    index.writer.execute_unprepared(drop).await.unwrap();
    let refused = Index::open(&world.url, clock()).await.unwrap_err();
    assert_eq!(
        refused.detail(),
        "the table series lacks the column laterality"
    );
}

#[tokio::test]
async fn what_is_written_is_flushed_and_only_the_writer_writes() {
    if is_postgres() {
        skipped("PRAGMA; what a connection is opened with there has a test of its own");
        return;
    }
    let world = World::new().await;
    let index = &world.index;
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

/// `.cargo/config.toml` says why.
#[tokio::test]
async fn sqlite_plans_a_statement_once() {
    if is_postgres() {
        skipped("PostgreSQL plans by its own rules");
        return;
    }
    let world = World::new().await;
    let reader = &world.index.reader;
    let statement = sea_orm::Statement::from_string(
        reader.get_database_backend(),
        "SELECT sqlite_compileoption_used('ENABLE_QPSG')",
    );
    let row = reader.query_one_raw(statement).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i32>(0).unwrap(), 1);
}

#[tokio::test]
async fn sh_1_a_code_and_an_issuer_belong_to_one_facility() {
    let world = World::new().await;
    let index = &world.index;
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

#[tokio::test]
async fn twins_make_the_same_tables_and_every_text_compares_bytewise() {
    if !is_postgres() {
        println!("skipped on SQLite: the comparison is made on PostgreSQL");
        return;
    }
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = format!(
        "sqlite://{}?mode=rwc",
        folder.path().join("twin.db").display()
    );
    let twin = Index::open(&file, clock()).await.unwrap();
    twin.migrate().await.unwrap();
    let lines = async |index: &Index, sql: &str| {
        let backend = index.reader.get_database_backend();
        let statement = sea_orm::Statement::from_string(backend, sql);
        let rows = index.reader.query_all_raw(statement).await.unwrap();
        let line = |row: &sea_orm::QueryResult| row.try_get_by_index::<String>(0).unwrap();
        let mut lines: Vec<String> = rows.iter().map(line).collect();
        lines.sort();
        lines
    };
    // Of a key SQLite says only where it was written that it is never empty.
    let columns = lines(
        &world.index,
        "SELECT c.table_name || '.' || c.column_name AS line FROM information_schema.columns c \
            WHERE c.table_schema = 'public' AND c.table_name NOT LIKE '!_sqlx%' ESCAPE '!'",
    );
    let twins = lines(
        &twin,
        "SELECT t.name || '.' || c.name AS line FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
            WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!' \
            AND t.name NOT LIKE '!_sqlx%' ESCAPE '!'",
    );
    assert_eq!(columns.await, twins.await);
    let indexes = lines(
        &world.index,
        "SELECT tablename || '.' || indexname FROM pg_indexes WHERE schemaname = 'public' \
            AND indexname NOT IN (SELECT conname FROM pg_constraint)",
    );
    let twins = lines(
        &twin,
        "SELECT tbl_name || '.' || name FROM sqlite_schema WHERE type = 'index' \
            AND name NOT LIKE 'sqlite!_%' ESCAPE '!'",
    );
    assert_eq!(indexes.await, twins.await);
    let otherwise = lines(
        &world.index,
        "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public' \
            AND data_type = 'text' AND table_name NOT LIKE '!_sqlx%' ESCAPE '!' \
            AND collation_name IS DISTINCT FROM 'C'",
    );
    assert_eq!(otherwise.await, Vec::<String>::new());
}
