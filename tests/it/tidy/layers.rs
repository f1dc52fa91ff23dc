//! The layers block and the map of ARCHITECTURE.md against the source.

use super::{Source, has_word, none, read, sources};

/// The rows of the block, highest first: name and modules.
fn layers() -> Vec<(String, Vec<String>)> {
    let text = read("ARCHITECTURE.md");
    let block = text.split("```layers\n").nth(1).expect("a layers block");
    let block = block.split("```").next().unwrap_or_default();
    let rows = block.lines().map(|line| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let name = words.next().expect("a row has a name");
        (name, words.collect())
    });
    rows.collect()
}

fn row_of(layers: &[(String, Vec<String>)], module: &str) -> Option<usize> {
    layers
        .iter()
        .position(|(_, modules)| modules.iter().any(|name| name == module))
}

/// `["dicom", "scan", "header"]` of `src/dicom/scan/header.rs`; empty for the crate root.
fn module_path(path: &str) -> Vec<&str> {
    let inner = path
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod");
    if inner == "lib" {
        return Vec::new();
    }
    inner.split('/').collect()
}

/// The names that stand directly under the crate root in the paths of `code`, with their lines. `depth` is the number of
/// modules the file lies in, so that enough `super`s are known for what they are; unit tests lie one deeper, so what such
/// a path names counts only if it `is_module` of the root.
fn root_names(code: &str, depth: usize, is_module: impl Fn(&str) -> bool) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let is_part = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        if !is_part {
            let names = heads(&code[at + "crate::".len()..]);
            found.extend(names.into_iter().map(|name| (at, name)));
        }
    }
    for (at, _) in code.match_indices("super::") {
        let mut rest = &code[at..];
        let mut climbed = 0;
        while let Some(shorter) = rest.strip_prefix("super::") {
            rest = shorter;
            climbed += 1;
        }
        if climbed >= depth && !code[..at].ends_with("super::") {
            let names = heads(rest).into_iter().filter(|name| is_module(name));
            found.extend(names.map(|name| (at, name)));
        }
    }
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    found
        .into_iter()
        .map(|(at, name)| (line(at), name))
        .collect()
}

/// The first name of each path in `a::b` or `{a::b, c::{d, e}, F}`.
fn heads(rest: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let head = |text: &str| text.chars().take_while(|c| is_name(*c)).collect::<String>();
    let Some(group) = rest.strip_prefix('{') else {
        return vec![head(rest)];
    };
    let (mut depth, mut start, mut names) = (1, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            names.push(head(group[start..at].trim_start()));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// What is wrong with naming `name` in a module of `own`.
fn climbs(layers: &[(String, Vec<String>)], own: &str, name: &str) -> Option<String> {
    // Types at the crate root are those of the floor.
    let is_module = name.starts_with(|c: char| c.is_lowercase());
    if !is_module || name == own {
        return None;
    }
    let from = row_of(layers, own)?;
    let Some(to) = row_of(layers, name) else {
        return Some(format!("crate::{name} is in no row"));
    };
    let sideways = from == to && layers[from].0 == "concerns";
    (to < from || sideways).then(|| {
        format!(
            "{own} ({}) must not know {name} ({})",
            layers[from].0, layers[to].0
        )
    })
}

#[test]
fn imports_only_point_down() {
    let layers = layers();
    let mut wrong = Vec::new();
    for source in sources("src") {
        let path = module_path(&source.path);
        let Some(own) = path.first() else { continue };
        if row_of(&layers, own).is_none() {
            wrong.push(format!("{}: {own} is in no row", source.path));
        }
        let is_module = |name: &str| row_of(&layers, name).is_some();
        for (line, name) in root_names(&source.code(), path.len(), is_module) {
            wrong.extend(
                climbs(&layers, own, &name).map(|what| format!("{}:{line}: {what}", source.path)),
            );
        }
    }
    none(&wrong);
}

#[test]
fn the_rule_itself_is_read_as_meant() {
    let layers = layers();
    for (own, name, fits) in [
        ("http", "archive", true),
        ("archive", "http", false),
        ("dicom", "index", false),
        ("index", "dicom", true),
        ("sharing", "dose", false),
        ("model", "dicom", false),
        ("error", "model", false),
        ("dicom", "nowhere", false),
        ("dicom", "Error", true),
    ] {
        assert_eq!(climbs(&layers, own, name).is_none(), fits, "{own} {name}");
    }
    let code = "use crate::{\n model::{Tag, VR},\n Error, http::x};\nuse super::super::index::Y;";
    let is_module = |name: &str| row_of(&layers, name).is_some();
    let names: Vec<_> = root_names(code, 2, is_module)
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(names, ["model", "Error", "http", "index"]);
    let inside = "use super::index; use super::super::scan;";
    assert!(root_names(inside, 2, is_module).is_empty());
}

/// A name that only some places may use.
struct Fence {
    word: &'static str,
    only_in: &'static [&'static str],
    /// Whether unit tests may use it anywhere.
    free_in_tests: bool,
}

const fn fence(word: &'static str, only_in: &'static [&'static str]) -> Fence {
    Fence {
        word,
        only_in,
        free_in_tests: false,
    }
}

static FENCES: &[Fence] = &[
    fence("sea_orm", &["src/index/"]),
    fence("sqlx", &["src/index/"]),
    fence("opendal", &["src/storage/"]),
    // The start row runs the server that `http` describes.
    fence("actix_web", &["src/http/", "src/app.rs", "src/main.rs"]),
    fence("dicom_ul", &["src/dimse/"]),
    Fence {
        word: "on_duty",
        only_in: &["src/worker", "src/cli/", "src/auth/access.rs"],
        free_in_tests: true,
    },
    Fence {
        word: "on_errand",
        only_in: &["src/worker", "src/auth/access.rs"],
        free_in_tests: true,
    },
];

/// Tags written out where an attribute has a name: outside the formats it is a row of the table or a constant.
/// The generator of sample studies writes data sets element by element and is exempt.
fn literal_tags(source: &Source) -> Vec<String> {
    if ["src/dicom/", "src/dose/", "src/cli/sample"]
        .iter()
        .any(|at| source.path.starts_with(at))
    {
        return Vec::new();
    }
    let code = source.live_code();
    let is_literal = |line: &str| has_word(line, "Tag(0x") && !has_word(line, "const");
    let lines = code
        .lines()
        .enumerate()
        .filter(|(_, line)| is_literal(line));
    lines
        .map(|(at, _)| format!("{}:{}: give the tag a name", source.path, at + 1))
        .collect()
}

/// What formats and words must do without: they take bytes and values and give values.
static NEVER_IN_RULES: &[&str] = &["async", "await", "tokio", "futures", "std::fs", "std::net"];

#[test]
fn what_only_some_may_name_stays_with_them() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        for fence in FENCES {
            let allowed = fence.only_in.iter().any(|at| source.path.starts_with(at));
            let code = if fence.free_in_tests {
                source.live_code()
            } else {
                source.code()
            };
            if !allowed && has_word(&code, fence.word) {
                let places = fence.only_in.join(", ");
                wrong.push(format!("{}: {} only in {places}", source.path, fence.word));
            }
        }
        wrong.extend(literal_tags(&source));
        if source.path.starts_with("src/dicom/") || source.path.starts_with("src/model/") {
            let code = source.code();
            for word in NEVER_IN_RULES.iter().filter(|word| has_word(&code, word)) {
                wrong.push(format!("{}: no {word} here", source.path));
            }
        }
    }
    none(&wrong);
}

/// The rows of the map, ``| `src/dicom/` | head, scan | … |``: folder and files.
fn map() -> Vec<(String, Vec<String>)> {
    let text = read("ARCHITECTURE.md");
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `src/")?.split('|').map(str::trim);
        let folder = format!("src/{}", cells.next()?.trim_end_matches('`'));
        let files = cells.next()?.split(',').map(|name| name.trim().to_owned());
        Some((folder, files.collect()))
    });
    rows.collect()
}

#[test]
fn the_map_names_every_folder_and_file() {
    let map = map();
    // A module is a file, or a folder with a row of its own.
    let is_named = |source: &Source| {
        let (folder, _) = source.path.rsplit_once('/').expect("below src");
        let (folder, stem) = (format!("{folder}/"), source.stem());
        let own = format!("{folder}{stem}/");
        map.iter().any(|(at, files)| {
            *at == own || *at == folder && (stem == "mod" || files.iter().any(|file| file == stem))
        })
    };
    let wrong: Vec<_> = sources("src")
        .iter()
        .filter(|source| !source.is_test() && !is_named(source))
        .map(|source| format!("{}: not in the map of ARCHITECTURE.md", source.path))
        .collect();
    none(&wrong);
}
