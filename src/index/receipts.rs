//! Receipts of uploads (MINT Z42): which objects a facility's study held, by their digests, when an upload ended.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::Index;
use super::catalog::{Catalog, StudyHead};
use super::mint::{of_row, version};
use super::row::{failed, get, study_uid};
use crate::auth::StoreGrant;
use crate::error::{Error, Result};
use crate::model::{FacilityId, ReceiptId, StudyId, StudyUid, Timestamp};

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Key.
    pub id: ReceiptId,
    /// The study, as it was then.
    pub study: StudyHead,
    /// The objects as JSON.
    pub objects: String,
    /// When it was written.
    pub created_at: Timestamp,
}

impl Index {
    /// The study of the caller's facility that has this UID, if there is one with anything in it.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn own_study(
        &self,
        grant: &StoreGrant,
        study: &StudyUid,
    ) -> Result<Option<StudyHead>> {
        let one = Query::select()
            .columns(["study_id", "study_version"])
            .from("study")
            .and_where(Expr::col("owner_facility_id").eq(grant.facility().id.0))
            .and_where(Expr::col("study_instance_uid").eq(study.as_str()))
            .and_where(Expr::col("instance_count").gt(0))
            .take();
        let row = self.reader.query_one(&one).await.map_err(failed)?;
        row.map(|row| {
            Ok(StudyHead {
                id: StudyId(get(&row, "study_id")?),
                study: study.clone(),
                version: version(get(&row, "study_version")?),
            })
        })
        .transpose()
    }

    /// Writes a receipt for `objects`, which the study holds.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn record_receipt(
        &self,
        grant: &StoreGrant,
        study: StudyHead,
        objects: String,
    ) -> Result<Receipt> {
        let receipt = Receipt {
            id: ReceiptId(self.clock.new_id()),
            study,
            objects,
            created_at: self.clock.now(),
        };
        let insert = insert(grant.facility().id, &receipt)?;
        self.writer.execute(&insert).await.map_err(failed)?;
        Ok(receipt)
    }
}

fn insert(facility: FacilityId, receipt: &Receipt) -> Result<sea_orm::sea_query::InsertStatement> {
    let version = of_row(receipt.study.version)?;
    Ok(Query::insert()
        .into_table("upload_receipt")
        .columns([
            "upload_receipt_id",
            "facility_id",
            "study_id",
            "study_instance_uid",
            "study_version",
            "objects",
            "created_at",
        ])
        .values_panic([
            receipt.id.0.into(),
            facility.0.into(),
            receipt.study.id.0.into(),
            receipt.study.study.as_str().into(),
            version.into(),
            receipt.objects.as_str().into(),
            receipt.created_at.0.into(),
        ])
        .take())
}

impl Catalog<'_> {
    /// A receipt of the caller's facility.
    ///
    /// # Errors
    /// `Kind::NotFound` if it is not there or another facility's.
    pub async fn receipt(&self, id: ReceiptId) -> Result<Receipt> {
        let one = Query::select()
            .columns(["study_id", "study_instance_uid", "study_version"])
            .columns(["objects", "created_at"])
            .from("upload_receipt")
            .and_where(Expr::col("upload_receipt_id").eq(id.0))
            .and_where(Expr::col("facility_id").eq(self.access.facility_id().0))
            .take();
        let row = self.index.reader.query_one(&one).await.map_err(failed)?;
        let row = row.ok_or_else(Error::not_found)?;
        Ok(Receipt {
            id,
            study: StudyHead {
                id: StudyId(get(&row, "study_id")?),
                study: study_uid(&row)?,
                version: version(get(&row, "study_version")?),
            },
            objects: get(&row, "objects")?,
            created_at: Timestamp(get(&row, "created_at")?),
        })
    }
}
