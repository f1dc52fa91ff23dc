//! Checks on the code itself: layers, the map, what may be named where, documents made from tables, left-over markers.
//!
//! Ordinary tests that read the source. `KURA_BLESS=1 cargo test tidy` rewrites what is generated (tables in docs/ and
//! the list of contract rows without a test); review the difference before committing it.

mod contract;
mod documents;
mod layers;

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the repository.
struct Source {
    /// Relative to the root, with slashes.
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|end| end == "rs")
    }

    /// The file name without its ending.
    fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.split('.').next().unwrap_or_default()
    }

    /// Whether the file holds unit tests and nothing else; they stand beside what they test.
    fn is_test(&self) -> bool {
        let in_folder = self.path.starts_with("src/") && self.path.contains("/tests/");
        in_folder || self.stem() == "tests" || self.stem().ends_with("_tests")
    }

    /// The text without comments; lines keep their numbers.
    fn code(&self) -> String {
        let lines = self.text.lines().map(|line| {
            let bare = line.split_once(" // ").map_or(line, |(code, _)| code);
            if bare.trim_start().starts_with("//") {
                ""
            } else {
                bare
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The code before the unit tests; nothing of a file that holds tests only.
    fn live_code(&self) -> String {
        if self.is_test() {
            return String::new();
        }
        let code = self.code();
        code.split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .to_owned()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every text file at or below `path` that is ours, sorted; a path that does not exist gives none.
fn sources(path: &str) -> Vec<Source> {
    let full = root().join(path);
    let mut found = Vec::new();
    if full.is_dir() {
        for entry in fs::read_dir(&full).expect("the folder can be read") {
            let name = entry.expect("an entry").file_name();
            if name == "node_modules" {
                continue;
            }
            found.extend(sources(&format!("{path}/{}", name.to_string_lossy())));
        }
    } else if let Ok(text) = fs::read_to_string(&full) {
        found.push(Source {
            path: path.to_owned(),
            text,
        });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn is_blessed() -> bool {
    std::env::var_os("KURA_BLESS").is_some()
}

/// Whether `word` stands in `text` as a whole, not as a part of a longer name; `Tag(0x` is the beginning of something.
fn has_word(text: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let is_whole = word.ends_with(is_name) && !word.contains('(');
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !(before.is_some_and(is_name) || (is_whole && after.is_some_and(is_name)))
    })
}

/// Fails with all of `wrong`, one a line.
#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// What is written by people: the whole repository but what is generated or fetched.
fn written() -> Vec<Source> {
    [
        "src",
        "tests",
        "benches",
        "migrations",
        "scripts",
        "docs",
        "web",
        "fixtures",
        ".ci",
        "Cargo.toml",
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "Dockerfile",
    ]
    .iter()
    .flat_map(|path| sources(path))
    .collect()
}

#[test]
fn no_marker_was_left_behind() {
    let todo = concat!("TO", "DO");
    let never = [
        concat!("FIX", "ME"),
        concat!("dbg", "!("),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    let mut wrong = Vec::new();
    for source in written() {
        for (index, line) in source.text.lines().enumerate() {
            let numbered = line.contains(&format!("{todo}(#"));
            if has_word(line, todo) && !numbered {
                wrong.push(format!(
                    "{}:{}: name the issue, {todo}(#12)",
                    source.path,
                    index + 1
                ));
            }
            wrong.extend(
                never
                    .iter()
                    .filter(|word| has_word(line, word))
                    .map(|word| format!("{}:{}: {word} was left behind", source.path, index + 1)),
            );
        }
    }
    none(&wrong);
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
    ];
    let mut wrong = Vec::new();
    for source in written() {
        for path in paths.iter().filter(|path| source.text.contains(**path)) {
            wrong.push(format!("{}: {path}", source.path));
        }
    }
    none(&wrong);
}

#[test]
fn no_file_holds_two_ideas() {
    // Tables: one idea however long.
    let tables = ["src/dicom/dictionary.rs", "src/model/transfer_syntax.rs"];
    let long = |source: &&Source| source.is_rust() && source.text.lines().count() > 600;
    let wrong: Vec<_> = [sources("src"), sources("tests")]
        .iter()
        .flatten()
        .filter(long)
        .filter(|source| !tables.contains(&&*source.path))
        .map(|source| format!("{}: over 600 lines; split it by idea", source.path))
        .collect();
    none(&wrong);
}

#[test]
fn words_are_found_whole() {
    assert!(has_word("use actix_web::web;", "actix_web"));
    assert!(!has_word("use utoipa_actix_web::scope;", "actix_web"));
    assert!(!has_word("asynchronous", "async"));
    assert!(has_word("Tag(0x0010, 0x0020)", "Tag(0x"));
}
