//! The kept columns of a batch (schema.md 5.4): read once a study, counted while the batch runs, written once.
//!
//! They are counted up and not counted anew: the transaction holds the rows of its studies. Only a study of which something
//! was replaced is counted anew in the end, since what went does not tell what is left.

use std::collections::{BTreeMap, HashMap};

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};

use super::Batch;
use crate::error::Result;
use crate::index::kept::{Kept, KeptOfStudy, modality, select_series};
use crate::index::record::NewInstance;
use crate::index::row::{failed, get, signed, uid};
use crate::index::{columns, parts};
use crate::model::{Clock, SeriesId, SeriesUid, StudyId, StudyUid, Tag};

const MODALITY: Tag = Tag(0x0008, 0x0060);

/// The studies of a batch, in the order in which they are locked and made.
pub(super) type Studies<'p> = BTreeMap<&'p str, KeptStudy<'p>>;

/// A series of the batch.
#[derive(Debug)]
pub(super) struct KeptSeries<'p> {
    pub(super) id: SeriesId,
    pub(super) modality: String,
    pub(super) kept: Kept,
    /// Whether something came to it.
    pub(super) is_touched: bool,
    /// Where the batch makes it: the instance whose attributes it has (Q72).
    pub(super) first: Option<&'p NewInstance>,
}

/// Whether the row of a study is there, and of use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row<'p> {
    /// It is.
    There,
    /// Of the study everything was erased: the row has nothing but its UID, and gets the attributes of this instance.
    Emptied(&'p NewInstance),
    /// The batch makes it with the attributes of this instance.
    New(&'p NewInstance),
}

/// A study of the batch.
#[derive(Debug)]
pub(super) struct KeptStudy<'p> {
    pub(super) id: StudyId,
    pub(super) row: Row<'p>,
    /// As the series repeat it.
    pub(super) date: String,
    /// The version that this batch makes.
    pub(super) version: i32,
    pub(super) series: HashMap<SeriesUid, KeptSeries<'p>>,
    /// Whether something came to it.
    pub(super) is_touched: bool,
    /// Whether an instance of it was replaced.
    pub(super) was_replaced: bool,
    /// Whether anything of it lived before.
    pub(super) was_visible: bool,
}

impl KeptSeries<'_> {
    fn count(&mut self, new: &NewInstance) {
        let bytes = signed(new.range.end.saturating_sub(new.range.start)).unwrap_or(i64::MAX);
        let kept = &mut self.kept;
        kept.instances = kept.instances.saturating_add(1);
        kept.bytes = kept.bytes.saturating_add(bytes);
        kept.class_mask |= new.class.bit();
        if !kept.sop_classes.contains(new.sop_class.as_str()) {
            kept.sop_classes.insert(new.sop_class.to_string());
        }
        self.is_touched = true;
    }
}

impl<'p> KeptStudy<'p> {
    /// A study that the batch makes of what its first instance says (Q72).
    pub(super) fn new(clock: &Clock, first: &'p NewInstance) -> Self {
        Self {
            id: StudyId(clock.new_id()),
            row: Row::New(first),
            date: columns::study_date(&first.attributes),
            version: 1,
            series: HashMap::new(),
            is_touched: false,
            was_replaced: false,
            was_visible: false,
        }
    }

    /// Notes that something comes to it, `first` before all else.
    pub(super) fn touch(&mut self, first: &'p NewInstance) {
        self.is_touched = true;
        if self.series.is_empty() && matches!(self.row, Row::There) {
            self.row = Row::Emptied(first);
            self.date = columns::study_date(&first.attributes);
        }
    }

    /// Whether this batch is the first of the study: its packs are as they should be, nothing came before.
    pub(super) fn is_made_at_once(&self) -> bool {
        self.version == 1
    }

    /// The instance whose attributes the study gets from this batch.
    pub(super) fn first(&self) -> Option<&'p NewInstance> {
        match self.row {
            Row::There => None,
            Row::Emptied(first) | Row::New(first) => Some(first),
        }
    }

    /// What is new to search inside.
    pub(super) fn texts(&self) -> Vec<(parts::Kind, String)> {
        self.first()
            .map(|first| parts::texts(&first.attributes))
            .unwrap_or_default()
    }

    /// Counts an instance, whose series is made where it is not there.
    pub(super) fn count(&mut self, clock: &Clock, new: &'p NewInstance) {
        if !self.series.contains_key(&new.series) {
            let modality = new.attributes.text(MODALITY).unwrap_or_default();
            let series = KeptSeries {
                id: SeriesId(clock.new_id()),
                modality: modality.trim().to_owned(),
                kept: Kept::default(),
                is_touched: false,
                first: Some(new),
            };
            self.series.insert(new.series.clone(), series);
        }
        if let Some(series) = self.series.get_mut(&new.series) {
            series.count(new);
        }
    }

    /// What is kept of it over its series.
    pub(super) fn sum(&self) -> KeptOfStudy {
        let mut sum = KeptOfStudy::default();
        for series in self.series.values() {
            sum.add(&series.modality, &series.kept);
        }
        sum
    }
}

impl Batch<'_> {
    /// Those of `studies` that are there, with their series. Their rows are held: writers of one study wait for each other,
    /// and what is read of it afterwards stays true. On SQLite all writers do.
    pub(super) async fn find_studies<'p>(
        &self,
        studies: impl Iterator<Item = &'p StudyUid>,
    ) -> Result<Studies<'p>> {
        let asked: BTreeMap<&str, &'p StudyUid> = studies.map(|uid| (uid.as_str(), uid)).collect();
        let select = Query::select()
            .columns(["study_id", "study_instance_uid", "study_date"])
            .columns(["study_version", "instance_count"])
            .from("study")
            .and_where(Expr::col("owner_facility_id").eq(self.owner.0))
            .and_where(Expr::col("study_instance_uid").is_in(asked.keys().copied()))
            // In one order, or two batches wait for each other.
            .order_by("study_instance_uid", Order::Asc)
            .lock_exclusive()
            .take();
        let rows = self.tx.query_all(&select).await.map_err(failed)?;
        let mut found = BTreeMap::new();
        for row in &rows {
            let text: String = get(row, "study_instance_uid")?;
            let Some((&uid, _)) = asked.get_key_value(text.as_str()) else {
                continue;
            };
            let study = KeptStudy {
                id: StudyId(get(row, "study_id")?),
                row: Row::There,
                date: get(row, "study_date")?,
                version: get::<i32>(row, "study_version")?.saturating_add(1),
                series: HashMap::new(),
                is_touched: false,
                was_replaced: false,
                was_visible: get::<i32>(row, "instance_count")? > 0,
            };
            found.insert(uid, study);
        }
        self.find_series(&mut found).await?;
        Ok(found)
    }

    async fn find_series(&self, studies: &mut Studies<'_>) -> Result<()> {
        if studies.is_empty() {
            return Ok(());
        }
        let mut select = select_series();
        let ids = studies.values().map(|study| study.id.0);
        select.and_where(Expr::col("study_id").is_in(ids));
        let mut series: HashMap<StudyId, HashMap<_, _>> = HashMap::new();
        for row in &self.tx.query_all(&select).await.map_err(failed)? {
            let kept = KeptSeries {
                id: SeriesId(get(row, "series_id")?),
                modality: modality(row)?,
                kept: Kept::read(row)?,
                is_touched: false,
                first: None,
            };
            let text: String = get(row, "series_instance_uid")?;
            let of_study = series.entry(StudyId(get(row, "study_id")?)).or_default();
            of_study.insert(uid(SeriesUid::parse(&text))?, kept);
        }
        for study in studies.values_mut() {
            study.series = series.remove(&study.id).unwrap_or_default();
        }
        Ok(())
    }
}
