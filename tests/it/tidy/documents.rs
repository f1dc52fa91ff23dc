//! Documents that are made from tables, and links between documents.

use std::fmt::Write as _;
use std::fs;

use kura::config::KEYS;
use kura::dicom::codec;
use kura::dicom::dictionary::{Matching, Returned, TABLE};
use kura::model::Level;
use kura::model::transfer_syntax::{Pixels, TransferSyntax};
use kura::telemetry::metrics::{METRICS, Metric};

use super::{is_blessed, none, read, root, sources};

/// Compares the part of `path` between the marks of `name` with `expected`, or rewrites it when blessed.
fn check(path: &str, name: &str, expected: &str) {
    let text = read(path);
    let (begin, end) = (
        format!("<!-- begin {name} -->\n"),
        format!("<!-- end {name} -->\n"),
    );
    let (head, rest) = text.split_once(&begin).expect("a mark for the beginning");
    let (found, tail) = rest.split_once(&end).expect("a mark for the end");
    if is_blessed() {
        let text = format!("{head}{begin}{expected}{end}{tail}");
        fs::write(root().join(path), text).expect("the repository can be written");
        return;
    }
    assert_eq!(
        found, expected,
        "{path} is behind: KURA_BLESS=1 cargo test tidy"
    );
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Study => "study",
        Level::Series => "series",
        Level::Instance => "instance",
    }
}

fn matching(matching: Matching) -> &'static str {
    match matching {
        Matching::Uid => "exact, list",
        Matching::Code => "wildcard, list",
        Matching::Text => "wildcard",
        Matching::Name => "person name",
        Matching::Date => "date range",
        Matching::Time => "time range",
        Matching::Number => "number, list",
        Matching::None => "not matched",
    }
}

fn returned(returned: Returned) -> &'static str {
    match returned {
        Returned::OrEmpty => "always",
        Returned::IfKnown => "if known",
        Returned::OnRequest => "on request",
    }
}

/// Documents share files, so what is rewritten is rewritten by one test.
#[test]
fn documents_say_what_the_tables_say() {
    let mut keys =
        "| level | tag | keyword | VR | matching | returned |\n| --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for row in TABLE {
        writeln!(
            keys,
            "| {} | ({:04X},{:04X}) | {} | {} | {} | {} |",
            level(row.level),
            row.tag.group(),
            row.tag.element(),
            row.keyword,
            row.vr.to_string(),
            matching(row.matching),
            returned(row.returned)
        )
        .unwrap();
    }
    check("docs/conformance.md", "query keys", &keys);

    let mut syntaxes = "| UID | name | stored frames leave as | for any syntax | decoded | made |\n| --- | --- | --- | --- | --- | --- |\n".to_owned();
    for syntax in TransferSyntax::all() {
        let frames = match syntax.pixels {
            Pixels::Native | Pixels::EncapsulatedNative | Pixels::DeflatedFrames => {
                "`application/octet-stream`, Explicit VR Little Endian".to_owned()
            }
            Pixels::Frames => format!("`{}`, as stored", syntax.media_type),
            Pixels::Video => format!("`{}`, whole stream only", syntax.media_type),
        };
        let yes = |is: bool| if is { "yes" } else { "no" };
        let any = TransferSyntax::of(kura::http::dicomweb::sent_for_any(syntax)).unwrap();
        let any = if any == syntax { "as stored" } else { any.name };
        writeln!(
            syntaxes,
            "| {} | {} | {frames} | {any} | {} | {} |",
            syntax.uid,
            syntax.name,
            yes(codec::can_decode(syntax)),
            yes(codec::encodable().any(|it| it == syntax) || syntax.uid == "1.2.840.10008.1.2.1"),
        )
        .unwrap();
    }
    check("docs/conformance.md", "transfer syntaxes", &syntaxes);

    let mut settings =
        "| key | environment | default | what it does |\n| --- | --- | --- | --- |\n".to_owned();
    for key in KEYS {
        writeln!(
            settings,
            "| `{}` | `{}` | {} | {} |",
            key.name,
            key.env(),
            key.default,
            key.meaning
        )
        .unwrap();
    }
    check("docs/operations.md", "settings", &settings);

    let mut metrics =
        "| metric | kind | labels | what it says |\n| --- | --- | --- | --- |\n".to_owned();
    for metric in METRICS {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        let Metric {
            name,
            labels,
            meaning,
            ..
        } = metric;
        writeln!(metrics, "| `{name}` | {kind} | {labels} | {meaning} |").unwrap();
    }
    check("docs/operations.md", "metrics", &metrics);

    let (path, example) = ("docs/kura.toml", kura::config::example());
    if is_blessed() {
        fs::write(root().join(path), example).expect("the repository can be written");
    } else {
        assert_eq!(
            read(path),
            example,
            "{path} is behind: KURA_BLESS=1 cargo test tidy"
        );
    }
}

/// Names of metrics stand as literals where they are counted; each has a row in the table.
#[test]
fn every_metric_is_in_the_table() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        for name in source
            .live_code()
            .split('"')
            .filter(|part| part.starts_with("kura_"))
        {
            if !METRICS.iter().any(|metric| metric.name == name) {
                wrong.push(format!(
                    "{}: {name} is not in the table of metrics",
                    source.path
                ));
            }
        }
    }
    none(&wrong);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents = sources("docs");
    for path in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        documents.extend(sources(path));
    }
    let mut wrong = Vec::new();
    for document in &documents {
        let folder = document.path.rsplit_once('/').map_or("", |(at, _)| at);
        for part in document.text.split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap_or_default();
            let is_foreign = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !is_foreign && !root().join(folder).join(target).exists() {
                wrong.push(format!("{}: {target} is not there", document.path));
            }
        }
    }
    none(&wrong);
}
