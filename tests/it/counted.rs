//! What the hot paths cost, in instructions (valgrind's callgrind) and on fixed inputs: a count does not depend on what else
//! the machine does. It may not grow by more than a fifth beyond `counted.txt`; `KURA_BLESS=1` writes that file anew.
//!
//! Counted is the code as the tests are built, which shows what was added to a path and not what the optimiser makes of it;
//! times of the optimised program are for `scripts/bench`.

use std::fmt::Write as _;
use std::hint::black_box;
use std::process::Command;

use bytes::Bytes;
use kura::dicom::collect::Collector;
use kura::dicom::frames::FrameTable;
use kura::dicom::query::Query;
use kura::dicom::scan::{Limits, Scanner};
use kura::dicom::{conformance, extract, json};
use kura::http::accept::{Accept, Offer};
use kura::http::multipart::{Event, Reader};
use kura::model::{AttributeSet, Level, TransferSyntax};

use crate::harness::{instance, multipart};

/// A hot path: prepares its input, and gives what is done over and over.
type Path = fn() -> Box<dyn Fn()>;

const PATHS: [(&str, Path); 6] = [
    ("store_body", store_body),
    ("store_scan", store_scan),
    ("store_head", store_head),
    ("frame_place", frame_place),
    ("accept", accept),
    ("query", query),
];

/// How far a path may be from what is written down.
const TOLERANCE: f64 = 0.2;
/// How often a path is taken in the longer of two runs; the shorter takes it once, and the difference is the path alone.
const TIMES: u64 = 11;

/// A slice with some 250 elements before 64 kB of pixels.
fn slice() -> Vec<u8> {
    let mut slice = instance("1.2.3")
        .text(0x0009_0010, "LO", "KURA_COUNTED")
        .bytes(0x7FE0_0010, "OW", vec![7; 65_536]);
    for element in 0..230u32 {
        slice = slice.text(0x0009_1000 + element, "LO", "acquisition value");
    }
    slice.file()
}

fn scanned(file: &[u8]) -> Collector {
    let (mut scanner, mut collector) = (Scanner::new(Limits::default()), Collector::new());
    for piece in file.chunks(65_536) {
        scanner.feed(piece, &mut collector).unwrap();
    }
    scanner.finish(&mut collector).unwrap();
    collector
}

/// A body of ten instances, in the pieces that come from a socket.
fn store_body() -> Box<dyn Fn()> {
    let (content_type, body) = multipart::write(&vec![slice(); 10]);
    let boundary = content_type.split("boundary=").nth(1).unwrap();
    let boundary = boundary.trim_matches('"').to_owned();
    let pieces: Vec<Bytes> = body.chunks(32_768).map(Bytes::copy_from_slice).collect();
    Box::new(move || {
        let mut reader = Reader::new(&boundary);
        let (mut pieces, mut bytes) = (pieces.iter(), 0);
        loop {
            match reader.next_event().unwrap() {
                Event::Data(data) => bytes += data.len(),
                Event::NeedMore => reader.push(pieces.next().unwrap().clone()),
                Event::Part(_) | Event::PartEnd => {}
                Event::End => break,
            }
        }
        assert!(black_box(bytes) > 650_000);
    })
}

/// A file read to its end.
fn store_scan() -> Box<dyn Fn()> {
    let file = slice();
    Box::new(move || drop(black_box(scanned(&file))))
}

/// What is kept of a file that was read: judged, indexed, its frames found, its head written.
fn store_head() -> Box<dyn Fn()> {
    let file = slice();
    Box::new(move || {
        let collector = scanned(&file);
        conformance::check(collector.head(), None).unwrap();
        let head = collector.finish();
        let syntax = TransferSyntax::of(&head.meta.transfer_syntax_uid);
        black_box(FrameTable::build(&head, syntax, &mut Vec::new()));
        let at = json::At {
            instance_url: "http://localhost/i",
            extras: &AttributeSet::default(),
        };
        let mut written = Vec::new();
        json::write_head(&head, &at, &mut written);
        black_box((written, extract::indexed(&head)));
    })
}

/// The place of a frame in an object of 5,000, from what is stored of it.
fn frame_place() -> Box<dyn Fn()> {
    let mut items = vec![0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0];
    for frame in 0..5_000u32 {
        items.extend_from_slice(&[0xFE, 0xFF, 0x00, 0xE0]);
        let length = 8 + frame % 64 * 2;
        items.extend_from_slice(&length.to_le_bytes());
        items.extend(std::iter::repeat_n(7, length as usize));
    }
    items.extend_from_slice(&[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    let file = instance("1.2.3")
        .text(0x0028_0008, "IS", "5000")
        .encapsulated("1.2.840.10008.1.2.4.80", &items)
        .file();
    let head = scanned(&file).finish();
    let syntax = TransferSyntax::of(&head.meta.transfer_syntax_uid);
    let table = FrameTable::build(&head, syntax, &mut Vec::new()).unwrap();
    let stored = table.encode();
    Box::new(move || {
        let table = FrameTable::decode(&stored).unwrap();
        assert!(black_box(table.frame(4_321)).is_some());
    })
}

/// What a viewer asks for, against what is there.
fn accept() -> Box<dyn Fn()> {
    let offers = [
        Offer::multipart("application/dicom").in_syntax("1.2.840.10008.1.2.1"),
        Offer::multipart("image/jls")
            .in_syntax("1.2.840.10008.1.2.4.80")
            .stored(),
        Offer::multipart("application/octet-stream").in_syntax("1.2.840.10008.1.2.1"),
    ];
    let header = "multipart/related; type=image/jls; transfer-syntax=1.2.840.10008.1.2.4.80; transfer-syntax=*";
    Box::new(move || {
        let accept = Accept::parse(header, "");
        black_box(accept.choose(&offers).map(Offer::content_type).unwrap());
    })
}

/// The study list of a viewer.
fn query() -> Box<dyn Fn()> {
    let text = "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090\
        &StudyDate=19700102-20260101&PatientName=*DOE*&ModalitiesInStudy=CT";
    Box::new(move || {
        black_box(Query::parse(Level::Study, None, None, text).unwrap());
    })
}

/// Not a test of its own: what is run under valgrind, as often as it is told.
#[test]
#[ignore = "run by hot_paths_cost_what_they_cost"]
fn work() {
    let told = |name: &str| std::env::var_os(name).unwrap().into_string().unwrap();
    let (name, times) = (told("KURA_COUNTED"), told("KURA_TIMES"));
    let times: u64 = times.parse().unwrap();
    let (_, path) = PATHS.iter().find(|(path, _)| *path == name).unwrap();
    let once = path();
    for _ in 0..times {
        once();
    }
}

/// Instructions of a run that takes a path so many times.
fn instructions(name: &str, times: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "counted::work", "--ignored", "--test-threads=1"])
        .env("KURA_COUNTED", name)
        .env("KURA_TIMES", times.to_string())
        .output()
        .expect("scripts/setup --tests installs valgrind");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let line = said.lines().find(|line| line.contains("Collected :"));
    let count = line.and_then(|line| line.split(':').next_back()?.trim().parse().ok());
    count.unwrap_or_else(|| panic!("no count in {said}"))
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let output = output.expect("the compiler that built this is here");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn hot_paths_cost_what_they_cost() {
    let has_valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    if !has_valgrind && !is_ci {
        println!("no valgrind: scripts/setup --tests installs it");
        return;
    }
    let mut counts = String::new();
    let mut grown = Vec::new();
    let kept = include_str!("counted.txt");
    for (name, _) in PATHS {
        let (many, one) = (instructions(name, TIMES), instructions(name, 1));
        let count = (many - one) / (TIMES - 1);
        writeln!(counts, "{name} {count}").unwrap();
        let line = kept.lines().find_map(|line| line.strip_prefix(name));
        let wanted: u64 = line.map_or(0, |line| line.trim().parse().unwrap());
        #[expect(clippy::cast_precision_loss, reason = "a percentage")]
        let change = count as f64 / wanted as f64 - 1.0;
        println!("{name}: {count} instructions, {:+.1} %", change * 100.0);
        if change.abs() > TOLERANCE {
            grown.push(format!("{name}: {wanted} before, {count} now"));
        }
    }
    let compiler = compiler();
    if std::env::var_os("KURA_BLESS").is_some() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/counted.txt");
        std::fs::write(file, format!("{compiler}\n{counts}")).unwrap();
    } else if kept.lines().next() == Some(&compiler) {
        assert!(
            grown.is_empty(),
            "more than a fifth off; if it is meant, KURA_BLESS=1 writes tests/it/counted.txt anew: {grown:#?}"
        );
    } else {
        println!("counted by another compiler, {compiler}: not compared");
    }
}
