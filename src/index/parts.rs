//! Searching inside texts: the words of every name that an owner has, and pieces of words and of patient numbers, by which
//! a pattern finds them (decision 0007).
//!
//! `search_text` leads from a word to the names in which it stands, `search_piece` from a piece to the words. The pieces of
//! a word are its endings, cut to [`LENGTH`] characters, so that whatever stands in a word stands at the beginning of a
//! piece: `*MADA*` is the range of pieces that begin with `MADA`, one kanji is as good as eight letters, and an order of
//! bytes is all that is asked of the database. A word and a name go in once an owner, however many studies have them. A
//! patient number is one word, and its own text.
//!
//! What is found is a candidate. The condition on the study itself decides.

use std::collections::BTreeSet;

use sea_orm::sea_query::{Cond, Expr, ExprTrait, OnConflict, Query as Sql, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::columns;
use super::row::{failed, get};
use crate::error::Result;
use crate::model::{AttributeSet, FacilityId, StudyId};

/// Characters of a piece. Longer ones would find hardly less that is wrong, and weigh more.
const LENGTH: usize = 8;

/// Pieces in one statement.
const ROWS: usize = 256;

/// Entries that one statement looks up: each is a key of its own to the planner.
const LOOKED_UP: usize = 32;

/// A row of one of the two tables: the kind, and a pair of texts.
type Entry = (Kind, String, String);

/// A table and the columns of its pair.
struct Table {
    name: &'static str,
    first: &'static str,
    second: &'static str,
}

const TEXTS: Table = Table {
    name: "search_text",
    first: "word",
    second: "text",
};

const PIECES: Table = Table {
    name: "search_piece",
    first: "piece",
    second: "word",
};

/// The kinds of text that are searched inside, as the database numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The folded groups of a patient's name.
    Name = 1,
    /// A patient number in upper case.
    Number = 2,
}

impl Kind {
    /// The column of `study` that holds the text.
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::Name => "name_key",
            Self::Number => "patient_id_key",
        }
    }

    fn as_number(self) -> i32 {
        match self {
            Self::Name => 1,
            Self::Number => 2,
        }
    }
}

/// The folded groups of a name as one text; `None` without a name.
pub(super) fn name_key(attributes: &AttributeSet) -> Option<String> {
    let groups = columns::folded_name(attributes);
    (!groups.iter().all(String::is_empty)).then(|| columns::cut(groups.join("=")))
}

/// Whether a character parts the words of a name.
pub(super) fn parts_words(c: char) -> bool {
    matches!(c, '^' | ' ' | ',' | '\\' | '=' | '、')
}

/// What a pattern says about one word of the texts that it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// It is this one.
    Word(String),
    /// It begins so.
    Start(String),
    /// This stands in it.
    Inside(String),
}

impl Lead {
    /// How much it says.
    pub(super) fn weight(&self) -> usize {
        let (Self::Word(run) | Self::Start(run) | Self::Inside(run)) = self;
        run.chars().count()
    }
}

fn words(kind: Kind, text: &str) -> BTreeSet<&str> {
    match kind {
        Kind::Name => text.split(parts_words).filter(|w| !w.is_empty()).collect(),
        Kind::Number => BTreeSet::from([text]),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LENGTH).collect()
}

/// All pieces of a word.
fn pieces(word: &str) -> BTreeSet<String> {
    word.char_indices()
        .map(|(at, _)| cut(&word[at..]))
        .collect()
}

/// The texts of an owner in which a word is as `lead` says, as a statement; a text may come more than once.
pub(super) fn texts_with(owner: FacilityId, kind: Kind, lead: &Lead) -> SelectStatement {
    let mut texts = match (kind, lead) {
        (Kind::Number, Lead::Word(run) | Lead::Start(run) | Lead::Inside(run)) => {
            return words_with(owner, kind, run);
        }
        (Kind::Name, _) => of(owner, kind, "search_text", "t"),
    };
    texts.column(("t", "text"));
    let word = Expr::col(("t", "word"));
    texts.and_where(match lead {
        Lead::Word(run) => word.eq(run.as_str()),
        Lead::Start(run) => begins_with(&word, run),
        Lead::Inside(run) => word.in_subquery(words_with(owner, kind, run)),
    });
    texts
}

/// The rows of an owner and a kind.
fn of(owner: FacilityId, kind: Kind, table: &'static str, alias: &'static str) -> SelectStatement {
    Sql::select()
        .from_as(table, alias)
        .and_where(Expr::col((alias, "owner_facility_id")).eq(owner.0))
        .and_where(Expr::col((alias, "kind")).eq(kind.as_number()))
        .take()
}

/// The words that have a piece which begins with `run`.
fn words_with(owner: FacilityId, kind: Kind, run: &str) -> SelectStatement {
    let mut words = of(owner, kind, "search_piece", "p");
    words.column(("p", "word"));
    let piece = Expr::col(("p", "piece"));
    if run.chars().count() >= LENGTH {
        words.and_where(piece.eq(cut(run)));
    } else {
        words.and_where(begins_with(&piece, run));
    }
    words
}

/// A prefix as a range, which an index on the column answers (stack.md 8).
pub(super) fn begins_with(column: &Expr, prefix: &str) -> Expr {
    let from = column.clone().gte(prefix);
    match successor(prefix) {
        Some(end) => from.and(column.clone().lt(end)),
        None => from,
    }
}

/// The texts of a study that are searched inside.
pub(super) fn texts(attributes: &AttributeSet) -> Vec<(Kind, String)> {
    let name = name_key(attributes).map(|text| (Kind::Name, text));
    let number = columns::patient_number(attributes).map(|text| (Kind::Number, text));
    name.into_iter().chain(number).collect()
}

/// Makes texts findable. They come in order: two transactions with the same texts wait for each other, not in a circle.
/// What is there already is looked up first, all at once: most stores bring nothing new, and so write nothing here.
pub(super) async fn add(
    tx: &DatabaseTransaction,
    owner: FacilityId,
    texts: &BTreeSet<(Kind, String)>,
) -> Result<()> {
    // A text is there if it is under the first of its words, a word if it is under its first piece.
    let first_word = |(kind, text): &(Kind, String)| {
        let word = words(*kind, text).pop_first()?;
        (*kind == Kind::Name).then(|| (*kind, word.to_owned(), text.clone()))
    };
    let wanted: BTreeSet<Entry> = texts.iter().filter_map(first_word).collect();
    let there = those_there(tx, owner, &TEXTS, &wanted).await?;
    let is_new = |text: &&(Kind, String)| first_word(text).is_none_or(|it| !there.contains(&it));
    let new: Vec<&(Kind, String)> = texts.iter().filter(is_new).collect();
    let names = new.iter().filter(|(kind, _)| *kind == Kind::Name);
    let rows = names.flat_map(|(kind, text)| {
        let words = words(*kind, text).into_iter();
        words.map(|word| (*kind, word.to_owned(), text.clone()))
    });
    insert(tx, owner, &TEXTS, rows.collect()).await?;

    let words = new.iter().flat_map(|(kind, text)| {
        let words = words(*kind, text).into_iter();
        words.map(|word| (*kind, cut(word), word.to_owned()))
    });
    let words: BTreeSet<Entry> = words.collect();
    let there = those_there(tx, owner, &PIECES, &words).await?;
    let rows = words.difference(&there).flat_map(|(kind, _, word)| {
        let pieces = pieces(word).into_iter();
        pieces.map(|piece| (*kind, piece, word.clone()))
    });
    insert(tx, owner, &PIECES, rows.collect()).await
}

/// The texts of a study whose row is there.
pub(super) async fn of_study(
    tx: &DatabaseTransaction,
    study: StudyId,
) -> Result<Vec<(Kind, String)>> {
    let kinds = [Kind::Name, Kind::Number];
    let select = Sql::select()
        .columns(kinds.map(Kind::column))
        .from("study")
        .and_where(Expr::col("study_id").eq(study.0))
        .take();
    let mut texts = Vec::new();
    if let Some(row) = tx.query_one(&select).await.map_err(failed)? {
        for kind in kinds {
            let text: Option<String> = get(&row, kind.column())?;
            texts.extend(text.map(|text| (kind, text)));
        }
    }
    Ok(texts)
}

/// Drops what leads to texts that no study of the owner has any more.
pub(super) async fn forget(
    tx: &DatabaseTransaction,
    owner: FacilityId,
    texts: Vec<(Kind, String)>,
) -> Result<()> {
    // Whoever stores holds the key of the owner's row: nobody is just about to rely on what goes.
    let alone = Sql::select()
        .column("facility_id")
        .from("facility")
        .and_where(Expr::col("facility_id").eq(owner.0))
        .lock_exclusive()
        .take();
    tx.query_one(&alone).await.map_err(failed)?;
    let of = |kind: Kind| {
        [
            ("owner_facility_id", Expr::val(owner.0)),
            ("kind", Expr::val(kind.as_number())),
        ]
    };
    for (kind, text) in texts {
        let [by_owner, _] = of(kind);
        if is_there(
            tx,
            "study",
            [by_owner, (kind.column(), text.as_str().into())],
        )
        .await?
        {
            continue;
        }
        for word in words(kind, &text) {
            let [by_owner, by_kind] = of(kind);
            let key = [by_owner, by_kind, ("word", word.into())];
            if kind == Kind::Name {
                let [a, b, c] = key.clone();
                delete(tx, "search_text", [a, b, c, ("text", text.as_str().into())]).await?;
                if is_there(tx, "search_text", key.clone()).await? {
                    continue;
                }
            }
            for piece in pieces(word) {
                let [a, b, c] = key.clone();
                delete(tx, "search_piece", [a, b, ("piece", piece.into()), c]).await?;
            }
        }
    }
    Ok(())
}

async fn delete<const N: usize>(
    tx: &DatabaseTransaction,
    table: &'static str,
    key: [(&'static str, Expr); N],
) -> Result<()> {
    let mut delete = Sql::delete();
    delete.from_table(table);
    for (column, value) in key {
        delete.and_where(Expr::col(column).eq(value));
    }
    tx.execute(&delete).await.map_err(failed)?;
    Ok(())
}

async fn is_there<const N: usize>(
    tx: &DatabaseTransaction,
    table: &'static str,
    key: [(&'static str, Expr); N],
) -> Result<bool> {
    let mut row = Sql::select();
    row.expr(Expr::cust("1")).from(table).limit(1);
    for (column, value) in key {
        row.and_where(Expr::col(column).eq(value));
    }
    Ok(tx.query_one(&row).await.map_err(failed)?.is_some())
}

/// Which of `entries` are there.
async fn those_there(
    tx: &DatabaseTransaction,
    owner: FacilityId,
    table: &Table,
    entries: &BTreeSet<Entry>,
) -> Result<BTreeSet<Entry>> {
    let mut there = BTreeSet::new();
    let entries: Vec<&Entry> = entries.iter().collect();
    for chunk in entries.chunks(LOOKED_UP) {
        let mut any = Cond::any();
        for (kind, first, second) in chunk {
            let key = Cond::all()
                .add(Expr::col("owner_facility_id").eq(owner.0))
                .add(Expr::col("kind").eq(kind.as_number()))
                .add(Expr::col(table.first).eq(first.as_str()))
                .add(Expr::col(table.second).eq(second.as_str()));
            any = any.add(key);
        }
        let select = Sql::select()
            .columns(["kind", table.first, table.second])
            .from(table.name)
            .cond_where(any)
            .take();
        for row in &tx.query_all(&select).await.map_err(failed)? {
            let kind: i32 = get(row, "kind")?;
            let kind = [Kind::Name, Kind::Number]
                .into_iter()
                .find(|it| it.as_number() == kind);
            if let Some(kind) = kind {
                there.insert((kind, get(row, table.first)?, get(row, table.second)?));
            }
        }
    }
    Ok(there)
}

/// Adds rows that may be there.
async fn insert(
    tx: &DatabaseTransaction,
    owner: FacilityId,
    table: &Table,
    rows: BTreeSet<Entry>,
) -> Result<()> {
    let rows: Vec<Entry> = rows.into_iter().collect();
    for chunk in rows.chunks(ROWS) {
        let mut insert = Sql::insert();
        insert
            .into_table(table.name)
            .columns(["owner_facility_id", "kind", table.first, table.second])
            .on_conflict(OnConflict::new().do_nothing().to_owned());
        for (kind, first, second) in chunk {
            insert.values_panic([
                owner.0.into(),
                kind.as_number().into(),
                first.as_str().into(),
                second.as_str().into(),
            ]);
        }
        tx.execute(&insert).await.map_err(failed)?;
    }
    Ok(())
}

/// The first text, compared scalar by scalar, behind all texts that begin with `prefix`.
pub(super) fn successor(prefix: &str) -> Option<String> {
    let mut scalars: Vec<char> = prefix.chars().collect();
    while let Some(last) = scalars.pop() {
        let next = match last {
            // The scalar behind the surrogates, which are none.
            '\u{D7FF}' => Some('\u{E000}'),
            _ => char::from_u32(u32::from(last).saturating_add(1)),
        };
        if let Some(next) = next {
            scalars.push(next);
            return Some(scalars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_in_a_word_begins_a_piece() {
        let all = pieces("YAMADATAROU");
        for run in ["YAMADA", "MADA", "TAROU", "U", "YAMADATA"] {
            assert!(all.iter().any(|piece| piece.starts_with(run)), "{run}");
        }
        assert!(all.iter().all(|piece| piece.chars().count() <= LENGTH));
        assert_eq!(pieces("山田").len(), 2);
        let name = words(Kind::Name, "YAMADA^TAROU=山田^太郎 JR=");
        assert_eq!(
            name.into_iter().collect::<Vec<_>>(),
            ["JR", "TAROU", "YAMADA", "太郎", "山田"]
        );
        assert_eq!(words(Kind::Number, "A 1").len(), 1);
    }

    #[test]
    fn the_successor_of_a_prefix_ends_its_range() {
        let check = |prefix: &str, end: Option<&str>| assert_eq!(successor(prefix).as_deref(), end);
        check("YAMADA", Some("YAMADB"));
        check("山田", Some("山由"));
        check("A\u{10FFFF}", Some("B"));
        check("\u{D7FF}", Some("\u{E000}"));
        check("\u{10FFFF}", None);
        check("", None);
    }
}
