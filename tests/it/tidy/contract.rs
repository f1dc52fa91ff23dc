//! Rows of the contracts and the tests named after them.
//!
//! A test belongs to a row when its name begins with the row's id: `t21_…`, `sh_3_4_…`; `f45_f50_…` belongs to two, as does
//! `mint_n01_m14_…`, whose ids are those of MINT.
//! Rows without a test stand in `pending.txt`, which may only shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{Source, is_blessed, none, read, root, sources};

const PENDING: &str = "tests/it/pending.txt";

/// Rows that want a test: must and should.
fn rows() -> BTreeSet<String> {
    let text = read("tests/it/contract_rows.txt");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((id, level)) = line.split_once(' ') else {
            assert!(line.is_empty(), "contract_rows.txt: {line}");
            continue;
        };
        assert!(["must", "should", "may"].contains(&level), "{line}");
        assert_eq!(rows.insert(id.to_owned(), level), None, "{id} twice");
    }
    rows.retain(|_, level| *level != "may");
    rows.into_keys().collect()
}

/// The names of the test functions of a file.
fn tests_of(source: &Source) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.text.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.contains("test]") || line.contains("test(");
        } else if let Some((_, rest)) = line.split_once("fn ") {
            if is_test {
                names.extend(rest.split(['(', '<']).next());
            }
            is_test = false;
        } else if !line.starts_with("//") {
            is_test = false;
        }
    }
    names
}

/// The rows a test is named after.
fn rows_named(test: &str, rows: &BTreeSet<String>) -> Vec<String> {
    let words: Vec<_> = test.split('_').collect();
    if let ["mint", of_mint @ ..] = words.as_slice() {
        let ids = of_mint
            .iter()
            .map(|word| format!("MINT-{}", word.to_uppercase()));
        return ids.take_while(|id| rows.contains(id)).collect();
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let (id, len) = if *word == "sh" {
            // The longest row: `sh_3_7_1_…` is row 1 of the table 3.7, `sh_3_4_404_…` is 3.4.
            let numbers = words[at + 1..]
                .iter()
                .take_while(|word| word.bytes().all(|b| b.is_ascii_digit()))
                .count();
            let row = |count: usize| format!("SH-{}", words[at + 1..=at + count].join("."));
            let fits = (1..=numbers)
                .rev()
                .find(|count| rows.contains(&row(*count)));
            fits.map_or((String::new(), 0), |count| (row(count), count + 1))
        } else {
            // `f64` further on is the Rust type.
            let id = word.to_uppercase();
            (
                if at > 0 && id == "F64" {
                    String::new()
                } else {
                    id
                },
                1,
            )
        };
        if !rows.contains(&id) {
            break;
        }
        found.push(id);
        at += len;
    }
    found
}

/// The listed rows, and how many rows the contracts had when the list was written.
fn listed() -> (usize, BTreeSet<String>) {
    let text = read(PENDING);
    let mut lines = text.lines();
    let count = lines
        .next()
        .and_then(|line| line.strip_prefix("# Rows without a test, of "))
        .and_then(|line| line.split(' ').next()?.parse().ok())
        .expect("the first line counts the rows");
    let lines: Vec<_> = lines.map(str::to_owned).collect();
    assert!(lines.is_sorted(), "{PENDING} is not sorted");
    (count, lines.into_iter().collect())
}

#[test]
fn the_list_of_rows_without_a_test_is_true() {
    let rows = rows();
    let tested: BTreeSet<_> = [sources("src"), sources("tests")]
        .iter()
        .flatten()
        .filter(|source| source.is_rust())
        .flat_map(tests_of)
        .flat_map(|name| rows_named(name, &rows))
        .collect();
    let without: BTreeSet<_> = rows.difference(&tested).cloned().collect();
    let (known, listed) = listed();
    let grown: Vec<_> = without.difference(&listed).cloned().collect();
    if is_blessed() {
        let new_rows = rows.len().saturating_sub(known);
        assert!(
            grown.len() <= new_rows,
            "the list may only shrink, write tests for {}",
            grown.join(" ")
        );
        let lines: Vec<_> = without.into_iter().collect();
        let head = format!("# Rows without a test, of {} in the contracts", rows.len());
        let text = format!("{head}\n{}\n", lines.join("\n"));
        fs::write(root().join(PENDING), text).unwrap();
        return;
    }
    let gone = listed.difference(&without).map(|id| {
        format!("{PENDING} lists {id}, which has a test now: KURA_BLESS=1 cargo test tidy")
    });
    let missing = grown
        .iter()
        .map(|id| format!("{id} has neither a test nor a line in {PENDING}"));
    none(&gone.chain(missing).collect::<Vec<_>>());
}

#[test]
fn names_of_tests_are_read_as_meant() {
    let ids = [
        "T21", "F45", "F50", "F64", "J12", "Q101", "SH-3.4", "SH-3.7.1", "MINT-N01", "MINT-F64",
    ];
    let rows: BTreeSet<_> = ids.into_iter().map(str::to_owned).collect();
    for (test, expected) in [
        ("t21_same_bytes_again_is_success", vec!["T21"]),
        ("f45_f50_only_the_needed_bytes", vec!["F45", "F50"]),
        ("q101_one_row", vec!["Q101"]),
        ("sh_3_4_404_has_one_body", vec!["SH-3.4"]),
        ("sh_3_7_1_own_study", vec!["SH-3.7.1"]),
        ("j12_f64_is_shortest", vec!["J12"]),
        ("f64_big_endian_is_swapped", vec!["F64"]),
        ("mint_n01_f64_in_xml", vec!["MINT-N01", "MINT-F64"]),
        ("mint_t21_is_another", vec![]),
        ("shows_nothing", vec![]),
        ("t2_is_no_row", vec![]),
        ("any_t21_in_between", vec![]),
    ] {
        assert_eq!(rows_named(test, &rows), expected, "{test}");
    }
    let source = Source {
        path: String::new(),
        text: "#[test]\n/// why\nfn t21_a() {}\nfn t22_b() {}\n#[tokio::test(flavor = 1)]\nasync fn t23_c() {}\n#[cfg(test)]\nmod x {\nfn t24_d() {}\n}"
            .to_owned(),
    };
    assert_eq!(tests_of(&source), ["t21_a", "t23_c"]);
}
