//! One study by its UUID (MINT 5.1, X01 to X03).

use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order, Query};
use sea_orm::{ConnectionTrait, QueryResult};
use uuid::Uuid;

use super::version;
use crate::auth::{Basis, Touched};
use crate::dicom::mint::answers::StudyVersion;
use crate::error::{Error, Kind, Result};
use crate::index::Catalog;
use crate::index::row::{failed, get, study_uid};
use crate::index::visible::{At, Unread, basis};
use crate::model::{ClassMask, FacilityId, PackId, StudyId, StudyUid, Timestamp};

/// A study that the caller sees, at its version.
#[derive(Clone, Debug)]
pub struct MintStudy {
    /// Its UUID, its version and when that was made.
    pub at: StudyVersion,
    /// Study Instance UID.
    pub uid: StudyUid,
    /// Whether all instances that live have the numbers of their items.
    pub is_numbered: bool,
    /// The epoch of rights at which it was visible.
    pub epoch: i64,
    /// The pack that was written last: with another one, bytes may lie elsewhere.
    pub youngest_pack: Option<PackId>,
}

impl Catalog<'_> {
    /// The study of a UUID.
    ///
    /// # Errors
    /// `Kind::NotFound` if it is not there or not for this caller; `Kind::Gone` if the caller's facility owned it and nothing
    /// of it is left, in the bin or erased (MINT X02); `Kind::Forbidden` if all of it is of classes that the scopes do not
    /// read (SH-3.4).
    pub async fn mint_study(&self, study: StudyId) -> Result<MintStudy> {
        let row = self.mint_row(study).await?;
        if get::<Option<String>>(&row, "readable")?.is_none() {
            self.check_classes(ClassMask(get(&row, "class_mask")?))?;
        }
        let of_row: i32 = get(&row, "study_version")?;
        let uid = uid_of(&row)?;
        self.access.note(Touched {
            study: uid.to_string(),
            basis: Basis::Own,
        });
        Ok(MintStudy {
            at: StudyVersion {
                study,
                changed_at: Timestamp(get(&row, "changed_at")?),
                version: version(of_row),
            },
            uid,
            is_numbered: get::<Option<i32>>(&row, "numbered_version")? == Some(of_row),
            epoch: get(&row, "epoch")?,
            youngest_pack: get::<Option<Uuid>>(&row, "youngest_pack")?.map(PackId),
        })
    }

    /// The Study Instance UID of a UUID, for somebody who need not be able to read the study.
    ///
    /// # Errors
    /// `Kind::NotFound` and `Kind::Gone` as [`Catalog::mint_study`].
    pub async fn mint_uid(&self, study: StudyId) -> Result<StudyUid> {
        uid_of(&self.mint_row(study).await?)
    }

    /// The row of a study that is visible.
    async fn mint_row(&self, study: StudyId) -> Result<QueryResult> {
        let standing = |unread| {
            let at = basis(self.access, At::Study("s0"), unread);
            Expr::SubQuery(None, Box::new(at.into()))
        };
        let last = Expr::col(("c", "study_id"))
            .equals(("s0", "study_id"))
            .and(Expr::col(("c", "study_version")).equals(("s0", "study_version")));
        let epoch = Expr::col(("e", "acl_epoch_id")).eq(1);
        let pack = Query::select()
            .column(("p", "pack_id"))
            .from_as("pack", "p")
            .and_where(Expr::col(("p", "study_id")).equals(("s0", "study_id")))
            .order_by(("p", "sealed_at"), Order::Desc)
            .order_by(("p", "pack_id"), Order::Desc)
            .limit(1)
            .take();
        let one = Query::select()
            .columns(
                ["study_instance_uid", "study_version", "numbered_version"].map(|it| ("s0", it)),
            )
            .columns([("s0", "owner_facility_id"), ("s0", "class_mask")])
            .column(("c", "changed_at"))
            .column(("e", "epoch"))
            .expr_as(standing(Unread::Kept), "seen")
            .expr_as(standing(Unread::Hidden), "readable")
            .expr_as(Expr::SubQuery(None, Box::new(pack.into())), "youngest_pack")
            .from_as("study", "s0")
            .join_as(JoinType::InnerJoin, "change", "c", last)
            .join_as(JoinType::InnerJoin, "acl_epoch", "e", epoch)
            .and_where(Expr::col(("s0", "study_id")).eq(study.0))
            .take();
        let row = self.index.reader.query_one(&one).await.map_err(failed)?;
        let row = row.ok_or_else(Error::not_found)?;
        if get::<Option<String>>(&row, "seen")?.is_none() {
            let is_own = FacilityId(get(&row, "owner_facility_id")?) == self.access.facility_id();
            return Err(if is_own {
                Error::new(Kind::Gone, "the study was deleted")
            } else {
                Error::not_found()
            });
        }
        Ok(row)
    }
}

fn uid_of(row: &QueryResult) -> Result<StudyUid> {
    study_uid(row)
}
