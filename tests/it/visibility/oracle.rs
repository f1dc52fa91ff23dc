//! The predicate against plain set logic: small made-up worlds on one server, and a few hundred questions whose answers
//! [`World`] knows without a database (sharing.md 3.1, 3.3).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::callers::Forge;
use crate::harness::{Answer, Server, instance};

const FACILITIES: [&str; 3] = ["F001", "F002", "F003"];
const SCOPES: [&str; 3] = ["dicom.read", "report.read", "dose.read"];
const WORLDS: usize = 14;
const SEARCHES: usize = 240;
const LOOKS: usize = 160;

/// A class of sharing.md 3.1: a SOP Class of it, its modality, and the scopes one of which reads it.
struct Class {
    sop_uid: &'static str,
    modality: &'static str,
    readable_by: &'static [&'static str],
}

const fn class(
    sop_uid: &'static str,
    modality: &'static str,
    readable_by: &'static [&'static str],
) -> Class {
    Class {
        sop_uid,
        modality,
        readable_by,
    }
}

/// Image, structured report, encapsulated report, dose, presentation state, and something else.
const CLASSES: [Class; 6] = [
    class("1.2.840.10008.5.1.4.1.1.2", "CT", &["dicom.read"]),
    class("1.2.840.10008.5.1.4.1.1.88.33", "SR", &["report.read"]),
    class("1.2.840.10008.5.1.4.1.1.104.1", "DOC", &["report.read"]),
    class(
        "1.2.840.10008.5.1.4.1.1.88.67",
        "DX",
        &["dose.read", "dicom.read"],
    ),
    class("1.2.840.10008.5.1.4.1.1.11.1", "PR", &["dicom.read"]),
    class("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", &["dicom.read"]),
];

/// One instance of the made-up worlds.
#[derive(Clone, Debug)]
struct Object {
    owner: usize,
    study: String,
    series: String,
    instance: String,
    class: usize,
    patient: String,
}

/// Everything that was stored.
#[derive(Default)]
struct World(Vec<Object>);

/// Who asks.
struct Subject {
    facility: usize,
    scopes: Vec<&'static str>,
}

/// Whether a search shows an object at all.
type Filter<'a> = dyn Fn(&Object) -> bool + 'a;

impl World {
    fn own<'a>(&'a self, q: &Subject) -> impl Iterator<Item = &'a Object> {
        let facility = q.facility;
        self.0.iter().filter(move |x| x.owner == facility)
    }

    /// `READ` with the series as the unit: every class in it can be read.
    fn reads(&self, q: &Subject, x: &Object) -> bool {
        self.own(q)
            .filter(|y| y.study == x.study && y.series == x.series)
            .all(|y| {
                CLASSES[y.class]
                    .readable_by
                    .iter()
                    .any(|scope| q.scopes.contains(scope))
            })
    }

    fn readable<'a>(&'a self, q: &'a Subject) -> Vec<&'a Object> {
        self.own(q).filter(|x| self.reads(q, x)).collect()
    }

    /// 404, 403 or 200 and the instances, for the objects that `named` chooses.
    fn look(&self, q: &Subject, named: &Filter<'_>) -> (u16, BTreeSet<String>) {
        let there: Vec<_> = self.own(q).filter(|x| named(x)).collect();
        let readable: BTreeSet<_> = there
            .iter()
            .filter(|x| self.reads(q, x))
            .map(|x| x.instance.clone())
            .collect();
        match (there.is_empty(), readable.is_empty()) {
            (true, _) => (404, readable),
            (false, true) => (403, readable),
            (false, false) => (200, readable),
        }
    }
}

/// xorshift: the same worlds for everybody.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    fn subject(&mut self) -> Subject {
        let scopes = SCOPES.into_iter().filter(|_| self.below(3) > 0).collect();
        Subject {
            facility: self.below(FACILITIES.len()),
            scopes,
        }
    }
}

/// A world of its own UIDs: up to three studies, some of which two facilities hold, each with its own series.
fn make(random: &mut Random, number: usize, world: &mut World) {
    for study in 0..=random.below(3) {
        let first = random.below(FACILITIES.len());
        let owners = if random.below(3) == 0 {
            vec![first, (first + 1) % FACILITIES.len()]
        } else {
            vec![first]
        };
        for owner in owners {
            for series in 0..=random.below(3) {
                // Most series are of one class; some are of two, which DICOM forbids and senders do.
                let class = random.below(CLASSES.len());
                let other = if random.below(5) == 0 {
                    random.below(CLASSES.len())
                } else {
                    class
                };
                for instance in 0..=random.below(2) {
                    world.0.push(Object {
                        owner,
                        study: format!("9.{number}.{study}"),
                        series: format!("9.{number}.{study}.{series}"),
                        instance: format!("9.{number}.{study}.{series}.{instance}"),
                        class: if instance == 0 { class } else { other },
                        patient: format!("W{number}S{study}"),
                    });
                }
            }
        }
    }
}

impl Object {
    fn file(&self) -> Vec<u8> {
        let class = &CLASSES[self.class];
        let file = instance("9")
            .uids(&self.study, &self.series, &self.instance)
            .text(0x0008_0016, "UI", class.sop_uid)
            .modality(class.modality)
            .text(0x0010_0020, "LO", &self.patient)
            .text(0x0008_0080, "LO", FACILITIES[self.owner]);
        if self.class == 0 {
            file.file()
        } else {
            file.without(0x7FE0_0010).file()
        }
    }

    fn uid(&self, level: usize) -> &str {
        [&self.study, &self.series, &self.instance][level]
    }
}

/// The tags of the UIDs of study, series and instance.
const UIDS: [&str; 3] = ["0020000D", "0020000E", "00080018"];

fn rows(answer: &Answer, what: &str) -> Vec<Value> {
    match answer.status {
        200 => answer.json().as_array().unwrap().clone(),
        204 => Vec::new(),
        status => panic!("{what}: {status} {}", answer.text()),
    }
}

fn text(row: &Value, tag: &str) -> String {
    row[tag]["Value"][0].as_str().unwrap_or_default().to_owned()
}

/// What a row of a study says must be counted over what the caller reads.
fn check_study(row: &Value, readable: &[&Object], what: &str) {
    let study = text(row, "0020000D");
    let mine: Vec<_> = readable.iter().filter(|x| x.study == study).collect();
    let series: BTreeSet<_> = mine.iter().map(|x| &x.series).collect();
    assert_eq!(
        row["00201206"]["Value"][0],
        series.len(),
        "{what}: series of {study}"
    );
    assert_eq!(
        row["00201208"]["Value"][0],
        mine.len(),
        "{what}: instances of {study}"
    );
    let shown: BTreeSet<String> = row["00080061"]["Value"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|m| m.as_str().unwrap().to_owned())
        .collect();
    // A series has the modality of whichever of its instances came first.
    let possible: BTreeSet<String> = mine
        .iter()
        .map(|x| CLASSES[x.class].modality.to_owned())
        .collect();
    assert!(
        shown.is_subset(&possible),
        "{what}: {shown:?} of {possible:?}"
    );
    assert!(!shown.is_empty(), "{what}");
}

/// One random search at one of the six resources.
async fn search(server: &Server, forge: &Forge, world: &World, random: &mut Random) {
    let q = random.subject();
    let some = world.0[random.below(world.0.len())].clone();
    let level = random.below(3);
    let bound = random.below(level + 1);
    let (path, named): (String, Box<Filter<'_>>) = match (level, bound) {
        (0, _) => ("/studies".to_owned(), Box::new(|_| true)),
        (1, 0) => ("/series".to_owned(), Box::new(|_| true)),
        (2, 0) => ("/instances".to_owned(), Box::new(|_| true)),
        (1, _) => (
            format!("/studies/{}/series", some.study),
            Box::new(|x| x.study == some.study),
        ),
        (_, 1) => (
            format!("/studies/{}/instances", some.study),
            Box::new(|x| x.study == some.study),
        ),
        _ => (
            format!("/studies/{}/series/{}/instances", some.study, some.series),
            Box::new(|x| x.study == some.study && x.series == some.series),
        ),
    };
    let modality = CLASSES[some.class].modality;
    let (filter, matches): (String, Box<Filter<'_>>) = match random.below(4) {
        0 => (
            format!("&PatientID={}", some.patient),
            Box::new(|x| x.patient == some.patient),
        ),
        1 => (
            format!("&StudyInstanceUID={}", some.study),
            Box::new(|x| x.study == some.study),
        ),
        2 if level == 0 => (format!("&ModalitiesInStudy={modality}"), Box::new(|_| true)),
        _ => (String::new(), Box::new(|_| true)),
    };
    let what = format!(
        "{path}?{filter} by {} with {:?}",
        FACILITIES[q.facility], q.scopes
    );
    let token = forge.of(FACILITIES[q.facility], &q.scopes.join(" "));
    let answer = server
        .get(&format!("{path}?limit=5000{filter}"), &token)
        .await;
    if !q.scopes.contains(&"dicom.read") {
        assert_eq!(answer.status, 403, "{what}");
        return;
    }
    if bound > 0 && world.look(&q, &*named).0 == 404 {
        assert_eq!(answer.status, 404, "{what}");
        return;
    }
    let readable = world.readable(&q);
    let rows = rows(&answer, &what);
    let shown: BTreeSet<_> = rows.iter().map(|row| text(row, UIDS[level])).collect();
    assert_eq!(shown.len(), rows.len(), "{what}: twice");
    let expected: BTreeSet<String> = readable
        .iter()
        .filter(|x| named(x) && matches(x))
        .map(|x| x.uid(level).to_owned())
        .collect();
    if filter.contains("Modalities") {
        // Of a series with two modalities one counts; but a series that is hidden never makes its study match.
        let possible: BTreeSet<String> = readable
            .iter()
            .filter(|x| CLASSES[x.class].modality == modality)
            .map(|x| x.study.clone())
            .collect();
        assert!(
            shown.is_subset(&possible),
            "{what}: {shown:?} of {possible:?}"
        );
    } else {
        assert_eq!(shown, expected, "{what}");
        let total = answer.header("x-total-count");
        assert!(
            total.is_empty() || total == rows.len().to_string(),
            "{what}: {total}"
        );
    }
    for row in &rows {
        if level == 0 {
            check_study(row, &readable, &what);
        }
        let owner = text(row, "00080080");
        assert!(
            owner.is_empty() || owner == FACILITIES[q.facility],
            "{what}: {owner}'s"
        );
    }
}

/// Metadata of a random study, series or instance.
async fn look(server: &Server, forge: &Forge, world: &World, random: &mut Random) -> u16 {
    let q = random.subject();
    let x = world.0[random.below(world.0.len())].clone();
    let (path, named): (String, Box<Filter<'_>>) = match random.below(3) {
        0 => (
            format!("/studies/{}", x.study),
            Box::new(|y| y.study == x.study),
        ),
        1 => (
            format!("/studies/{}/series/{}", x.study, x.series),
            Box::new(|y| y.series == x.series),
        ),
        _ => (
            format!(
                "/studies/{}/series/{}/instances/{}",
                x.study, x.series, x.instance
            ),
            Box::new(|y| y.instance == x.instance),
        ),
    };
    let what = format!("{path} by {} with {:?}", FACILITIES[q.facility], q.scopes);
    let token = forge.of(FACILITIES[q.facility], &q.scopes.join(" "));
    let (status, expected) = world.look(&q, &*named);
    let metadata = server.get(&format!("{path}/metadata"), &token).await;
    assert_eq!(metadata.status, status, "{what}: {}", metadata.text());
    let all = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
    let files = server.get_as(&path, &token, all).await;
    assert_eq!(files.status, status, "{what}: {}", files.text());
    if status == 200 {
        let rows = metadata.json().as_array().unwrap().clone();
        let shown: BTreeSet<_> = rows.iter().map(|row| text(row, "00080018")).collect();
        assert_eq!(
            (shown.len(), shown),
            (rows.len(), expected.clone()),
            "{what}"
        );
        for row in &rows {
            assert_eq!(
                text(row, "00080080"),
                FACILITIES[q.facility],
                "{what}: of another's copy"
            );
        }
        assert_eq!(files.parts().len(), expected.len(), "{what}");
    }
    status
}

#[tokio::test]
async fn sh_3_1_sh_3_3_sh_3_7_18_the_predicate_is_plain_set_logic() {
    let server = Server::start();
    let forge = Forge::new(server.data.path(), "F001");
    let mut random = Random(0x5EED_2026);
    let mut world = World::default();
    for number in 1..=WORLDS {
        make(&mut random, number, &mut world);
    }
    for (owner, facility) in FACILITIES.iter().enumerate() {
        let theirs = world.0.iter().filter(|x| x.owner == owner);
        let files: Vec<_> = theirs.map(Object::file).collect();
        server
            .stored(&forge.of(facility, "dicom.write"), &files)
            .await;
    }
    for _ in 0..SEARCHES {
        search(&server, &forge, &world, &mut random).await;
    }
    let mut statuses = BTreeMap::new();
    for _ in 0..LOOKS {
        *statuses
            .entry(look(&server, &forge, &world, &mut random).await)
            .or_insert(0) += 1;
    }
    println!(
        "{} instances in {WORLDS} worlds: {SEARCHES} searches, {LOOKS} looks {statuses:?}",
        world.0.len()
    );
    assert!(
        statuses.values().all(|count| *count > 10) && statuses.len() == 3,
        "{statuses:?}"
    );
}
