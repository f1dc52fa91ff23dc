//! The change feed: the changes of a facility under numbers without gaps, in an order that does not change any more (MINT 16.9,
//! docs/decisions/0034).
//!
//! A store writes its change without a number. Who reads up to the end of the feed first numbers what is committed by then; the
//! row of the facility in `change_feed` is held meanwhile, so that a number is given once everything below it can be read. So
//! nothing ever appears behind a number that somebody has read, whatever transactions are still under way.

use sea_orm::sea_query::{Expr, ExprTrait, Order as By, Query};
use sea_orm::{ConnectionTrait, Statement};

use super::changes::read;
use crate::dicom::mint::answers::Numbered;
use crate::error::{Error, Kind, Result};
use crate::index::Catalog;
use crate::index::row::{failed, get, signed, study_uid, unsigned};
use crate::index::timing::commit;
use crate::model::FacilityId;

/// How many changes get their numbers in one transaction, apart from older changes of the same studies; no page is longer.
pub const NUMBERED_AT_ONCE: u64 = 1000;

/// A page of the feed.
#[derive(Debug)]
pub struct Page {
    /// The changes, in the order of their numbers. Of studies that the caller may not know of there are none, so that numbers
    /// may be missing.
    pub changes: Vec<Numbered>,
    /// The number up to which this page goes, and after which the next one begins.
    pub upto: u64,
    /// Whether there were more at that moment.
    pub has_more: bool,
}

/// The end of a facility's feed.
struct Head {
    /// The last number.
    seq: u64,
    /// Whether changes wait for a number.
    is_behind: bool,
}

impl Catalog<'_> {
    /// The changes of the caller's facility that follow the number `after`: as far as they are among the next `limit`, those
    /// that the caller may know of.
    ///
    /// # Errors
    /// `Kind::Gone` if `after` was never given, as after the restore of an older backup; `Kind::Unavailable` if the database does
    /// not answer.
    pub async fn feed(&self, after: u64, limit: u64) -> Result<Page> {
        let limit = Ord::min(limit, NUMBERED_AT_ONCE);
        let mut head = self.head().await?;
        if head.is_behind && after.saturating_add(limit) > head.seq {
            head = self.number_changes().await?;
        }
        if after > head.seq {
            let detail = "the archive has no such change any more: begin the feed anew";
            return Err(Error::new(Kind::Gone, detail));
        }
        let upto = Ord::min(after.saturating_add(limit), head.seq);
        let mut changes = Vec::new();
        if upto > after {
            let mut page = self.select_changes();
            page.columns([("c", "seq"), ("s", "study_instance_uid")])
                .and_where(Expr::col(("c", "owner_facility_id")).eq(self.access.facility_id().0))
                .and_where(Expr::col(("c", "seq")).gt(signed(after)?))
                .and_where(Expr::col(("c", "seq")).lte(signed(upto)?))
                .order_by(("c", "seq"), By::Asc);
            let rows = self.index.reader.query_all(&page).await.map_err(failed)?;
            let numbered = rows.iter().map(|row| {
                Ok(Numbered {
                    seq: unsigned(get(row, "seq")?)?,
                    study_instance_uid: study_uid(row)?,
                    change: read(row)?,
                })
            });
            changes = numbered.collect::<Result<_>>()?;
        }
        Ok(Page {
            changes,
            upto,
            has_more: upto < head.seq || head.is_behind,
        })
    }

    async fn head(&self) -> Result<Head> {
        let owner = self.access.facility_id().0;
        let of_facility = |table: &'static str| {
            let mut of = Query::select();
            of.from(table)
                .and_where(Expr::col("owner_facility_id").eq(owner));
            of
        };
        let last = of_facility("change_feed").column("last_seq").take();
        let waiting = of_facility("change")
            .expr(Expr::cust("1"))
            // As the index says it.
            .and_where(Expr::cust("seq IS NULL"))
            .take();
        let one = Query::select()
            .expr_as(last, "last_seq")
            .expr_as(Expr::exists(waiting), "is_behind")
            .take();
        let row = self.index.reader.query_one(&one).await.map_err(failed)?;
        let row = row.ok_or_else(|| Error::new(Kind::Internal, "a database without an answer"))?;
        Ok(Head {
            seq: unsigned(get::<Option<i64>>(&row, "last_seq")?.unwrap_or(0))?,
            is_behind: get(&row, "is_behind")?,
        })
    }

    /// Numbers the oldest changes of the caller's facility that have no number, so many that a page is full.
    async fn number_changes(&self) -> Result<Head> {
        let tx = self.index.begin().await?;
        let head = number(&tx, self.access.facility_id()).await?;
        commit(tx).await?;
        Ok(head)
    }
}

/// Takes the row of the facility, which is made if it is not there: of those who number, one at a time has it.
const HOLD: &str = "INSERT INTO change_feed (owner_facility_id, last_seq) VALUES ($1, 0) \
     ON CONFLICT (owner_facility_id) DO UPDATE SET last_seq = change_feed.last_seq RETURNING last_seq";

/// Numbers changes by their moments, but never one of a study before an older one of it: clocks of replicas differ, and a
/// transaction takes its moment before it waits for the study's row. So older changes of a study that is numbered come along.
const NUMBER: &str = "WITH oldest AS (\
         SELECT study_id, study_version FROM change WHERE owner_facility_id = $1 AND seq IS NULL \
         ORDER BY changed_at, study_id, study_version LIMIT $2), \
     upto AS (SELECT study_id, MAX(study_version) AS study_version FROM oldest GROUP BY study_id), \
     due AS (\
         SELECT c.study_id, c.study_version, \
             MAX(c.changed_at) OVER (PARTITION BY c.study_id ORDER BY c.study_version) AS due_at \
         FROM upto u JOIN change c ON c.study_id = u.study_id AND c.study_version <= u.study_version \
         WHERE c.seq IS NULL), \
     numbered AS (\
         SELECT study_id, study_version, ROW_NUMBER() OVER (ORDER BY due_at, study_id, study_version) AS n FROM due) \
     UPDATE change SET seq = $3 + n FROM numbered \
     WHERE change.study_id = numbered.study_id AND change.study_version = numbered.study_version";

async fn number<C: ConnectionTrait>(tx: &C, owner: FacilityId) -> Result<Head> {
    let backend = tx.get_database_backend();
    let hold = Statement::from_sql_and_values(backend, HOLD, [owner.0.into()]);
    let row = tx.query_one_raw(hold).await.map_err(failed)?;
    let row =
        row.ok_or_else(|| Error::new(Kind::Internal, "a row that was written is not there"))?;
    let last: i64 = get(&row, "last_seq")?;
    // On PostgreSQL this statement sees what was committed by now, not what was when the row was waited for.
    let limit = signed(NUMBERED_AT_ONCE)?;
    let number = Statement::from_sql_and_values(
        backend,
        NUMBER,
        [owner.0.into(), limit.into(), last.into()],
    );
    let given = tx
        .execute_raw(number)
        .await
        .map_err(failed)?
        .rows_affected();
    let seq = last.saturating_add(signed(given)?);
    let keep = Query::update()
        .table("change_feed")
        .value("last_seq", seq)
        .and_where(Expr::col("owner_facility_id").eq(owner.0))
        .take();
    tx.execute(&keep).await.map_err(failed)?;
    Ok(Head {
        seq: unsigned(seq)?,
        is_behind: given >= NUMBERED_AT_ONCE,
    })
}
