//! The command line as somebody types it: results on standard output and nothing else there, one line on failure, exit codes
//! that a script can rely on (product.md 4). One file a command.

mod demo;
mod export;
mod facility;
mod import;
mod migrate;
mod reindex;
mod serve;
mod token;
mod verify;

pub use reindex::lose;
pub use verify::{objects, sql};

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::backing;

/// A kura that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn command(data: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kura"));
    command
        .args(words)
        .envs(backing::environment(data))
        .env("KURA_DATA", data)
        .stdin(Stdio::null());
    command
}

pub fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("kura runs");
    Ended {
        code: output.status.code().expect("no signal ended it"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A line of words between spaces; `_` in a word stands for a space.
pub fn run(data: &Path, line: &str) -> Ended {
    let words: Vec<String> = line.split(' ').map(|word| word.replace('_', " ")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    ended(&mut command(data, &words))
}

/// The line must fail with `code`: nothing on standard output, and one line that says `hint`.
#[track_caller]
pub fn fails(ended: &Ended, code: i32, hint: &str) {
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (code, ""),
        "{}",
        ended.err
    );
    assert!(
        ended.err.starts_with("kura: ") && ended.err.lines().count() == 1,
        "{}",
        ended.err
    );
    assert!(ended.err.contains(hint), "{hint}: {}", ended.err);
}

#[test]
fn help_and_version_are_results() {
    let data = tempfile::tempdir().unwrap();
    let version = run(data.path(), "--version");
    assert_eq!(version.out, format!("kura {}\n", env!("CARGO_PKG_VERSION")));
    let help = run(data.path(), "--help");
    for command in [
        "demo", "serve", "migrate", "facility", "token", "import", "export", "verify", "reindex",
        "openapi",
    ] {
        assert!(
            help.out.contains(&format!("\n  {command} ")),
            "{command}: {}",
            help.out
        );
        assert_eq!(
            run(data.path(), &format!("{command} --help")).code,
            0,
            "{command}"
        );
    }
    assert_eq!(ended(&mut command(data.path(), &[])).code, 2);
    assert_eq!(run(data.path(), "bogus").code, 2);
}
