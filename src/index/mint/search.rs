//! MINT's search: exact values, newest change first (MINT 4).

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order, Query as Sql, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use super::version;
use crate::auth::{Basis, Touched};
use crate::dicom::mint::answers::StudyVersion;
use crate::dicom::query::{Moment, Query};
use crate::error::Result;
use crate::index::Catalog;
use crate::index::columns::{cut, key};
use crate::index::row::{failed, get, study_uid};
use crate::index::search::conditions_of;
use crate::index::visible::{At, own_row};
use crate::model::{Level, StudyId, StudyUid, Timestamp};

/// What is searched for: everything that is given must hold, exactly and in the case given (MINT Q08).
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Study Instance UID.
    pub study_instance_uid: Option<String>,
    /// Accession Number.
    pub accession_number: Option<String>,
    /// Issuer of Accession Number, which the index does not know: whoever asks for it looks at the heads of what is found.
    pub accession_number_issuer: Option<String>,
    /// Patient ID.
    pub patient_id: Option<String>,
    /// Issuer of Patient ID.
    pub patient_id_issuer: Option<String>,
    /// Study Date from this day on, `YYYYMMDD`.
    pub min_date: Option<String>,
    /// Study Date before this day, `YYYYMMDD`.
    pub max_date: Option<String>,
    /// Study Date and Study Time from this moment on, and up to this moment, in UTC: `YYYYMMDD` and `HHMMSS.FFF`.
    pub moments: (Option<Moment>, Option<Moment>),
}

/// UIDs in one statement.
const CHUNK: usize = 500;

/// A page of what was found.
#[derive(Clone, Copy, Debug)]
pub struct Hits {
    /// So many at most.
    pub limit: u64,
    /// So many are passed over.
    pub skip: u64,
}

impl Catalog<'_> {
    /// The studies that fit, by the time of their last change and then by UUID, newest first (MINT Q10).
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn mint_search(&self, wanted: &Wanted, hits: Hits) -> Result<Vec<StudyVersion>> {
        let page = self.page_of(wanted, hits)?;
        let rows = self.index.reader.query_all(&page).await.map_err(failed)?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            self.access.note(Touched {
                study: get(row, "study_instance_uid")?,
                basis: Basis::Own,
            });
            found.push(version_of(row)?);
        }
        Ok(found)
    }

    /// The versions of studies that the caller sees, by their Study Instance UIDs.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn mint_versions(
        &self,
        studies: &[&StudyUid],
    ) -> Result<HashMap<StudyUid, StudyVersion>> {
        let mut versions = HashMap::with_capacity(studies.len());
        for some in studies.chunks(CHUNK) {
            let mut page = self.fitting(&Wanted::default())?;
            let uids = some.iter().map(|uid| uid.as_str());
            page.and_where(Expr::col(("s", "study_instance_uid")).is_in(uids));
            for row in &self.index.reader.query_all(&page).await.map_err(failed)? {
                let study = study_uid(row)?;
                versions.insert(study, version_of(row)?);
            }
        }
        Ok(versions)
    }

    fn page_of(&self, wanted: &Wanted, hits: Hits) -> Result<SelectStatement> {
        let mut page = self.fitting(wanted)?;
        page.order_by(("c", "changed_at"), Order::Desc)
            .order_by(("c", "study_id"), Order::Desc)
            .limit(hits.limit)
            .offset(hits.skip);
        Ok(page)
    }

    /// How SQLite would answer the first page of a search.
    #[cfg(test)]
    pub(in crate::index) async fn mint_plan(&self, wanted: &Wanted) -> Result<String> {
        let page = self.page_of(wanted, Hits { limit: 50, skip: 0 })?;
        let reader = &self.index.reader;
        let statement = reader.get_database_backend().build(&page);
        let statement = sea_orm::Statement {
            sql: format!("EXPLAIN QUERY PLAN {}", statement.sql),
            ..statement
        };
        let rows = reader.query_all_raw(statement).await.map_err(failed)?;
        let lines: Result<Vec<String>> = rows.iter().map(|row| get(row, "detail")).collect();
        Ok(lines?.join("\n"))
    }

    fn fitting(&self, wanted: &Wanted) -> Result<SelectStatement> {
        let owner = self.access.facility_id().0;
        let last = Expr::col(("c", "study_id"))
            .equals(("s", "study_id"))
            .and(Expr::col(("c", "study_version")).equals(("s", "study_version")));
        let mut page = Sql::select();
        page.columns(["study_id", "study_instance_uid", "study_version"].map(|it| ("s", it)))
            .column(("c", "changed_at"))
            .from_as("study", "s")
            .join_as(JoinType::InnerJoin, "change", "c", last)
            // The guard says so as well; said here, it leads to the indexes of an owner.
            .and_where(Expr::col(("s", "owner_facility_id")).eq(owner))
            .and_where(Expr::col(("c", "owner_facility_id")).eq(owner))
            .and_where(own_row(self.access, At::Study("s")));
        if let Some(uid) = &wanted.study_instance_uid {
            page.and_where(Expr::col(("s", "study_instance_uid")).eq(uid.as_str()));
        }
        let texts = [
            (
                "accession_number",
                "accession_number_key",
                &wanted.accession_number,
            ),
            ("patient_id", "patient_id_key", &wanted.patient_id),
            (
                "issuer_of_patient_id",
                "issuer_of_patient_id_key",
                &wanted.patient_id_issuer,
            ),
        ];
        for (column, of_key, text) in texts {
            if let Some(text) = text {
                // By the key the index is read.
                page.and_where(Expr::col(("s", of_key)).eq(cut(key(text))))
                    .and_where(Expr::col(("s", column)).eq(text.as_str()));
            }
        }
        if let Some(day) = &wanted.min_date {
            page.and_where(Expr::col(("s", "study_date")).gte(day.as_str()));
        }
        if let Some(day) = &wanted.max_date {
            page.and_where(Expr::col(("s", "study_date")).gt(""))
                .and_where(Expr::col(("s", "study_date")).lt(day.as_str()));
        }
        for condition in self.within(&wanted.moments)? {
            page.and_where(condition);
        }
        Ok(page)
    }

    /// An interval of moments in UTC, as a search over DICOMweb writes it: each object in its own zone (Q27, Q28).
    fn within(&self, (from, to): &(Option<Moment>, Option<Moment>)) -> Result<Vec<Expr>> {
        if from.is_none() && to.is_none() {
            return Ok(Vec::new());
        }
        let part = |moment: &Option<Moment>, of: fn(&Moment) -> &String| {
            moment.as_ref().map(of).cloned().unwrap_or_default()
        };
        let text = format!(
            "StudyDate={}-{}&StudyTime={}-{}&TimezoneOffsetFromUTC=%2B0000",
            part(from, |it| &it.0),
            part(to, |it| &it.0),
            part(from, |it| &it.1),
            part(to, |it| &it.1),
        );
        let query = Query::parse(Level::Study, None, None, &text)?;
        Ok(conditions_of(self.access, &query))
    }
}

/// The version of a row of a search.
fn version_of(row: &QueryResult) -> Result<StudyVersion> {
    Ok(StudyVersion {
        study: StudyId(get(row, "study_id")?),
        changed_at: Timestamp(get(row, "changed_at")?),
        version: version(get(row, "study_version")?),
    })
}
