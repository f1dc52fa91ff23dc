//! Whose study it is: the registration that a patient number names (SH-1, SH-1.1).

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};
use uuid::Uuid;

use super::Batch;
use crate::error::Result;
use crate::index::facilities::insert_issuer;
use crate::index::row::{failed, get};
use crate::model::{AttributeSet, RegistrationId, Tag};

const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const ISSUER_OF_PATIENT_ID: Tag = Tag(0x0010, 0x0021);
const PATIENT_BIRTH_DATE: Tag = Tag(0x0010, 0x0030);
const PATIENT_SEX: Tag = Tag(0x0010, 0x0040);

/// The namespace of a patient number.
struct Issuer {
    id: Uuid,
    /// Of nobody here: somebody has to look at it.
    is_foreign: bool,
}

fn text(attributes: &AttributeSet, tag: Tag) -> Option<&str> {
    let text = attributes.text(tag)?.trim();
    (!text.is_empty()).then_some(text)
}

impl Batch<'_> {
    /// Makes or finds the registration of a patient number. `None` without one: empty numbers never make two people
    /// one (T25).
    pub(super) async fn registration(
        &self,
        attributes: &AttributeSet,
    ) -> Result<Option<RegistrationId>> {
        let Some(patient_id) = text(attributes, PATIENT_ID) else {
            return Ok(None);
        };
        let issuer = self.issuer(text(attributes, ISSUER_OF_PATIENT_ID)).await?;
        let there = Query::select()
            .column("registration_id")
            .from("registration")
            .and_where(Expr::col("issuer_id").eq(issuer.id))
            .and_where(Expr::col("patient_id").eq(patient_id))
            .take();
        if let Some(row) = self.tx.query_one(&there).await.map_err(failed)? {
            return Ok(Some(RegistrationId(get(&row, "registration_id")?)));
        }
        let id = RegistrationId(self.clock.new_id());
        let insert = Query::insert()
            .into_table("registration")
            .columns([
                "registration_id",
                "issuer_id",
                "facility_id",
                "patient_id",
                "patient_name",
                "patient_birth_date",
                "patient_sex",
                "is_placeholder",
                "twin_risk",
                "needs_reconcile",
                "version",
            ])
            .values_panic([
                id.0.into(),
                issuer.id.into(),
                self.owner.0.into(),
                patient_id.into(),
                text(attributes, PATIENT_NAME).into(),
                text(attributes, PATIENT_BIRTH_DATE).into(),
                text(attributes, PATIENT_SEX).into(),
                false.into(),
                false.into(),
                issuer.is_foreign.into(),
                1_i32.into(),
            ])
            .take();
        self.execute(&insert).await?;
        Ok(Some(id))
    }

    /// The issuer that an object names: one of the facility's own, its default where the object is silent, otherwise
    /// `foreign:` and what it says.
    async fn issuer(&self, named: Option<&str>) -> Result<Issuer> {
        if let Some(own) = self.own_issuer(named).await? {
            return Ok(own);
        }
        let value = format!("foreign:{}", named.unwrap_or_default());
        if let Some(foreign) = self.issuer_where(Expr::col("value").eq(&value)).await? {
            return Ok(foreign);
        }
        let id = self.clock.new_id();
        self.execute(&insert_issuer(id, self.owner, &value, None))
            .await?;
        Ok(Issuer {
            id,
            is_foreign: true,
        })
    }

    async fn own_issuer(&self, named: Option<&str>) -> Result<Option<Issuer>> {
        let own = Expr::col("is_foreign").eq(false);
        self.issuer_where(match named {
            Some(value) => own.and(Expr::col("value").eq(value)),
            None => own,
        })
        .await
    }

    async fn issuer_where(&self, holds: Expr) -> Result<Option<Issuer>> {
        let first = Query::select()
            .columns(["issuer_id", "is_foreign"])
            .from("issuer")
            .and_where(Expr::col("facility_id").eq(self.owner.0))
            .and_where(holds)
            .order_by("position", Order::Asc)
            .limit(1)
            .take();
        let row = self.tx.query_one(&first).await.map_err(failed)?;
        row.map(|row| {
            Ok(Issuer {
                id: get(&row, "issuer_id")?,
                is_foreign: get(&row, "is_foreign")?,
            })
        })
        .transpose()
    }
}
