//! Readers of foreign bytes, fed what nobody meant to send: the seeds of `fuzz/corpus/` and small files of the shared corpus,
//! each as it is and bent at random places, always the same ones. `cargo +nightly fuzz run TARGET` goes on from the same seeds.

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::harness::corpus;
use crate::harness::load::Random;

/// For one target, at least.
const INPUTS: usize = 5_000;
/// What computes much gets a fifth of it.
const SLOW: [&str; 2] = ["codec", "picture"];
/// The longest seed that is bent.
const SHORT: u64 = 20_000;

#[test]
fn readers_of_foreign_bytes_take_anything() {
    let mut random = Random::seeded();
    for (name, target) in targets::ALL {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for (seed, bytes) in &seeds {
            feed(name, *target, seed, bytes);
        }
        let least = if SLOW.contains(name) {
            INPUTS / 5
        } else {
            INPUTS
        };
        let inputs = least.max(seeds.len() * 10);
        for input in 0..inputs {
            let (seed, bytes) = &seeds[input % seeds.len()];
            feed(name, *target, seed, &bend(bytes.clone(), &mut random));
        }
        println!("{name}: {} seeds, {inputs} inputs", seeds.len());
    }
}

fn feed(name: &str, target: targets::Target, seed: &str, bytes: &[u8]) {
    let fate = catch_unwind(AssertUnwindSafe(|| target(bytes)));
    if fate.is_err() {
        let kept = std::env::temp_dir().join(format!("kura-fuzz-{name}"));
        std::fs::write(&kept, bytes).unwrap();
        panic!("{name}: bent from {}, kept as {}", seed, kept.display());
    }
}

/// What is kept for a target, and for files what is short in the shared corpus; each with its name.
fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut seeds: Vec<_> = std::fs::read_dir(kept)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect();
    if name == "scan" {
        let files = corpus::manifest().unwrap_or_default();
        let files = files
            .iter()
            .filter(|file| file.path.metadata().unwrap().len() < SHORT);
        // The first byte of an input says how the file is cut.
        seeds.extend(files.map(|file| (file.file.clone(), [b"\x40", &*file.bytes()].concat())));
    }
    seeds.sort();
    seeds
}

/// Some bytes changed, taken out, put in twice, or cut off.
fn bend(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let below =
        |random: &mut Random, len: usize| usize::try_from(random.next(len.max(1) as u64)).unwrap();
    for _ in 0..=random.next(4) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = below(random, bytes.len());
        let end = (at + 1 + below(random, 16)).min(bytes.len());
        match random.next(6) {
            0 => bytes[at] = random.next(256).to_le_bytes()[0],
            1 => bytes[at] ^= 1 << random.next(8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let twice = bytes[at..end].to_vec();
                bytes.splice(at..at, twice);
            }
            4 => bytes[at..end].fill(0xFF),
            _ => bytes.truncate(at + 1),
        }
    }
    bytes
}
