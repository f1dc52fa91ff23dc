//! Which conditions of a search can be led by the pieces of texts (`index/parts.rs`), and whether they should be.
//!
//! Few names: the pieces lead to their studies, which are then sorted. Many names: the newest studies are looked through
//! until a page is full, which is soon; sorting all of them would not be. Counting never sorts, so it is always led.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query as Sql, SelectStatement};

use crate::dicom::query::{Match, NameTest, Query, Test};
use crate::error::Result;
use crate::index::parts::{Kind, Lead, parts_words, texts_with};
use crate::index::row::{failed, get, unsigned};
use crate::index::{Index, columns};
use crate::model::FacilityId;

/// How many texts lead a page at most.
const FEW: u64 = 1000;

const WILDCARDS: [char; 2] = ['*', '?'];

/// What leads a search.
#[derive(Debug, Default)]
pub(super) struct Narrow {
    /// Conditions that hold for every result, by an index.
    pub(super) all: Vec<Expr>,
    /// Those of them that a page in order should be led by.
    pub(super) few: Vec<Expr>,
}

/// Finds what leads a search of the studies of `owner`.
pub(super) async fn narrow(index: &Index, owner: FacilityId, query: &Query) -> Result<Narrow> {
    let mut narrow = Narrow::default();
    if query.study.is_some() {
        return Ok(narrow);
    }
    for (kind, lead) in query.matches.iter().filter_map(lead) {
        let texts = texts_with(owner, kind, &lead);
        let known = Expr::col(("s", kind.column())).in_subquery(texts.clone());
        if !are_many(index, texts).await? {
            narrow.few.push(known.clone());
        }
        narrow.all.push(known);
    }
    Ok(narrow)
}

async fn are_many(index: &Index, mut texts: SelectStatement) -> Result<bool> {
    texts.limit(FEW.saturating_add(1));
    let count = Sql::select()
        .expr_as(Expr::cust("COUNT(*)"), "n")
        .from_subquery(texts, "texts")
        .take();
    let row = index.reader.query_one(&count).await.map_err(failed)?;
    let found = row.map_or(Ok(0), |row| unsigned(get(&row, "n")?))?;
    Ok(found > FEW)
}

/// The kind of text that a condition looks into, and what is known of a word of every match.
fn lead(wanted: &Match) -> Option<(Kind, Lead)> {
    match (wanted.row.tag, &wanted.test) {
        (columns::PATIENT_NAME, Test::Name(name)) => {
            let longest = leads_of_name(name).into_iter().max_by_key(Lead::weight)?;
            Some((Kind::Name, longest))
        }
        // From its beginning on, a number is a range of its own index.
        (columns::PATIENT_ID, Test::Like(patterns)) => match patterns.as_slice() {
            [pattern] if pattern.starts_with(WILDCARDS) => {
                let key = columns::key(pattern);
                let runs = key.split(WILDCARDS).filter(|run| !run.is_empty());
                let longest = runs.max_by_key(|run| run.chars().count())?;
                Some((Kind::Number, Lead::Inside(longest.to_owned())))
            }
            _ => None,
        },
        _ => None,
    }
}

fn leads_of_name(name: &NameTest) -> Vec<Lead> {
    match name {
        NameTest::Any(pattern) => leads(pattern),
        NameTest::Groups(patterns) => patterns.iter().flatten().flat_map(|p| leads(p)).collect(),
        NameTest::Fuzzy(tokens) => {
            // A token that holds what parts words is known by its first word.
            let first = |token: &String| leads(&format!("{token}*")).into_iter().next();
            tokens.iter().filter_map(first).collect()
        }
    }
}

/// What a pattern for a group says about the words of it.
fn leads(pattern: &str) -> Vec<Lead> {
    let mut leads = Vec::new();
    for word in pattern.split(parts_words) {
        let mut runs = word.split(WILDCARDS);
        let first = runs.next().unwrap_or_default();
        let mut has_wildcard = false;
        for run in runs {
            has_wildcard = true;
            if !run.is_empty() {
                leads.push(Lead::Inside(run.to_owned()));
            }
        }
        if !first.is_empty() {
            leads.push(if has_wildcard {
                Lead::Start(first.to_owned())
            } else {
                Lead::Word(first.to_owned())
            });
        }
    }
    leads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_led_by_its_words() {
        let check =
            |pattern: &str, expected: &[Lead]| assert_eq!(leads(pattern), expected, "{pattern}");
        let word = |run: &str| Lead::Word(run.to_owned());
        let start = |run: &str| Lead::Start(run.to_owned());
        let inside = |run: &str| Lead::Inside(run.to_owned());
        check("YAMADA*", &[start("YAMADA")]);
        check("*YAMADA*", &[inside("YAMADA")]);
        check("DOE^JOHN", &[word("DOE"), word("JOHN")]);
        check(
            "SM?TH^J*N",
            &[inside("TH"), start("SM"), inside("N"), start("J")],
        );
        check("*", &[]);
        check("?田*", &[inside("田")]);
        check("*DA^TA*", &[inside("DA"), start("TA")]);
    }
}
