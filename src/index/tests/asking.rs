//! Searches as the tests make them.

use super::world::{ALL, World, access, instance, pack, row};
use crate::dicom::query::{Fields, Identity, Match, NameTest, Query, Test};
use crate::index::search::Page;
use crate::model::{Facility, Level};

pub(super) fn query(level: Level) -> Query {
    Query {
        level,
        study: None,
        series: None,
        matches: Vec::new(),
        stored: Vec::new(),
        fields: Fields::default(),
        order: Vec::new(),
        zone: None,
        limit: 100,
        offset: 0,
        count: false,
        cursor: None,
        empty_is_list: false,
        identity: Identity::default(),
        warnings: Vec::new(),
    }
}

pub(super) fn with(level: Level, keyword: &str, test: Test) -> Query {
    let mut query = query(level);
    query.matches.push(Match {
        row: row(keyword),
        test,
    });
    query
}

pub(super) async fn search(world: &World, f: &Facility, query: &Query) -> Page {
    let access = access(f, ALL);
    world
        .index
        .catalog(&access)
        .search(query, None)
        .await
        .unwrap()
}

/// The UIDs of a level that a search finds.
pub(super) async fn uids(world: &World, f: &Facility, query: &Query) -> Vec<String> {
    let rows = search(world, f, query).await.rows;
    rows.into_iter()
        .map(|found| match query.level {
            Level::Study => found.study.to_string(),
            Level::Series => found.series.unwrap().to_string(),
            Level::Instance => found.instance.unwrap().to_string(),
        })
        .collect()
}

/// One condition, and the UIDs that it finds.
pub(super) type Case<'a> = (&'a str, Test, &'a [&'a str]);

pub(super) async fn check((world, f): &(World, Facility), level: Level, cases: &[Case<'_>]) {
    for (keyword, test, found) in cases {
        let query = with(level, keyword, test.clone());
        assert_eq!(uids(world, f, &query).await, *found, "{keyword} {test:?}");
    }
}

pub(super) fn one_of(texts: &[&str]) -> Test {
    Test::OneOf(some(texts))
}

pub(super) fn like(texts: &[&str]) -> Test {
    Test::Like(some(texts))
}

fn some(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

pub(super) fn range(from: Option<&str>, to: Option<&str>) -> Test {
    Test::Range(from.map(str::to_owned), to.map(str::to_owned))
}

pub(super) fn any_name(pattern: &str) -> Test {
    Test::Name(NameTest::Any(pattern.to_owned()))
}

/// One study an instance, numbered from 1, each with the attributes given.
pub(super) async fn studies(of: &[&[(&str, &str)]]) -> (World, Facility) {
    let world = World::new().await;
    let f = world.facility("F001").await;
    let packs: Vec<_> = (1..)
        .zip(of)
        .map(|(n, attributes)| {
            let new = instance(&format!("{n}.1.1")).series(&format!("{n}.1"));
            let new = attributes
                .iter()
                .fold(new, |new, (key, text)| new.with(key, text));
            pack(&n.to_string(), vec![new])
        })
        .collect();
    world.store(&f, &packs).await;
    (world, f)
}
