//! Bytes first, rows second, answer last (architecture.md 7.1): the system calls of the real server while it stores, as
//! strace saw them. A test of crashes shows that nothing is lost; this one shows why.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::server::{kura, token, wait_for};
use crate::harness::{Server, backing, instance};

const CALLS: &str = "fsync,fdatasync,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,open,openat,write,writev,pwrite64,sendto,sendmsg";

/// One finished system call.
#[derive(Clone, Debug)]
struct Call {
    name: String,
    /// Everything between the parentheses.
    arguments: String,
    /// Line at which it began, and at which it was done.
    began: usize,
    done: usize,
}

impl Call {
    fn is_sync(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync")
    }

    /// The path of its first file descriptor, as `-y` shows it: `12</folder/file>`.
    fn file(&self) -> &str {
        let from = self.arguments.find('<').map_or(0, |at| at + 1);
        let rest = &self.arguments[from..];
        rest.split('>').next().unwrap_or_default()
    }

    /// The quoted paths among its arguments.
    fn paths(&self) -> Vec<&str> {
        self.arguments.split('"').skip(1).step_by(2).collect()
    }

    /// Whether the first descriptor is a connection.
    fn is_socket(&self) -> bool {
        self.file().starts_with("TCP:") || self.file().starts_with("socket:")
    }
}

/// strace, where it is installed.
pub(super) fn strace() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("strace"))
        .find(|p| p.is_file());
    if found.is_none() {
        let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!is_ci, "no strace: scripts/setup --tests installs it");
        println!("no strace: scripts/setup --tests installs it");
    }
    found
}

/// The calls that succeeded, in the order in which they were done; calls that another thread interrupted are joined.
fn read(trace: &str) -> Vec<Call> {
    let mut open: Vec<(String, String, usize)> = Vec::new();
    let mut calls = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            open.push((pid.to_owned(), begin.to_owned(), at));
            continue;
        }
        let (text, began) = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let mine = open.iter().position(|(other, _, _)| other == pid);
                let Some(mine) = mine else { continue };
                let (_, head, began) = open.remove(mine);
                let tail = resumed.split_once("resumed>").map_or("", |(_, tail)| tail);
                (format!("{head}{tail}"), began)
            }
            None => (rest.to_owned(), at),
        };
        let Some((name, rest)) = text.split_once('(') else {
            continue;
        };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else {
            continue;
        };
        let arguments = arguments.trim_end().strip_suffix(')').unwrap_or(arguments);
        if !result.starts_with('-') {
            calls.push(Call {
                name: name.to_owned(),
                arguments: arguments.to_owned(),
                began,
                done: at,
            });
        }
    }
    calls
}

/// The first call after which `holds` and that began after line `from`.
fn first<'a>(
    calls: &'a [Call],
    from: usize,
    what: &str,
    holds: impl Fn(&Call) -> bool,
) -> &'a Call {
    let found = calls
        .iter()
        .filter(|call| call.began > from)
        .find(|call| holds(call));
    found.unwrap_or_else(|| panic!("after line {from} there is no {what}"))
}

struct Traced {
    calls: Vec<Call>,
    data: Arc<TempDir>,
    /// Line at which the answer of the store began to be sent.
    answered: usize,
}

/// Stores three instances of one study under strace.
async fn traced(strace: &Path) -> Traced {
    let data = Arc::new(tempfile::tempdir().unwrap());
    kura(
        data.path(),
        &["facility", "add", "F001", "--name", "みなと中央病院"],
    );
    let token = token(data.path(), "F001", "dicom.write");
    let trace = data.path().join("strace.txt");
    // -D: the child is kura, so that kura is killed in the end, and strace ends with it.
    let mut command = Command::new(strace);
    command
        .args([
            "-D",
            "-f",
            "-y",
            "-s",
            "24",
            "-e",
            &format!("trace={CALLS}"),
            "-o",
        ])
        .arg(&trace);
    command.arg(env!("CARGO_BIN_EXE_kura"));
    // No worker: the rows that are written are those of the store.
    command.env("KURA_WORKER__ENABLED", "false");
    let mut server = Server::start_with(Arc::clone(&data), command);
    let live = server.get("/health/live", "").await;
    assert_eq!(live.status, 200);
    // strace writes a line when its call is done, which can be after the client has the bytes: the answer to the
    // request above must stand there before anything is counted from here on.
    let written = || std::fs::read_to_string(&trace).unwrap();
    let is_answer = |call: &&Call| call.is_socket() && call.arguments.contains("HTTP/1.1 200");
    let before = wait_for(Duration::from_secs(10), || {
        let trace = written();
        let answered = read(&trace).iter().any(|call| is_answer(&call));
        answered.then(|| trace.lines().count())
    });
    let files: Vec<_> = (1..=3)
        .map(|n| {
            instance("1.2.3")
                .uids("1.2.3.1", "1.2.3.1.1", &format!("1.2.3.1.1.{n}"))
                .file()
        })
        .collect();
    server.stored(&token, &files).await;
    let (calls, answered) = wait_for(Duration::from_secs(10), || {
        let calls = read(&written());
        let mut later = calls.iter().filter(|call| call.began >= before);
        let answered = later.find(is_answer)?.began;
        Some((calls, answered))
    });
    server.kill();
    let calls = calls
        .into_iter()
        .filter(|call| call.began >= before)
        .collect();
    Traced {
        calls,
        data,
        answered,
    }
}

#[tokio::test]
async fn t20_bytes_are_durable_before_rows_and_rows_before_the_answer() {
    if backing::has_no_files() {
        return;
    }
    let Some(strace) = strace() else { return };
    let Traced {
        calls,
        data,
        answered,
    } = traced(&strace).await;
    let blobs = data.path().join("blobs");
    let blobs = blobs.to_str().unwrap();
    let files: Vec<&Call> = calls
        .iter()
        .filter(|call| {
            matches!(
                call.name.as_str(),
                "rename" | "renameat" | "renameat2" | "link" | "linkat"
            )
        })
        .collect();
    assert!(
        files.len() >= 2,
        "a pack and its metadata get their names: {files:?}"
    );
    let mut last = 0;
    for named in &files {
        let paths = named.paths();
        let (draft, name) = (paths[0], paths[1]);
        assert!(name.starts_with(blobs), "{name}");
        let file = calls
            .iter()
            .find(|call| call.is_sync() && call.file() == draft);
        let file = file.unwrap_or_else(|| panic!("{draft} is never synced"));
        assert!(
            file.done < named.began,
            "synced before it gets its name: {file:?} {named:?}"
        );
        let wrote = calls
            .iter()
            .filter(|call| call.name.contains("write") && call.file() == draft);
        assert!(
            wrote.map(|call| call.done).max() < Some(file.began),
            "nothing is written after the sync: {draft}"
        );
        let folder = Path::new(name).parent().unwrap().to_str().unwrap();
        let folder = first(&calls, named.done, "sync of the folder", |call| {
            call.is_sync() && call.file() == folder
        });
        last = last.max(folder.done);
    }
    let made: Vec<&Call> = calls
        .iter()
        .filter(|call| call.name.starts_with("mkdir"))
        .collect();
    assert!(!made.is_empty(), "the first study makes folders");
    for folder in &made {
        let parent = Path::new(folder.paths()[0])
            .parent()
            .unwrap()
            .to_str()
            .unwrap();
        let sync = first(&calls, folder.done, "sync of the parent folder", |call| {
            call.is_sync() && call.file() == parent
        });
        last = last.max(sync.done);
    }
    let database = |call: &Call| {
        call.file()
            .starts_with(data.path().join("kura.db").to_str().unwrap())
    };
    let rows = first(&calls, last, "write to the database", |call| {
        call.name.contains("write") && database(call)
    });
    let sync = first(&calls, rows.done, "sync of the database", |call| {
        call.is_sync() && database(call)
    });
    let commits = calls
        .iter()
        .filter(|call| call.began < answered && call.name.contains("write") && database(call));
    let last_row = commits.map(|call| call.done).max().expect("rows");
    let durable = calls.iter().filter(|call| {
        call.is_sync() && database(call) && call.began > last_row && call.done < answered
    });
    assert!(
        durable.count() > 0,
        "the last row written is synced before the answer"
    );
    assert!(
        sync.done < answered,
        "the database is synced before the answer"
    );
    let early = calls
        .iter()
        .find(|call| call.is_socket() && call.began < sync.done);
    assert!(
        early.is_none(),
        "something is answered too early: {early:?}"
    );
    println!(
        "{} files named, {} folders made, {} syncs before the first byte of the answer",
        files.len(),
        made.len(),
        calls
            .iter()
            .filter(|call| call.is_sync() && call.done < answered)
            .count()
    );
}

#[test]
fn traces_are_read_as_strace_writes_them() {
    let trace = "7 fsync(3</a/b> <unfinished ...>\n\
        8 write(4<TCP:[1->2]>, \"HTTP\", 4) = 4\n\
        7 <... fsync resumed>)    = 0\n\
        7 rename(\"/a/b\", \"/a/c\") = 0\n\
        7 mkdir(\"/a\", 0777) = -1 EEXIST (File exists)\n\
        7 +++ exited with 0 +++\n";
    let calls = read(trace);
    let names: Vec<_> = calls
        .iter()
        .map(|call| (call.name.as_str(), call.began, call.done))
        .collect();
    assert_eq!(names, [("write", 1, 1), ("fsync", 0, 2), ("rename", 3, 3)]);
    assert!(calls[0].is_socket());
    assert_eq!(calls[1].file(), "/a/b");
    assert_eq!(calls[2].paths(), ["/a/b", "/a/c"]);
}
