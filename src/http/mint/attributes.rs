//! Search with DICOM attributes in its answer, as it is deployed today (MINT 12.4): found like over DICOMweb, told like by MINT.

use std::sync::Arc;

use actix_web::HttpResponse;

use super::asked::{Asked, LONGEST_PAGE};
use super::xml;
use crate::auth::Access;
use crate::dicom::dictionary::{row_of, tag_of};
use crate::dicom::mint::answers::{FoundSeries, FoundStudy, attribute_results};
use crate::dicom::query::Query;
use crate::error::{Error, Result};
use crate::http::{Kura, respond};
use crate::index::search::Found;
use crate::model::{Attribute, AttributeSet, Level, StudyUid, Tag, VR};

/// Series or instances of one answer at most; whoever wants more asks for fewer studies.
const MOST_ROWS: u64 = 10_000;

const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);
const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);
const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
const TRANSFER_SYNTAX_UID: Tag = Tag(0x0002, 0x0010);
/// Of a row of a search: the one that is stored.
const AVAILABLE_TRANSFER_SYNTAX_UID: Tag = Tag(0x0008, 0x3002);

/// Parameters that the other search does not have: one of them makes it this one (MINT W01).
const ONLY_HERE: [&str; 10] = [
    "PatientName",
    "ModalitiesInStudy",
    "SeriesInstanceUID",
    "SeriesDescription",
    "StudyDescription",
    "InstitutionName",
    "InstitutionalDepartmentName",
    "PatientSex",
    "PatientBirthDate",
    "QueryLevel",
];

/// Parameters that are match keys, in the order in which they are told (MINT W02).
const KEYS: [&str; 12] = [
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "AccessionNumber",
    "ModalitiesInStudy",
    "SeriesInstanceUID",
    "SeriesDescription",
    "StudyDescription",
    "InstitutionName",
    "InstitutionalDepartmentName",
    "PatientSex",
    "PatientBirthDate",
];

/// What is always told of a study, a series and an instance beside their UIDs (MINT W05).
const ALWAYS: &str = "PatientName,PatientID,AvailableTransferSyntaxUID";

/// Whether a query string is of this kind.
pub(super) fn is_meant(asked: &Asked) -> bool {
    let given = |name: &&str| asked.value(name).is_some();
    ONLY_HERE.iter().any(given) || given(&"IncludeFields")
}

/// A search, checked.
struct Search {
    /// What is told.
    level: Level,
    level_name: &'static str,
    keys: Vec<(&'static str, String)>,
    include: String,
    studies: usize,
    query: Query,
}

/// Answers a search.
pub(super) async fn answer(
    kura: &Kura,
    access: &Arc<Access>,
    asked: &Asked,
) -> Result<HttpResponse> {
    let search = Search::of(asked)?;
    let mut page = kura.archive.search(access, &search.query, None).await?;
    for found in &mut page.rows {
        if search.query.shows_stored() {
            kura.archive
                .complete(access, &search.query, "", found)
                .await?;
        }
    }
    let mut studies = search.grouped(page.rows);
    studies.truncate(search.studies);
    let uids: Vec<&StudyUid> = studies.iter().map(|study| &study.uid).collect();
    let versions = kura.archive.catalog(access).mint_versions(&uids).await?;
    // One that is gone meanwhile is not told.
    let told = studies.into_iter().filter_map(|study| {
        Some(FoundStudy {
            version: *versions.get(&study.uid)?,
            attributes: study.attributes,
            series: study.series,
        })
    });
    let found: Vec<FoundStudy> = told.collect();
    let fields: Vec<String> = search
        .keys
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let fields = fields.join("&");
    let echo = [
        ("query_level", search.level_name),
        ("queryfields", &*fields),
        ("includefields", &*search.include),
    ];
    let mut response = HttpResponse::Ok();
    respond::list_headers(&mut response);
    Ok(xml(&mut response, attribute_results(&echo, &found)))
}

impl Search {
    fn of(asked: &Asked) -> Result<Self> {
        let levels = [
            ("STUDY", ("STUDY", Level::Study)),
            ("SERIES", ("SERIES", Level::Series)),
            ("INSTANCE", ("INSTANCE", Level::Instance)),
        ];
        let level = asked.word("QueryLevel", &levels)?;
        let (level_name, level) = level.unwrap_or(("STUDY", Level::Study));
        let mut keys: Vec<(&'static str, String)> = KEYS
            .into_iter()
            .filter_map(|name| Some((name, asked.text(name)?.to_owned())))
            .collect();
        // Both ends belong to the interval here.
        match (asked.day("min_study_date")?, asked.day("max_study_date")?) {
            (None, None) => {}
            (from, to) => {
                let day = |day: Option<&str>| day.unwrap_or_default().to_owned();
                keys.push(("StudyDate", format!("{}-{}", day(from), day(to))));
            }
        }
        let include = asked.text("IncludeFields").unwrap_or_default().to_owned();
        let studies = match asked.number("limit")? {
            None | Some(0) => LONGEST_PAGE,
            Some(limit) => limit.min(LONGEST_PAGE),
        };
        let query = query(level, &keys, &include, studies)?;
        Ok(Self {
            level,
            level_name,
            keys,
            include,
            studies: usize::try_from(studies).unwrap_or(usize::MAX),
            query,
        })
    }

    /// The rows by study, each with what it has of series and instances. Rows of one study, and of one series, stand together.
    fn grouped(&self, rows: Vec<Found>) -> Vec<Grouped> {
        let mut studies: Vec<Grouped> = Vec::new();
        let mut series_uid = None;
        for found in rows {
            if studies.last().is_none_or(|last| last.uid != found.study) {
                series_uid = None;
                studies.push(Grouped::of(&found));
            }
            let Some(study) = studies.last_mut() else {
                continue;
            };
            if self.level == Level::Study {
                continue;
            }
            if found.series.is_some() && series_uid != found.series {
                series_uid.clone_from(&found.series);
                study.series.push(FoundSeries {
                    attributes: of_series(&found),
                    instances: Vec::new(),
                });
            }
            if let Some(series) = study
                .series
                .last_mut()
                .filter(|_| self.level == Level::Instance)
            {
                series.instances.push(of_instance(&found));
            }
        }
        studies
    }
}

/// The search over DICOMweb that finds the same: of studies, unless a key or the answer is about what is below them.
fn query(
    level: Level,
    keys: &[(&'static str, String)],
    include: &str,
    studies: u64,
) -> Result<Query> {
    let is_below = |(name, _): &(&str, String)| name.starts_with("Series");
    let level = if keys.iter().any(is_below) {
        level.max(Level::Series)
    } else {
        level
    };
    let limit = if level == Level::Study {
        studies
    } else {
        MOST_ROWS
    };
    let known = include
        .split(',')
        .map(str::trim)
        .filter(|name| tag_of(name).is_some());
    let fields: Vec<&str> = [ALWAYS].into_iter().chain(known).collect();
    let mut text = format!(
        "limit={limit}&includedefaults=false&includefield={}",
        fields.join(",")
    );
    for (name, value) in keys {
        text.push('&');
        text.push_str(name);
        text.push('=');
        text.extend(value.bytes().map(|byte| format!("%{byte:02X}")));
    }
    Query::parse(level, None, None, &text)
        .map_err(|error| Error::invalid(error.detail().to_owned()))
}

/// What was found of a study.
struct Grouped {
    uid: StudyUid,
    attributes: AttributeSet,
    series: Vec<FoundSeries>,
}

impl Grouped {
    /// A study with the attributes of a row that are its own.
    fn of(found: &Found) -> Self {
        let mut attributes = of_level(found, Level::Study);
        attributes.put(STUDY_INSTANCE_UID, VR::UI, found.study.as_str());
        Self {
            uid: found.study.clone(),
            attributes,
            series: Vec::new(),
        }
    }
}

fn of_series(found: &Found) -> AttributeSet {
    let mut attributes = of_level(found, Level::Series);
    if let Some(uid) = &found.series {
        attributes.put(SERIES_INSTANCE_UID, VR::UI, uid.as_str());
    }
    attributes
}

fn of_instance(found: &Found) -> AttributeSet {
    let mut attributes = of_level(found, Level::Instance);
    if let Some(uid) = &found.instance {
        attributes.put(SOP_INSTANCE_UID, VR::UI, uid.as_str());
    }
    let stored = found.attributes.text(AVAILABLE_TRANSFER_SYNTAX_UID);
    if let Some(stored) = stored.map(str::to_owned) {
        attributes.put(TRANSFER_SYNTAX_UID, VR::UI, stored);
    }
    attributes
}

/// The attributes of a row that belong to a level; those without a row of the table are of instances.
fn of_level(found: &Found, level: Level) -> AttributeSet {
    let mut attributes = AttributeSet::default();
    for (tag, attribute) in found.attributes.iter() {
        let of_it = row_of(tag).map_or(Level::Instance, |row| row.level) == level;
        if let Attribute::Text { vr, text } = attribute
            && of_it
            && tag != AVAILABLE_TRANSFER_SYNTAX_UID
        {
            attributes.put(tag, *vr, text.clone());
        }
    }
    attributes
}
