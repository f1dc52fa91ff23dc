//! The patients of the studies that match, each once (dicomweb.md X04).
//!
//! A patient is a Patient ID under its issuer; the other attributes are those of the newest study. Studies without a Patient
//! ID are nobody's: they are found as studies only.

use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Order, Query as Sql, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use super::narrow::narrow;
use super::{matching, signed_offset};
use crate::auth::{Basis, Touched};
use crate::dicom::query::Query;
use crate::error::Result;
use crate::index::Catalog;
use crate::index::row::{failed, get, unsigned};
use crate::model::{AttributeSet, Tag, VR};

/// What is shown of a patient: column, attribute, value representation.
const SHOWN: [(&str, Tag, VR); 5] = [
    ("patient_name", PATIENT_NAME, VR::PN),
    ("patient_id", PATIENT_ID, VR::LO),
    ("issuer_of_patient_id", ISSUER_OF_PATIENT_ID, VR::LO),
    ("patient_birth_date", PATIENT_BIRTH_DATE, VR::DA),
    ("patient_sex", PATIENT_SEX, VR::CS),
];
const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const ISSUER_OF_PATIENT_ID: Tag = Tag(0x0010, 0x0021);
const PATIENT_BIRTH_DATE: Tag = Tag(0x0010, 0x0030);
const PATIENT_SEX: Tag = Tag(0x0010, 0x0040);
const PATIENT_RELATED_STUDIES: Tag = Tag(0x0020, 0x1200);

/// What a patient is.
const SAME: &str = "patient_id_key, COALESCE(issuer_of_patient_id_key, '')";

/// One page of patients.
#[derive(Clone, Debug)]
pub struct Patients {
    /// The patients, by number and issuer.
    pub rows: Vec<AttributeSet>,
    /// Whether there are more.
    pub has_more: bool,
    /// How many there are, where that was asked for.
    pub total: Option<u64>,
}

impl Catalog<'_> {
    /// The patients of the studies that match and that the caller may see, with how many of them there are.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn patients(&self, query: &Query) -> Result<Patients> {
        let narrow = narrow(self.index, self.access.facility_id(), query).await?;
        let mut studies = matching(self.access, query, &narrow.few);
        studies
            .columns(SHOWN.map(|(column, _, _)| ("s", column)))
            .columns(
                [
                    "patient_id_key",
                    "issuer_of_patient_id_key",
                    "study_date",
                    "study_time_key",
                    "study_instance_uid",
                ]
                .map(|column| ("s", column)),
            )
            .and_where(Expr::col(("s", "patient_id_key")).ne(""));
        let reader = &self.index.reader;
        let limit = u64::from(query.limit);
        let mut page = each_once(studies.clone());
        page.order_by("patient_id_key", Order::Asc)
            .order_by_expr(
                Expr::cust("COALESCE(issuer_of_patient_id_key, '')"),
                Order::Asc,
            )
            .limit(limit.saturating_add(1))
            .offset(signed_offset(query.offset));
        let mut rows = reader.query_all(&page).await.map_err(failed)?;
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > shown;
        rows.truncate(shown);
        let rows: Vec<AttributeSet> = rows
            .iter()
            .map(|row| self.patient(row))
            .collect::<Result<_>>()?;
        let total = if query.count || query.limit == 0 {
            let count = Sql::select()
                .expr_as(Expr::cust("COUNT(*)"), "n")
                .from_subquery(each_once(studies), "patients")
                .take();
            let row = reader.query_one(&count).await.map_err(failed)?;
            row.map(|row| unsigned(get(&row, "n")?)).transpose()?
        } else {
            None
        };
        Ok(Patients {
            rows,
            has_more,
            total,
        })
    }

    fn patient(&self, row: &QueryResult) -> Result<AttributeSet> {
        let mut attributes = AttributeSet::default();
        for (column, tag, vr) in SHOWN {
            let text: Option<String> = get(row, column)?;
            attributes.put(tag, vr, text.unwrap_or_default());
        }
        let studies: i64 = get(row, "studies")?;
        attributes.put(PATIENT_RELATED_STUDIES, VR::IS, studies.to_string());
        self.access.note(Touched {
            study: get(row, "study_instance_uid")?,
            basis: Basis::Own,
        });
        Ok(attributes)
    }
}

/// The newest study of each patient, with the number of all of them.
fn each_once(studies: SelectStatement) -> SelectStatement {
    let newest = format!(
        "ROW_NUMBER() OVER (PARTITION BY {SAME} ORDER BY study_date DESC, study_time_key DESC, study_instance_uid)"
    );
    let ranked = Sql::select()
        .column(Asterisk)
        .expr_as(Expr::cust(newest), "nth")
        .expr_as(
            Expr::cust(format!("COUNT(*) OVER (PARTITION BY {SAME})")),
            "studies",
        )
        .from_subquery(studies, "found")
        .take();
    Sql::select()
        .column(Asterisk)
        .from_subquery(ranked, "ranked")
        .and_where(Expr::col("nth").eq(1))
        .take()
}
