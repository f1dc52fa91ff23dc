//! Whose studies they are: the registrations that their patient numbers name (SH-1, SH-1.1).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Cond, Expr, ExprTrait, Order, Query};
use uuid::Uuid;

use super::Batch;
use super::rows::NewRow;
use crate::error::Result;
use crate::index::facilities::insert_issuer;
use crate::index::record::NewInstance;
use crate::index::row::{failed, get};
use crate::model::{AttributeSet, RegistrationId, StudyId, Tag};

const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const ISSUER_OF_PATIENT_ID: Tag = Tag(0x0010, 0x0021);
const PATIENT_BIRTH_DATE: Tag = Tag(0x0010, 0x0030);
const PATIENT_SEX: Tag = Tag(0x0010, 0x0040);

/// The namespace of a patient number.
#[derive(Clone, Copy)]
struct Issuer {
    id: Uuid,
    /// Of nobody here: somebody has to look at it.
    is_foreign: bool,
}

/// A patient number under its issuer.
type Number<'p> = (Uuid, &'p str);

fn text(attributes: &AttributeSet, tag: Tag) -> Option<&str> {
    let text = attributes.text(tag)?.trim();
    (!text.is_empty()).then_some(text)
}

/// How an issuer that is none of the facility's own is kept.
fn foreign(named: Option<&str>) -> String {
    format!("foreign:{}", named.unwrap_or_default())
}

impl Batch<'_> {
    /// Makes or finds the registrations of studies, each given by its first instance. None where there is no patient
    /// number: empty numbers never make two people one (T25).
    pub(super) async fn registrations<'p>(
        &self,
        studies: impl Iterator<Item = (StudyId, &'p NewInstance)>,
    ) -> Result<HashMap<StudyId, RegistrationId>> {
        let with_number = studies.filter_map(|(study, first)| {
            let number = text(&first.attributes, PATIENT_ID)?;
            let issuer = text(&first.attributes, ISSUER_OF_PATIENT_ID);
            Some((study, first, issuer, number))
        });
        let with_number: Vec<_> = with_number.collect();
        if with_number.is_empty() {
            return Ok(HashMap::new());
        }
        let named = with_number.iter().map(|(.., issuer, _)| *issuer).collect();
        let issuers = self.issuers(named).await?;
        let mut wanted: BTreeMap<Number<'p>, (&NewInstance, Issuer)> = BTreeMap::new();
        for (_, first, issuer, number) in &with_number {
            let issuer = issuers[issuer];
            wanted
                .entry((issuer.id, *number))
                .or_insert((*first, issuer));
        }
        let made = self.make_registrations(&wanted).await?;
        let of_studies = with_number.iter().filter_map(|(study, _, issuer, number)| {
            let registration = made.get(&(issuers[issuer].id, *number))?;
            Some((*study, *registration))
        });
        Ok(of_studies.collect())
    }

    /// The registrations of patient numbers; those that are not there are made of what an instance says, in one order.
    async fn make_registrations<'p>(
        &self,
        wanted: &BTreeMap<Number<'p>, (&NewInstance, Issuer)>,
    ) -> Result<HashMap<Number<'p>, RegistrationId>> {
        let is_it = |(issuer, number): &Number<'_>| {
            let issuer = Expr::col("issuer_id").eq(*issuer);
            issuer.and(Expr::col("patient_id").eq(*number))
        };
        let any = wanted
            .keys()
            .fold(Cond::any(), |any, key| any.add(is_it(key)));
        let there = Query::select()
            .columns(["registration_id", "issuer_id", "patient_id"])
            .from("registration")
            .cond_where(any)
            .take();
        let mut there_already: HashMap<(Uuid, String), RegistrationId> = HashMap::new();
        for row in &self.tx.query_all(&there).await.map_err(failed)? {
            let key = (get(row, "issuer_id")?, get(row, "patient_id")?);
            there_already.insert(key, RegistrationId(get(row, "registration_id")?));
        }
        let (mut found, mut rows) = (HashMap::new(), Vec::new());
        for (key, (first, issuer)) in wanted {
            if let Some(id) = there_already.get(&(key.0, key.1.to_owned())) {
                found.insert(*key, *id);
                continue;
            }
            let id = RegistrationId(self.clock.new_id());
            found.insert(*key, id);
            let of_first = |tag| text(&first.attributes, tag);
            rows.push(NewRow::new([
                ("registration_id", id.0.into()),
                ("issuer_id", issuer.id.into()),
                ("facility_id", self.owner.0.into()),
                ("patient_id", key.1.into()),
                ("patient_name", of_first(PATIENT_NAME).into()),
                ("patient_birth_date", of_first(PATIENT_BIRTH_DATE).into()),
                ("patient_sex", of_first(PATIENT_SEX).into()),
                ("is_placeholder", false.into()),
                ("twin_risk", false.into()),
                ("needs_reconcile", issuer.is_foreign.into()),
                ("version", 1_i32.into()),
            ]));
        }
        self.insert_all("registration", rows).await?;
        Ok(found)
    }

    /// The issuers that objects name: each one of the facility's own, its default where the object is silent, otherwise
    /// `foreign:` and what it says, which is made where it is not there.
    async fn issuers<'p>(
        &self,
        named: BTreeSet<Option<&'p str>>,
    ) -> Result<HashMap<Option<&'p str>, Issuer>> {
        let is_known = Expr::col("is_foreign").eq(false);
        let as_foreign = named.iter().map(|name| foreign(*name));
        let select = Query::select()
            .columns(["issuer_id", "value", "is_foreign"])
            .from("issuer")
            .and_where(Expr::col("facility_id").eq(self.owner.0))
            .and_where(is_known.or(Expr::col("value").is_in(as_foreign)))
            .order_by("position", Order::Asc)
            .take();
        let mut known: Vec<(String, Issuer)> = Vec::new();
        for row in &self.tx.query_all(&select).await.map_err(failed)? {
            let issuer = Issuer {
                id: get(row, "issuer_id")?,
                is_foreign: get(row, "is_foreign")?,
            };
            known.push((get(row, "value")?, issuer));
        }
        let mut issuers = HashMap::new();
        for name in named {
            let own = known.iter().find(|(value, issuer)| {
                !issuer.is_foreign && name.is_none_or(|name| name == value)
            });
            let as_foreign = foreign(name);
            let is_kept = || known.iter().find(|(value, _)| *value == as_foreign);
            let issuer = match own.or_else(is_kept) {
                Some((_, issuer)) => *issuer,
                None => self.make_issuer(&as_foreign).await?,
            };
            issuers.insert(name, issuer);
        }
        Ok(issuers)
    }

    async fn make_issuer(&self, value: &str) -> Result<Issuer> {
        let id = self.clock.new_id();
        self.execute(&insert_issuer(id, self.owner, value, None))
            .await?;
        Ok(Issuer {
            id,
            is_foreign: true,
        })
    }
}
