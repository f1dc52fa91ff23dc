//! Bytes and depth of each table and index, of rows that a server wrote: studies of three series of a hundred slices with the
//! head of a CT. All that is kept grows with their number, so what they take is what a larger archive takes.

use std::sync::Arc;

use sqlx::{Connection as _, Row as _};

use crate::harness::cluster::Cluster;
use crate::harness::{Server, backing};
use crate::servers::client::{Ask, all};
use crate::servers::ct;

/// Studies, unless the words say another number.
const STUDIES: usize = 100;
/// Series of a study, and instances of a series.
const SERIES: usize = 3;
const INSTANCES: usize = 100;
/// Instances of the archive that is reckoned with.
const TARGET: f64 = 1e8;

/// What a table or an index takes.
struct Part {
    name: String,
    /// Entries of its leaves.
    rows: f64,
    bytes: f64,
    page_bytes: f64,
    /// Levels, leaves included; 1 where there is no tree.
    depth: f64,
    is_tree: bool,
    /// Pages that an inner page points to, where that is known: as many as there are row numbers on it.
    fan_out: Option<f64>,
}

/// Row numbers and pages on an inner page of a table of SQLite, which is two thirds full.
const ROW_NUMBERS: f64 = 280.0;

impl Part {
    /// Levels of the tree when it is `times` as large. An inner page points to about as many pages as a leaf of an index has
    /// entries; to more where keys are cut off to what tells them apart.
    fn depth_at(&self, times: f64) -> f64 {
        if !self.is_tree {
            return self.depth;
        }
        let leaves = (self.bytes / self.page_bytes).max(1.0);
        let fan_out = self.fan_out.unwrap_or((self.rows / leaves).max(4.0));
        let at_target = leaves * times;
        1.0 + (at_target.ln() / fan_out.ln()).ceil()
    }
}

/// Stores, and prints what that took, on SQLite and on PostgreSQL.
pub(crate) async fn run(words: &[&str]) -> bool {
    let studies = words.iter().find_map(|word| word.parse().ok());
    let studies = studies.unwrap_or(STUDIES);
    let data = Arc::new(tempfile::tempdir().expect("a folder can be made"));
    fill(&data, studies).await;
    let file = data.path().join("kura.db");
    print(
        "SQLite",
        studies,
        sqlite(&format!("sqlite://{}", file.display())).await,
    );
    let cluster = Cluster::start();
    let url = cluster.url(&cluster.database(backing::migrate));
    let data = Arc::new(tempfile::tempdir().expect("a folder can be made"));
    backing::place(data.path(), Some(&url), None);
    fill(&data, studies).await;
    print("PostgreSQL", studies, postgres(&url).await);
    true
}

async fn fill(data: &Arc<tempfile::TempDir>, studies: usize) {
    let words = ["facility", "add", "F001", "--name", "Hospital"];
    crate::harness::server::kura(data.path(), &words);
    let mut server = Server::start_on(Arc::clone(data));
    let token = server.reader("F001");
    let asks = (0..studies).map(|study| {
        let uid = format!("1.2.392.200036.9116.2.6.1.48.1214245753.{study}");
        let files: Vec<_> = (0..SERIES * INSTANCES)
            .map(|n| ct::of_series(&uid, n / INSTANCES + 1, n % INSTANCES + 1))
            .collect();
        Ask {
            path: "/dicomweb/studies".to_owned(),
            accept: "application/dicom+json",
            body: Some(ct::store(&files)),
            ..Ask::default()
        }
    });
    let address = server.base.trim_start_matches("http://").to_owned();
    all(&address, &token, 4, asks.collect()).await;
    server.signal("TERM");
    server.code();
}

async fn sqlite(url: &str) -> Vec<Part> {
    let mut to = sqlx::SqliteConnection::connect(url)
        .await
        .expect("the database opens");
    // A path is `/` for the root and four characters more for each level below it.
    let asked = "SELECT name, CAST(SUM(CASE WHEN pagetype = 'leaf' THEN ncell ELSE 0 END) AS REAL) AS entries, \
         CAST(SUM(CASE WHEN pagetype = 'internal' THEN ncell ELSE 0 END) AS REAL) AS inner_entries, \
         CAST(SUM(pgsize) AS REAL) AS bytes, CAST(MAX(CASE WHEN pagetype = 'overflow' THEN 0 ELSE \
         length(path) - length(replace(path, '/', '')) END) AS REAL) AS depth, EXISTS(SELECT 1 FROM sqlite_master m WHERE \
         m.name = dbstat.name AND m.type = 'table' AND m.sql NOT LIKE '%WITHOUT ROWID%') AS has_row_numbers FROM dbstat \
         GROUP BY name";
    let rows = sqlx::query(asked)
        .fetch_all(&mut to)
        .await
        .expect("the sizes");
    let parts = rows.iter().map(|row| {
        let name: String = row.get("name");
        let depth: f64 = row.get("depth");
        Part {
            rows: row.get::<f64, _>("entries") + row.get::<f64, _>("inner_entries"),
            bytes: row.get("bytes"),
            page_bytes: 4096.0,
            depth,
            is_tree: true,
            fan_out: row.get::<bool, _>("has_row_numbers").then_some(ROW_NUMBERS),
            name,
        }
    });
    parts.collect()
}

async fn postgres(url: &str) -> Vec<Part> {
    let mut to = sqlx::PgConnection::connect(url)
        .await
        .expect("the database opens");
    for statement in [
        "VACUUM ANALYZE",
        "CREATE EXTENSION IF NOT EXISTS pageinspect",
    ] {
        let ran = sqlx::raw_sql(statement).execute(&mut to).await;
        ran.expect("the statement runs");
    }
    let asked = "SELECT relname, relkind = 'i' AS is_index, reltuples::float8 AS entries, \
         (pg_relation_size(oid) + COALESCE(pg_relation_size(NULLIF(reltoastrelid, 0)), 0))::float8 AS bytes, \
         CASE WHEN relkind = 'i' AND pg_relation_size(oid) > 8192 THEN (SELECT level + 1 FROM bt_metap(relname))::float8 \
         ELSE 1 END AS depth FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')";
    let rows = sqlx::query(asked)
        .fetch_all(&mut to)
        .await
        .expect("the sizes");
    let parts = rows.iter().map(|row| Part {
        name: row.get("relname"),
        rows: row.get::<f64, _>("entries").max(0.0),
        bytes: row.get("bytes"),
        page_bytes: 8192.0,
        depth: row.get("depth"),
        is_tree: row.get("is_index"),
        fan_out: None,
    });
    parts.collect()
}

#[expect(clippy::print_stdout, reason = "a program for the command line")]
fn print(name: &str, studies: usize, mut parts: Vec<Part>) {
    #[expect(clippy::cast_precision_loss, reason = "a count of a few")]
    let instances = (studies * SERIES * INSTANCES) as f64;
    let times = TARGET / instances;
    let all: f64 = parts.iter().map(|part| part.bytes).sum();
    parts.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
    println!(
        "\n## {name}: {studies} studies of {SERIES} series of {INSTANCES} instances, {:.1} MB\n",
        all / 1e6
    );
    println!(
        "| table or index | rows | bytes a row | bytes an instance | levels | at 10^8 instances | levels then |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for part in parts.iter().filter(|part| part.bytes / all > 0.002) {
        println!(
            "| {} | {} | {:.0} | {:.1} | {} | {:.1} GB | {} |",
            part.name,
            part.rows,
            part.bytes / part.rows.max(1.0),
            part.bytes / instances,
            part.depth,
            part.bytes * times / 1e9,
            part.depth_at(times)
        );
    }
    println!(
        "| all | | | {:.0} | | {:.0} GB | |",
        all / instances,
        all * times / 1e9
    );
}
