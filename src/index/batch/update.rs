//! The end of a batch that changes a study (MINT 9.4): what of it no instance says by itself. All of it is in the transaction of the
//! batch, whose instances are written already, and any of it may refuse it.

use std::collections::BTreeSet;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::Batch;
use super::rows::NewRow;
use crate::dicom::mint::numbers::Numbers;
use crate::error::{Error, Kind, Result};
use crate::index::kept::recount;
use crate::index::mint::{Ended, NewChange, StudyUpdate, note, of_row, succeed, version};
use crate::index::record::{NewInstance, NewPack, Recorded};
use crate::index::row::{failed, get};
use crate::index::{columns, parts, remove};
use crate::model::{Level, SopInstanceUid};

impl Batch<'_> {
    /// Makes the next version of a study of what was recorded of `packs`.
    ///
    /// # Errors
    /// `Kind::Conflict` if the study is at another version than the update is of (MINT U30), if something of it cannot be
    /// recorded, or if its job was given up.
    pub(super) async fn update(
        &self,
        update: &StudyUpdate,
        packs: &[NewPack],
        recorded: &[Vec<Recorded>],
    ) -> Result<()> {
        let mut all = recorded.iter().flatten();
        if all.any(|what| !what.is_written() && *what != Recorded::AlreadyThere) {
            let detail =
                "an instance of the update is in the bin, was erased, or lies in another series";
            return Err(Error::new(Kind::Conflict, detail));
        }
        let is_written = recorded.iter().flatten().any(|what| what.is_written());
        let made = self.hold(update, is_written).await?;
        if !is_written {
            let change = NewChange {
                study: update.study,
                version: made,
                came: 0,
            };
            let changes = std::iter::once(change);
            note(self.tx, (self.owner, self.author), self.now, changes).await?;
        }
        if let Some((grant, scopes, why)) = &update.removed {
            let removed = (grant, scopes.as_slice(), why);
            remove::take_out(self.tx, self.clock, removed, (update.study, made)).await?;
        }
        self.level(update, packs).await?;
        self.number(update).await?;
        let of_study = (self.owner, update.study);
        if recount(self.tx, of_study, None, made).await? < 0 {
            self.is_deletion(update, made).await?;
        }
        let document = Query::insert()
            .into_table("mint_update")
            .columns(["study_id", "study_version", "document"])
            .values_panic([
                update.study.0.into(),
                made.into(),
                update.document.clone().into(),
            ])
            .take();
        self.execute(&document).await?;
        let made = Ended::Made {
            study: update.study,
            change: version(made),
            is_recoded: update.is_recoded,
        };
        succeed(self.tx, update.job, &made, self.now).await
    }

    /// Holds the row of the study; gives the version that is made of it.
    async fn hold(&self, update: &StudyUpdate, is_written: bool) -> Result<i32> {
        let one = Query::select()
            .columns(["study_version", "next_item"])
            .from("study")
            .and_where(Expr::col("study_id").eq(update.study.0))
            .and_where(Expr::col("owner_facility_id").eq(self.owner.0))
            .lock_exclusive()
            .take();
        let row = self.tx.query_one(&one).await.map_err(failed)?;
        let row = row.ok_or_else(Error::not_found)?;
        let (is, next_item): (i32, i32) = (get(&row, "study_version")?, get(&row, "next_item")?);
        // What was written made the next version of it already.
        let was = is.saturating_sub(i32::from(is_written));
        if was != of_row(update.version)? || i64::from(next_item) != i64::from(update.numbered) {
            return Err(update.is_of_another(version(was)));
        }
        Ok(was.saturating_add(1))
    }

    /// Lets study and series say what their instances say now, where the update speaks of them.
    async fn level(&self, update: &StudyUpdate, packs: &[NewPack]) -> Result<()> {
        let instances = || packs.iter().flat_map(|pack| &pack.instances);
        if let Some(first) = instances().next().filter(|_| update.levels.study) {
            self.level_study(update, first).await?;
        }
        for uid in &update.levels.series {
            let Some(first) = instances().find(|it| it.series == *uid) else {
                continue;
            };
            let row = NewRow::new([]).with(Level::Series, first);
            let set = Query::update()
                .table("series")
                .values(row.columns.into_iter().zip(row.values))
                .and_where(Expr::col("study_id").eq(update.study.0))
                .and_where(Expr::col("series_instance_uid").eq(uid.as_str()))
                .take();
            self.execute(&set).await?;
        }
        Ok(())
    }

    async fn level_study(&self, update: &StudyUpdate, first: &NewInstance) -> Result<()> {
        let study = update.study;
        let before = parts::of_study(self.tx, study).await?;
        let registrations = self.registrations(std::iter::once((study, first))).await?;
        let row = NewRow::new([
            (
                "registration_id",
                registrations.get(&study).map(|id| id.0).into(),
            ),
            ("name_key", parts::name_key(&first.attributes).into()),
        ])
        .with(Level::Study, first);
        let set = Query::update()
            .table("study")
            .values(row.columns.into_iter().zip(row.values))
            .and_where(Expr::col("study_id").eq(study.0))
            .take();
        self.execute(&set).await?;
        let date = Query::update()
            .table("series")
            .value("study_date", columns::study_date(&first.attributes))
            .and_where(Expr::col("study_id").eq(study.0))
            .take();
        self.execute(&date).await?;
        let after: BTreeSet<_> = parts::texts(&first.attributes).into_iter().collect();
        parts::add(self.tx, self.owner, &after).await?;
        let gone = before.into_iter().filter(|text| !after.contains(text));
        let gone: Vec<_> = gone.collect();
        if gone.is_empty() {
            return Ok(());
        }
        parts::forget(self.tx, self.owner, gone).await
    }

    /// Gives the items of what was written their numbers (MINT U38): they hold once the items have been counted, and are so many.
    async fn number(&self, update: &StudyUpdate) -> Result<()> {
        let key = |uid: &SopInstanceUid| {
            Query::select()
                .column("instance_id")
                .from("instance_uid")
                .and_where(Expr::col("owner_facility_id").eq(self.owner.0))
                .and_where(Expr::col("sop_instance_uid").eq(uid.as_str()))
                .take()
        };
        for (uid, numbers) in &update.numbers {
            let first = numbers.as_ref().map(|numbers| i64::from(numbers.lowest()));
            let set = Query::update()
                .table("instance")
                .value("first_item", first)
                .value("item_numbers", numbers.as_ref().map(Numbers::encode))
                .value("item_count", None::<i32>)
                .value("item_table", None::<Vec<u8>>)
                .and_where(Expr::col("study_id").eq(update.study.0))
                .and_where(Expr::col("instance_id").in_subquery(key(uid)))
                .take();
            self.execute(&set).await?;
        }
        let next = Query::update()
            .table("study")
            .value("next_item", i64::from(update.next_item))
            .and_where(Expr::col("study_id").eq(update.study.0))
            .take();
        self.execute(&next).await
    }

    /// An update that leaves nothing is a deletion to those who follow.
    async fn is_deletion(&self, update: &StudyUpdate, made: i32) -> Result<()> {
        let set = Query::update()
            .table("change")
            .value("operation", "DELETE")
            .and_where(Expr::col("study_id").eq(update.study.0))
            .and_where(Expr::col("study_version").eq(made))
            .take();
        self.execute(&set).await
    }
}
