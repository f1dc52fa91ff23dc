//! How PostgreSQL answers typical searches, with enough rows and statistics for its choice to be a real one.

use std::path::{Path, PathBuf};
use std::process::Command;

use sea_orm::ConnectionTrait;
use tempfile::TempDir;

use super::plans::typical;
use super::world::{ALL, access, clock};
use crate::index::Index;
use crate::model::{FacilityCode, FacilityKind};

#[path = "../../../benches/fill.rs"]
#[expect(dead_code, reason = "the bench fills SQLite as well")]
mod fill;

/// A PostgreSQL of this test alone, reached by a socket in its folder; dropped, it is gone.
struct Server {
    programs: PathBuf,
    folder: TempDir,
}

/// PostgreSQL refuses to run as root; then it runs as the user that its package makes.
fn run(program: &Path, words: &[&str]) -> bool {
    let uid = Command::new("id").arg("-u").output().unwrap().stdout;
    let mut command = if uid.trim_ascii() == b"0" {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    // Where any user may stand.
    command
        .args(words)
        .current_dir("/")
        .env("LC_ALL", "C.UTF-8");
    command.output().is_ok_and(|output| output.status.success())
}

impl Server {
    /// `None` on a machine without PostgreSQL.
    fn start() -> Option<Self> {
        let debian = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let programs = debian.flatten().map(|entry| entry.path().join("bin"));
        let programs = programs.max()?;
        let folder = tempfile::Builder::new()
            .prefix("kura-plans-")
            .tempdir()
            .ok()?;
        let path = folder.path().to_str()?.to_owned();
        Command::new("chown")
            .args(["postgres", &path])
            .status()
            .ok()?;
        let server = Self { programs, folder };
        let data = format!("{path}/data");
        let made = [
            "-D",
            &data,
            "-U",
            "kura",
            "--auth=trust",
            "-E",
            "UTF8",
            "-N",
        ];
        assert!(run(&server.programs.join("initdb"), &made), "initdb");
        let options =
            format!("-c listen_addresses= -c unix_socket_directories={path} -c fsync=off");
        let log = format!("{path}/log");
        let start = ["-s", "-w", "-D", &data, "-l", &log, "-o", &options, "start"];
        assert!(run(&server.programs.join("pg_ctl"), &start), "pg_ctl start");
        Some(server)
    }

    fn url(&self) -> String {
        format!(
            "postgres://kura@localhost/postgres?host={}",
            self.folder.path().display()
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        let data = data.to_str().unwrap_or_default();
        run(
            &self.programs.join("pg_ctl"),
            &["-s", "-m", "immediate", "-D", data, "stop"],
        );
    }
}

#[tokio::test]
async fn typical_searches_are_answered_from_indexes_of_postgresql() {
    let Some(server) = Server::start() else {
        println!("skipped: there is no PostgreSQL on this machine");
        return;
    };
    let index = Index::open(&server.url(), clock()).await.unwrap();
    index.migrate().await.unwrap();
    for code in ["F001", "F002", "F003", "F004"] {
        let code = FacilityCode::parse(code).unwrap();
        index
            .add_facility(&code, "Hospital", FacilityKind::Member, &[])
            .await
            .unwrap();
    }
    for statement in fill::statements(fill::Dialect::Postgres, 40_000, fill::Of::All) {
        index.writer.execute_unprepared(&statement).await.unwrap();
    }
    let code = FacilityCode::parse("F002").unwrap();
    let f = index.facility_by_code(&code).await.unwrap().unwrap();
    let access = access(&f, ALL);
    let catalog = index.catalog(&access);
    let mut wrong = Vec::new();
    for (what, query, walks, led_by) in typical() {
        for is_deep in [false, true] {
            if is_deep && !walks {
                continue;
            }
            let mut first = query.clone();
            first.limit = 1;
            let place = if is_deep {
                catalog.search(&first, None).await.unwrap().next
            } else {
                None
            };
            let plan = catalog.plan(&query, place.as_ref()).await.unwrap();
            let reads_all = ["study", "series", "search_text", "search_piece"]
                .iter()
                .any(|table| plan.contains(&format!("Seq Scan on {table} ")));
            // What is equal by the first column may be sorted by the rest.
            let sorts = plan.lines().any(|line| {
                let node = line.trim().trim_start_matches("->").trim();
                node == "Sort"
            });
            // Keys and unique constraints have names of their own on each database.
            let is_led =
                !led_by.starts_with("study_") || led_by.contains('=') || plan.contains(led_by);
            if reads_all || (walks && sorts) || !is_led {
                wrong.push(format!(
                    "== {what}, behind a page: {is_deep}, wants {led_by}\n{plan}"
                ));
            }
        }
    }
    index.close().await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
