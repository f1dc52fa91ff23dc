//! Facilities and their issuers: who owns, and in which namespaces its patient numbers are (sharing.md 1).
//!
//! These are no rows of patients: everybody may know which facilities there are.

use std::sync::Arc;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, Order, Query, SelectStatement};

use super::Index;
use super::row::{failed, get, unsigned};
use super::timing::commit;
use crate::auth::StoreGrant;
use crate::error::{Error, Kind, Result};
use crate::model::{
    Facility, FacilityCode, FacilityId, FacilityKind, FacilityPolicy, FacilityState,
};

/// The zone of a facility that says nothing else.
const TIME_ZONE: &str = "UTC";

impl Index {
    /// Adds a facility with the issuers of its patient numbers; the first is its default (SH-1.1). Without issuers the
    /// code is the one.
    ///
    /// # Errors
    /// `Kind::Conflict` if the code or one of the issuers is taken.
    pub async fn add_facility(
        &self,
        code: &FacilityCode,
        name: &str,
        kind: FacilityKind,
        issuers: &[String],
    ) -> Result<Facility> {
        let facility = Facility {
            id: FacilityId(self.clock.new_id()),
            code: code.clone(),
            name: name.to_owned(),
            kind,
            state: FacilityState::Active,
            policy: Arc::default(),
        };
        let by_code = [code.as_str().to_owned()];
        let issuers = if issuers.is_empty() {
            &by_code
        } else {
            issuers
        };
        let tx = self.begin().await?;
        tx.execute(&insert_facility(&facility))
            .await
            .map_err(taken)?;
        for (position, value) in issuers.iter().enumerate() {
            let position = i32::try_from(position).unwrap_or(i32::MAX);
            let issuer = insert_issuer(self.clock.new_id(), facility.id, value, Some(position));
            tx.execute(&issuer).await.map_err(taken)?;
        }
        commit(tx).await?;
        Ok(facility)
    }

    /// Every facility, by code.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn facilities(&self) -> Result<Vec<Facility>> {
        let all = select().order_by("code", Order::Asc).take();
        let rows = self.reader.query_all(&all).await.map_err(failed)?;
        rows.iter().map(facility).collect()
    }

    /// The facility of a key.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn facility(&self, id: FacilityId) -> Result<Option<Facility>> {
        let one = select().and_where(Expr::col("facility_id").eq(id.0)).take();
        let row = self.reader.query_one(&one).await.map_err(failed)?;
        row.as_ref().map(facility).transpose()
    }

    /// The facility of a code.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn facility_by_code(&self, code: &FacilityCode) -> Result<Option<Facility>> {
        let one = select()
            .and_where(Expr::col("code").eq(code.as_str()))
            .take();
        let row = self.reader.query_one(&one).await.map_err(failed)?;
        row.as_ref().map(facility).transpose()
    }

    /// The issuers of the caller's facility, its default first.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn own_issuers(&self, grant: &StoreGrant) -> Result<Vec<String>> {
        let own = Query::select()
            .column("value")
            .from("issuer")
            .and_where(Expr::col("facility_id").eq(grant.facility().id.0))
            .and_where(Expr::col("is_foreign").eq(false))
            .order_by("position", Order::Asc)
            .take();
        let rows = self.reader.query_all(&own).await.map_err(failed)?;
        rows.iter().map(|row| get(row, "value")).collect()
    }

    /// Bytes of all instances of the caller's facility, for its quota.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn stored_bytes(&self, grant: &StoreGrant) -> Result<u64> {
        // A sum of BIGINT is a NUMERIC on PostgreSQL.
        let bytes = Expr::col("byte_count").sum().cast_as("BIGINT");
        let all = Query::select()
            .expr_as(bytes, "bytes")
            .from("study")
            .and_where(Expr::col("owner_facility_id").eq(grant.facility().id.0))
            .take();
        let row = self.reader.query_one(&all).await.map_err(failed)?;
        let bytes = row
            .map(|row| get::<Option<i64>>(&row, "bytes"))
            .transpose()?;
        unsigned(bytes.flatten().unwrap_or(0))
    }

    /// Changes the policy of a facility and gives it as it is now, in one transaction: `change` may refuse, and then
    /// nothing is changed. Requests that begin afterwards find the new one.
    ///
    /// # Errors
    /// `Kind::Invalid` with the words of `change`; `Kind::NotFound` if there is no such facility; `Kind::Unavailable` if
    /// the database does not answer.
    pub async fn change_policy(
        &self,
        code: &FacilityCode,
        change: impl FnOnce(&mut FacilityPolicy) -> std::result::Result<(), String> + Send,
    ) -> Result<FacilityPolicy> {
        let tx = self.begin().await?;
        let one = Query::select()
            .columns(["settings", "version"])
            .from("facility")
            .and_where(Expr::col("code").eq(code.as_str()))
            .lock_exclusive()
            .take();
        let row = tx.query_one(&one).await.map_err(failed)?;
        let row = row.ok_or_else(Error::not_found)?;
        let settings: String = get(&row, "settings")?;
        let mut changed = policy(&settings)?;
        change(&mut changed).map_err(Error::invalid)?;
        let settings = changed
            .into_settings(&settings)
            .map_err(|cause| Error::internal("the settings cannot be written", cause))?;
        let update = Query::update()
            .table("facility")
            .value("settings", settings)
            .value("version", get::<i32>(&row, "version")?.saturating_add(1))
            .and_where(Expr::col("code").eq(code.as_str()))
            .take();
        tx.execute(&update).await.map_err(failed)?;
        commit(tx).await?;
        Ok(changed)
    }
}

/// The statement that adds an issuer; one without a position is foreign: a namespace that belongs to nobody here.
pub(super) fn insert_issuer(
    issuer: uuid::Uuid,
    facility: FacilityId,
    value: &str,
    position: Option<i32>,
) -> InsertStatement {
    Query::insert()
        .into_table("issuer")
        .columns([
            "issuer_id",
            "facility_id",
            "value",
            "is_foreign",
            "position",
        ])
        .values_panic([
            issuer.into(),
            facility.0.into(),
            value.into(),
            position.is_none().into(),
            position.unwrap_or(i32::MAX).into(),
        ])
        .take()
}

fn insert_facility(facility: &Facility) -> InsertStatement {
    Query::insert()
        .into_table("facility")
        .columns([
            "facility_id",
            "code",
            "name",
            "kind",
            "state",
            "time_zone",
            "settings",
            "study_count",
            "version",
        ])
        .values_panic([
            facility.id.0.into(),
            facility.code.as_str().into(),
            facility.name.as_str().into(),
            facility.kind.as_str().into(),
            facility.state.as_str().into(),
            TIME_ZONE.into(),
            "{}".into(),
            0_i64.into(),
            1_i32.into(),
        ])
        .take()
}

fn select() -> SelectStatement {
    Query::select()
        .columns(["facility_id", "code", "name", "kind", "state", "settings"])
        .from("facility")
        .take()
}

pub(super) fn facility(row: &sea_orm::QueryResult) -> Result<Facility> {
    let odd = || Error::new(Kind::Internal, "a facility holds a word that is not known");
    Ok(Facility {
        id: FacilityId(get(row, "facility_id")?),
        code: FacilityCode::parse(&get::<String>(row, "code")?).ok_or_else(odd)?,
        name: get(row, "name")?,
        kind: FacilityKind::parse(&get::<String>(row, "kind")?).ok_or_else(odd)?,
        state: FacilityState::parse(&get::<String>(row, "state")?).ok_or_else(odd)?,
        policy: Arc::new(policy(&get::<String>(row, "settings")?)?),
    })
}

fn policy(settings: &str) -> Result<FacilityPolicy> {
    FacilityPolicy::of_settings(settings)
        .map_err(|cause| Error::internal("a facility holds settings that cannot be read", cause))
}

fn taken(error: sea_orm::DbErr) -> Error {
    let error = failed(error);
    if error.kind() == Kind::Conflict {
        return Error::new(Kind::Conflict, "the code or an issuer is taken").with_source(error);
    }
    error
}
