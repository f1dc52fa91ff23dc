//! `docs/kura.toml`: every key with its meaning and its default, written from the table and the struct.

use std::fmt::Write as _;

use super::{KEYS, Written};

/// The example file. What it sets is what holds without it; a key whose default depends on others is a comment.
pub fn example() -> String {
    let defaults = serde_json::to_value(Written::default()).unwrap_or_default();
    let mut text = "# Every key of kura with its default. Keys that are commented out have none of their own.\n\
                    # Made from src/config: KURA_BLESS=1 cargo test --test it tidy\n"
        .to_owned();
    let mut table = "";
    for key in KEYS {
        let (in_table, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if in_table != table {
            write!(text, "\n[{in_table}]").expect("a String takes everything");
            text.push('\n');
            table = in_table;
        }
        let value = match in_table {
            "" => &defaults[name],
            _ => &defaults[in_table][name],
        };
        let line = if value.is_null() {
            format!("# {name} = …   # default: {}", key.default.replace('`', ""))
        } else {
            // Texts, numbers and booleans are written alike in JSON and TOML.
            format!("{name} = {value}")
        };
        writeln!(text, "\n# {}\n{line}", key.meaning.replace('`', "")).expect("a String");
    }
    text
}
