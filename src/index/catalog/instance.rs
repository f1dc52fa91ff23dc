//! One instance: existence, path, permission, place and epoch in one statement (schema.md 5.3).

use sea_orm::sea_query::{Cond, Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use super::place::{head_place, read_place};
use super::{Catalog, Scope, Visible};
use crate::error::{Error, Kind, Result};
use crate::index::columns::NO_NUMBER;
use crate::index::row::{
    digest, failed, get, instance_uid, series_uid, sop_class_uid, study_uid, unsigned,
};
use crate::index::visible::{At, Unread, basis};
use crate::model::{
    Class, ClassMask, InstancePath, SeriesId, SeriesUid, SopClassUid, SopInstanceUid, StudyUid,
    Timestamp,
};
use crate::storage::{BlobRef, MetaPlace};

/// A stored instance as its row knows it. Where its bytes lie only a [`Visible`] of it tells.
#[derive(Debug)]
pub struct Instance {
    /// Study Instance UID.
    pub study: StudyUid,
    /// Series Instance UID.
    pub series: SeriesUid,
    /// SOP Instance UID.
    pub instance: SopInstanceUid,
    /// SOP Class UID.
    pub sop_class: SopClassUid,
    /// Transfer Syntax UID as stored.
    pub transfer_syntax_uid: String,
    /// Class for rights.
    pub class: Class,
    /// SHA-256 of the stored file.
    pub digest: [u8; 32],
    /// Length of the stored file.
    pub byte_count: u64,
    /// How its frames are found; `None` where there is nothing to cut.
    pub frame_table: Option<Vec<u8>>,
    /// Number of Frames, where the object says it.
    pub number_of_frames: Option<u32>,
    /// Series Number, where the object has one.
    pub series_number: Option<i64>,
    /// Instance Number, where the object has one.
    pub instance_number: Option<i64>,
    /// The base under which `BulkDataURIs` stand in its head.
    pub base_url: String,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// How often its content was set, from 1.
    pub instance_version: u32,
    blob: BlobRef,
    metadata_object: String,
    meta: MetaPlace,
}

impl Instance {
    pub(super) fn blob(&self) -> BlobRef {
        self.blob.clone()
    }

    pub(super) fn head(&self) -> (&str, &MetaPlace) {
        (&self.metadata_object, &self.meta)
    }
}

impl Catalog<'_> {
    /// The instance that a path names.
    ///
    /// # Errors
    /// `Kind::NotFound` if it is not there or not for this caller, `Kind::Gone` if it was erased and the caller may know it
    /// (S15); `Kind::Forbidden` if it is there, and the token lacks the scope for a class in its series (SH-3.4).
    pub async fn instance(&self, path: &InstancePath) -> Result<Visible<Instance>> {
        let standing = basis(self.access, At::Series("r0"), Unread::Kept);
        let mut one = select();
        one.expr_as(Expr::SubQuery(None, Box::new(standing.into())), "basis")
            .expr_as(Expr::col(("s0", "owner_facility_id")), "owner_facility_id")
            .and_where(Expr::col(("s0", "study_instance_uid")).eq(path.study.as_str()))
            .and_where(Expr::col(("r0", "series_instance_uid")).eq(path.series.as_str()))
            .and_where(Expr::col(("i", "sop_instance_uid")).eq(path.instance.as_str()));
        let own_first = Expr::col(("one", "owner_facility_id")).eq(self.access.facility_id().0);
        let statement = Query::select()
            .column(sea_orm::sea_query::Asterisk)
            .from_subquery(one, "one")
            .and_where(Expr::col(("one", "basis")).is_not_null())
            .order_by_expr(own_first, Order::Desc)
            .limit(1)
            .take();
        let row = self
            .index
            .reader
            .query_one(&statement)
            .await
            .map_err(failed)?;
        let Some(row) = row else {
            let scope = Scope {
                study: path.study.clone(),
                series: Some(path.series.clone()),
                instance: Some(path.instance.clone()),
            };
            return Err(self.absent(&scope).await?);
        };
        self.check_classes(ClassMask(get(&row, "class_mask")?))?;
        self.instance_of(&row)
    }

    /// The instance of a row of [`select`], noted.
    pub(super) fn instance_of(&self, row: &QueryResult) -> Result<Visible<Instance>> {
        let instance = read(row)?;
        let study = instance.study.clone();
        let series_id = SeriesId(get(row, "series_id")?);
        Ok(self.hand_out(instance, &study, series_id, get(row, "epoch")?))
    }
}

/// The row of an instance from `study` `s0`, `series` `r0`, `instance` `i`, its pack and the epoch; the caller adds which,
/// and the guard.
pub(super) fn select() -> SelectStatement {
    select_with("i", "b")
}

/// The same with the content of a row of `content`, which has the columns [`CONTENT`] and lies in the copy `copy`; the caller
/// adds both. The head is that of the instance.
pub(super) fn select_with(content: &'static str, copy: &'static str) -> SelectStatement {
    let series = Expr::col(("r0", "study_id")).equals(("s0", "study_id"));
    let instance = Cond::all()
        .add(Expr::col(("i", "study_id")).equals(("s0", "study_id")))
        .add(Expr::col(("i", "series_id")).equals(("r0", "series_id")))
        .add(Expr::col(("i", "state")).eq("live"));
    let pack = Expr::col(("p", "pack_id")).equals(("i", "pack_id"));
    let own_copy = Cond::all()
        .add(Expr::col(("b", "pack_id")).equals(("i", "pack_id")))
        .add(Expr::col(("b", "state")).eq("present"));
    let epoch = Expr::col(("e", "acl_epoch_id")).eq(1);
    Query::select()
        .column(("s0", "study_instance_uid"))
        .columns(
            [
                "series_id",
                "series_instance_uid",
                "series_number",
                "class_mask",
            ]
            .map(|c| ("r0", c)),
        )
        .columns(KEPT.map(|column| ("i", column)))
        .columns(CONTENT.map(|column| (content, column)))
        .column(("p", "base_url"))
        .columns([(copy, "object"), ("b", "metadata_object")])
        .column(("e", "epoch"))
        .from_as("study", "s0")
        .join_as(JoinType::InnerJoin, "series", "r0", series)
        .join_as(JoinType::InnerJoin, "instance", "i", instance)
        .join_as(JoinType::InnerJoin, "pack", "p", pack)
        .join_as(JoinType::InnerJoin, "pack_copy", "b", own_copy)
        .join_as(JoinType::InnerJoin, "acl_epoch", "e", epoch)
        .take()
}

/// What is said of an instance whatever its content.
const KEPT: [&str; 7] = [
    "sop_instance_uid",
    "class",
    "instance_number",
    "meta_offset",
    "meta_length",
    "meta_json_start",
    "meta_json_length",
];

/// What is said of its content.
const CONTENT: [&str; 9] = [
    "sop_class_uid",
    "transfer_syntax_uid",
    "digest",
    "pack_offset",
    "byte_count",
    "frame_table",
    "number_of_frames",
    "stored_at",
    "instance_version",
];

fn read(row: &QueryResult) -> Result<Instance> {
    let byte_count = unsigned(get(row, "byte_count")?)?;
    let number = |column| {
        Ok::<_, Error>(Some(get::<i64>(row, column)?).filter(|number| *number != NO_NUMBER))
    };
    let frames: Option<i64> = get(row, "number_of_frames")?;
    Ok(Instance {
        study: study_uid(row)?,
        series: series_uid(row)?,
        instance: instance_uid(row)?,
        sop_class: sop_class_uid(row)?,
        transfer_syntax_uid: get(row, "transfer_syntax_uid")?,
        class: class(get(row, "class")?)?,
        digest: digest(&get::<Vec<u8>>(row, "digest")?)?,
        byte_count,
        frame_table: get(row, "frame_table")?,
        number_of_frames: frames.and_then(|frames| u32::try_from(frames).ok()),
        series_number: number("series_number")?,
        instance_number: number("instance_number")?,
        base_url: get(row, "base_url")?,
        stored_at: Timestamp(get(row, "stored_at")?),
        instance_version: u32::try_from(get::<i32>(row, "instance_version")?).unwrap_or(1),
        blob: read_place(row)?,
        metadata_object: get(row, "metadata_object")?,
        meta: head_place(row)?,
    })
}

fn class(bit: i32) -> Result<Class> {
    let class = Class::ALL.into_iter().find(|class| class.bit() == bit);
    class.ok_or_else(|| Error::new(Kind::Internal, "a row holds a class that is not known"))
}
