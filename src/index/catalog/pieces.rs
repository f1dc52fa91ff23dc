//! Metadata pieces: the heads of whole series, as they can be sent (architecture.md 7.5).

use std::ops::Range;

use sea_orm::sea_query::{Cond, Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use super::instances::study;
use super::{Catalog, Scope, Visible};
use crate::error::{Error, Result};
use crate::index::row::{failed, get, series_uid, study_uid, unsigned};
use crate::index::visible::{At, Unread, basis};
use crate::model::{SeriesId, SeriesUid, StudyUid};

/// A run of heads in a metadata object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceRef {
    /// Name of the metadata object.
    pub object: String,
    /// Name of the pack whose files have these heads.
    pub pack: String,
    /// Range in it.
    pub range: Range<u64>,
    /// Length when inflated, in bytes.
    pub inflated_len: u64,
    /// CRC-32 of the inflated bytes.
    pub crc32: u32,
    /// How many heads it has, those of holes and of objects that are gone included.
    pub instance_count: u32,
    /// The base under which `BulkDataURIs` stand in it.
    pub base_url: String,
}

/// The pieces of one series.
#[derive(Debug)]
pub struct SeriesPieces {
    /// Study Instance UID.
    pub study: StudyUid,
    /// Series Instance UID.
    pub series: SeriesUid,
    /// Its pieces, oldest first.
    pub pieces: Vec<PieceRef>,
    /// How many instances the series has.
    pub live_count: u32,
}

impl SeriesPieces {
    /// Whether every head of the pieces is that of an instance: then they can be sent as they are.
    pub fn is_whole(&self) -> bool {
        let heads: u64 = self
            .pieces
            .iter()
            .map(|piece| u64::from(piece.instance_count))
            .sum();
        heads == u64::from(self.live_count)
    }
}

impl Catalog<'_> {
    /// The pieces of each readable series of a study, or of one, by series number and series UID. An instance in `scope` is
    /// not looked at.
    ///
    /// # Errors
    /// As [`Catalog::instances`].
    pub async fn pieces(&self, scope: &Scope) -> Result<Vec<Visible<SeriesPieces>>> {
        let statement = self.select_pieces(scope);
        let rows = self
            .index
            .reader
            .query_all(&statement)
            .await
            .map_err(failed)?;
        let mut all: Vec<Visible<SeriesPieces>> = Vec::new();
        for row in &rows {
            let series_id = SeriesId(get(row, "series_id")?);
            if all.last().is_none_or(|last| last.series_id != series_id) {
                let series = series(row)?;
                let study = series.study.clone();
                all.push(self.hand_out(series, &study, series_id, get(row, "epoch")?));
            }
            if let Some(last) = all.last_mut() {
                last.it.pieces.push(piece(row)?);
            }
        }
        if all.is_empty() {
            let whole = Scope {
                instance: None,
                ..scope.clone()
            };
            return Err(self.why_nothing(&whole).await?);
        }
        Ok(all)
    }

    fn select_pieces(&self, scope: &Scope) -> SelectStatement {
        let of_study = Expr::col(("r0", "study_id")).equals(("s0", "study_id"));
        let of_series = Expr::col(("m", "series_id")).equals(("r0", "series_id"));
        let pack = Cond::all()
            .add(Expr::col(("p", "pack_id")).equals(("m", "pack_id")))
            .add(Expr::col(("p", "replaced_at")).is_null());
        let copy = Cond::all()
            .add(Expr::col(("b", "pack_id")).equals(("m", "pack_id")))
            .add(Expr::col(("b", "state")).eq("present"));
        let mut select = Query::select();
        select
            .column(("s0", "study_instance_uid"))
            .columns([("r0", "series_id"), ("r0", "series_instance_uid")])
            .expr_as(Expr::col(("r0", "instance_count")), "live_count")
            .columns(
                [
                    "piece_offset",
                    "piece_length",
                    "inflated_length",
                    "crc32",
                    "instance_count",
                ]
                .map(|column| ("m", column)),
            )
            .column(("p", "base_url"))
            .columns([("b", "metadata_object"), ("b", "object")])
            .column(("e", "epoch"))
            .from_as("study", "s0")
            .join_as(JoinType::InnerJoin, "series", "r0", of_study)
            .join_as(JoinType::InnerJoin, "metadata_piece", "m", of_series)
            .join_as(JoinType::InnerJoin, "pack", "p", pack)
            .join_as(JoinType::InnerJoin, "pack_copy", "b", copy)
            .join_as(
                JoinType::InnerJoin,
                "acl_epoch",
                "e",
                Expr::col(("e", "acl_epoch_id")).eq(1),
            )
            .and_where(Expr::col(("s0", "study_id")).eq(study(self.access, scope)))
            .and_where(Expr::exists(basis(
                self.access,
                At::Series("r0"),
                Unread::Hidden,
            )));
        if let Some(series) = &scope.series {
            select.and_where(Expr::col(("r0", "series_instance_uid")).eq(series.as_str()));
        }
        select
            .order_by(("r0", "series_number"), Order::Asc)
            .order_by(("r0", "series_instance_uid"), Order::Asc)
            .order_by(("p", "sealed_at"), Order::Asc)
            .order_by(("m", "pack_id"), Order::Asc)
            .take()
    }
}

fn series(row: &QueryResult) -> Result<SeriesPieces> {
    Ok(SeriesPieces {
        study: study_uid(row)?,
        series: series_uid(row)?,
        pieces: Vec::new(),
        live_count: narrow(get::<i32>(row, "live_count")?.into())?,
    })
}

fn piece(row: &QueryResult) -> Result<PieceRef> {
    let offset = unsigned(get(row, "piece_offset")?)?;
    let length = unsigned(get(row, "piece_length")?)?;
    Ok(PieceRef {
        object: get(row, "metadata_object")?,
        pack: get(row, "object")?,
        range: offset..offset.saturating_add(length),
        inflated_len: unsigned(get(row, "inflated_length")?)?,
        crc32: narrow(get(row, "crc32")?)?,
        instance_count: narrow(get::<i32>(row, "instance_count")?.into())?,
        base_url: get(row, "base_url")?,
    })
}

fn narrow(value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|error| Error::internal("a row holds a number beyond 2^32", error))
}
