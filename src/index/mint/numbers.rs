//! Numbers of binary items: given when a study is first read, in one transaction, once and for all (MINT P21 to P24).
//!
//! How many items an instance has is found in what is stored of it, which takes its time; so that is kept first, instance by
//! instance, and whoever finds nothing left to count gives the numbers. Both can be done twice, and by several at a time.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement, Value};
use uuid::Uuid;

use super::MintStudy;
use crate::dicom::mint::numbers::Numbers;
use crate::error::{Error, Kind, Result};
use crate::index::Index;
use crate::index::catalog::place::{head_place, read_place};
use crate::index::row::{failed, get};
use crate::index::timing::commit;
use crate::model::{InstanceId, StudyId};
use crate::storage::{BlobRef, MetaPlace};

/// The highest number of an item (MINT 10.1, `bid`).
const MOST_ITEMS: i64 = i32::MAX as i64;

/// An instance whose items have not been counted. It is for counting alone: nothing of it may be shown.
#[derive(Debug)]
pub struct Uncounted {
    id: InstanceId,
    version: i32,
    /// Transfer Syntax UID as stored.
    pub transfer_syntax_uid: String,
    /// How its frames are found; `None` where there is nothing to cut.
    pub frame_table: Option<Vec<u8>>,
    /// Number of Frames, where the object says it.
    pub number_of_frames: Option<u32>,
    /// Where its file lies.
    pub blob: BlobRef,
    /// Where its head lies.
    pub metadata_object: String,
    /// The place of the head in it.
    pub head: MetaPlace,
    /// The numbers that an update gave its items.
    numbers: Option<Numbers>,
}

/// What was counted of an instance.
#[derive(Debug)]
pub struct Counted {
    id: InstanceId,
    version: i32,
    count: i32,
    table: Option<Vec<u8>>,
    given: Given,
}

/// What becomes of numbers that an update gave, when the items have been counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Given {
    /// It gave none, or they hold as they are.
    Kept,
    /// They follow each other, so that the first tells all.
    Told,
    /// There are not so many items: they get other numbers.
    Dropped,
}

/// What instances are written together by: count, version, table, and what becomes of numbers.
type Alike = (i32, i32, Option<Vec<u8>>, Given);

impl Uncounted {
    /// So many items, and where they lie if the frame table does not say it.
    ///
    /// # Errors
    /// `Kind::Internal` beyond 2³¹ items.
    pub fn counted(&self, count: u32, table: Option<Vec<u8>>) -> Result<Counted> {
        let given = match &self.numbers {
            Some(numbers) if numbers.count() != count => Given::Dropped,
            Some(numbers) if numbers.are_consecutive() => Given::Told,
            Some(_) | None => Given::Kept,
        };
        let count = i32::try_from(count)
            .map_err(|error| Error::internal("an instance has more items than numbers", error))?;
        Ok(Counted {
            id: self.id,
            version: self.version,
            count,
            table,
            given,
        })
    }
}

impl Index {
    /// At most `limit` instances of a visible study that live and whose items were not counted.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn uncounted(&self, study: &MintStudy, limit: u64) -> Result<Vec<Uncounted>> {
        let copy = Expr::col(("b", "pack_id"))
            .equals(("i", "pack_id"))
            .and(Expr::col(("b", "state")).eq("present"));
        let page = Query::select()
            .columns(["instance_id", "instance_version", "transfer_syntax_uid"].map(|it| ("i", it)))
            .columns(["frame_table", "number_of_frames", "pack_offset"].map(|it| ("i", it)))
            .columns(["byte_count", "meta_offset", "meta_length"].map(|it| ("i", it)))
            .columns(["meta_json_start", "meta_json_length", "item_numbers"].map(|it| ("i", it)))
            .columns([("b", "object"), ("b", "metadata_object")])
            .from_as("instance", "i")
            .join_as(JoinType::InnerJoin, "pack_copy", "b", copy)
            .and_where(Expr::col(("i", "study_id")).eq(study.at.study.0))
            .and_where(Expr::col(("i", "state")).eq("live"))
            .and_where(Expr::col(("i", "item_count")).is_null())
            // Heads that lie together are read together.
            .order_by(("b", "metadata_object"), Order::Asc)
            .order_by(("i", "meta_offset"), Order::Asc)
            .limit(limit)
            .take();
        let rows = self.reader.query_all(&page).await.map_err(failed)?;
        let uncounted = rows.iter().map(|row| {
            let frames: Option<i64> = get(row, "number_of_frames")?;
            let numbers: Option<Vec<u8>> = get(row, "item_numbers")?;
            Ok(Uncounted {
                id: InstanceId(get(row, "instance_id")?),
                version: get(row, "instance_version")?,
                transfer_syntax_uid: get(row, "transfer_syntax_uid")?,
                frame_table: get(row, "frame_table")?,
                number_of_frames: frames.and_then(|frames| u32::try_from(frames).ok()),
                blob: read_place(row)?,
                metadata_object: get(row, "metadata_object")?,
                head: head_place(row)?,
                numbers: numbers.as_deref().map(Numbers::decode).transpose()?,
            })
        });
        uncounted.collect()
    }

    /// Keeps what was counted. What became another object meanwhile stays uncounted.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn keep_counts(&self, study: &MintStudy, counted: Vec<Counted>) -> Result<()> {
        // Most instances have as many items as the others and no table: those are one statement.
        let mut alike: BTreeMap<Alike, Vec<Uuid>> = BTreeMap::new();
        for one in counted {
            let key = (one.count, one.version, one.table, one.given);
            alike.entry(key).or_default().push(one.id.0);
        }
        let tx = self.begin().await?;
        // Before its instances, as everywhere.
        tx.query_one(&hold(study.at.study)).await.map_err(failed)?;
        for ((count, version, table, given), instances) in alike {
            let mut keep = Query::update()
                .table("instance")
                .value("item_count", count)
                .value("item_table", table)
                .and_where(Expr::col("study_id").eq(study.at.study.0))
                .and_where(Expr::col("instance_id").is_in(instances))
                .and_where(Expr::col("instance_version").eq(version))
                .and_where(Expr::col("item_count").is_null())
                .take();
            if given != Given::Kept {
                keep.value("item_numbers", None::<Vec<u8>>);
            }
            if given == Given::Dropped {
                keep.value("first_item", None::<i32>);
            }
            tx.execute(&keep).await.map_err(failed)?;
        }
        commit(tx).await
    }

    /// Gives numbers to the items of all instances that have none, by series number, series UID, instance number and instance
    /// UID. `false` if some are not counted yet.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away, `Kind::Full` if there are no numbers left.
    pub async fn give_numbers(&self, study: &MintStudy) -> Result<bool> {
        let tx = self.begin().await?;
        let id = study.at.study;
        let row = tx.query_one(&hold(id)).await.map_err(failed)?;
        let row = row.ok_or_else(Error::not_found)?;
        let (version, mut next): (i32, i32) =
            (get(&row, "study_version")?, get(&row, "next_item")?);
        let is_first = get::<Option<i32>>(&row, "numbered_version")?.is_none();
        if is_first && next > 0 && are_crossed(&tx, id, next).await? {
            take_numbers(&tx, id).await?;
            next = 0;
        }
        let Some(total) = unnumbered(&tx, id).await? else {
            return Ok(false);
        };
        let after = i64::from(next).saturating_add(total);
        if after > MOST_ITEMS {
            return Err(Error::new(
                Kind::Full,
                "the study has no numbers left for items",
            ));
        }
        if total > 0 {
            number(&tx, id, next).await?;
        }
        let update = Query::update()
            .table("study")
            .value("next_item", after)
            .value("numbered_version", version)
            .and_where(Expr::col("study_id").eq(id.0))
            .take();
        tx.execute(&update).await.map_err(failed)?;
        commit(tx).await?;
        Ok(true)
    }
}

/// The row of a study, to be held until the transaction ends.
fn hold(study: StudyId) -> SelectStatement {
    Query::select()
        .columns(["study_version", "next_item", "numbered_version"])
        .from("study")
        .and_where(Expr::col("study_id").eq(study.0))
        .lock_exclusive()
        .take()
}

/// How many items have no number; `None` if there are instances that were not counted.
async fn unnumbered(tx: &DatabaseTransaction, study: StudyId) -> Result<Option<i64>> {
    let sum = Query::select()
        .expr_as(
            Expr::cust("CAST(COALESCE(SUM(CASE WHEN first_item IS NULL THEN item_count END), 0) AS BIGINT)"),
            "items",
        )
        .expr_as(Expr::cust("COUNT(*)"), "instances")
        .expr_as(Expr::cust("COUNT(item_count)"), "counted")
        .from("instance")
        .and_where(Expr::col("study_id").eq(study.0))
        .and_where(Expr::col("state").eq("live"))
        .take();
    let row = tx.query_one(&sum).await.map_err(failed)?;
    let row = row.ok_or_else(|| Error::new(Kind::Internal, "a sum has no row"))?;
    let (all, counted): (i64, i64) = (get(&row, "instances")?, get(&row, "counted")?);
    Ok((all == counted).then_some(get(&row, "items")?))
}

/// Whether numbers that came with a study (MINT U24) do not fit what was counted, since its document made items of other values.
async fn are_crossed(tx: &DatabaseTransaction, study: StudyId, next: i32) -> Result<bool> {
    let backend = tx.get_database_backend();
    let [first, second] = if backend == DbBackend::Sqlite {
        ["?1", "?2"]
    } else {
        ["$1", "$2"]
    };
    let sql = format!(
        "SELECT COUNT(*) AS crossed FROM (SELECT first_item + item_count AS past, \
             LEAD(first_item) OVER (ORDER BY first_item) AS upcoming FROM instance \
             WHERE study_id = {first} AND state = 'live' AND first_item IS NOT NULL AND item_count > 0) n \
         WHERE n.past > COALESCE(n.upcoming, {second})"
    );
    let values: [Value; 2] = [study.0.into(), next.into()];
    let select = Statement::from_sql_and_values(backend, sql, values);
    let row = tx.query_one_raw(select).await.map_err(failed)?;
    let row = row.ok_or_else(|| Error::new(Kind::Internal, "a count has no row"))?;
    Ok(get::<i64>(&row, "crossed")? > 0)
}

/// Takes the numbers that came with a study from its items again, and from those that were replaced since.
async fn take_numbers(tx: &DatabaseTransaction, study: StudyId) -> Result<()> {
    for table in ["instance", "instance_history"] {
        let update = Query::update()
            .table(table)
            .value("first_item", None::<i32>)
            .and_where(Expr::col("study_id").eq(study.0))
            .and_where(Expr::col("first_item").is_not_null())
            .take();
        tx.execute(&update).await.map_err(failed)?;
    }
    Ok(())
}

/// One statement for all instances: what stands before each in the order of the study is the sum over those before it.
async fn number(tx: &DatabaseTransaction, study: StudyId, next: i32) -> Result<()> {
    let backend = tx.get_database_backend();
    let [first, second, third] = if backend == DbBackend::Sqlite {
        ["?1", "?2", "?3"]
    } else {
        ["$1", "$2", "$3"]
    };
    let sql = format!(
        "UPDATE instance SET first_item = n.first_item FROM (SELECT i.instance_id, \
             CAST({first} + SUM(i.item_count) OVER (ORDER BY r.series_number, r.series_instance_uid, \
                 i.instance_number, i.sop_instance_uid ROWS UNBOUNDED PRECEDING) - i.item_count AS INTEGER) AS first_item \
             FROM instance i JOIN series r ON r.series_id = i.series_id \
             WHERE i.study_id = {second} AND i.state = 'live' AND i.first_item IS NULL) n \
         WHERE instance.study_id = {third} AND instance.instance_id = n.instance_id"
    );
    let values: [Value; 3] = [i64::from(next).into(), study.0.into(), study.0.into()];
    let update = Statement::from_sql_and_values(backend, sql, values);
    tx.execute_raw(update).await.map_err(failed)?;
    Ok(())
}
