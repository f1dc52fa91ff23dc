//! Names in paths. What no study can be called is a resource that cannot exist: 404.

use actix_web::HttpRequest;
use serde::Deserialize;
use uuid::Uuid;

use crate::dicom::mint::TYPE;
use crate::error::{Error, Result};
use crate::http::urls::ends_in_slash;
use crate::model::{JobId, StudyId};

/// `{uuid}`.
#[derive(Debug, Deserialize)]
pub(super) struct StudyNames {
    uuid: String,
}

impl StudyNames {
    /// The study, if it can be named so.
    pub(super) fn study(&self) -> Result<StudyId> {
        study(&self.uuid)
    }
}

/// `{job}`.
#[derive(Debug, Deserialize)]
pub(super) struct JobNames {
    job: String,
}

impl JobNames {
    /// The job, if it can be named so.
    pub(super) fn job(&self) -> Result<JobId> {
        study(&self.job).map(|StudyId(id)| JobId(id))
    }
}

/// `{uuid}` and `{type}`.
#[derive(Debug, Deserialize)]
pub(super) struct TypeNames {
    uuid: String,
    #[serde(rename = "type")]
    kind: String,
}

impl TypeNames {
    /// The study, if it can be named so.
    pub(super) fn study(&self) -> Result<StudyId> {
        study(&self.uuid)
    }

    /// Refuses a type that the study does not have (MINT X04).
    pub(super) fn check_type(&self) -> Result<()> {
        check_type(&self.kind)
    }
}

/// `{uuid}`, `{type}` and the ending of a document.
#[derive(Debug, Deserialize)]
pub(super) struct FormNames {
    uuid: String,
    #[serde(rename = "type")]
    kind: String,
    /// How it is encoded, not yet read.
    pub(super) form: String,
}

impl FormNames {
    /// The study, if it can be named so.
    pub(super) fn study(&self) -> Result<StudyId> {
        study(&self.uuid)
    }

    /// Refuses a type that the study does not have (MINT X04).
    pub(super) fn check_type(&self) -> Result<()> {
        check_type(&self.kind)
    }
}

/// `{uuid}` and a change of the study.
#[derive(Debug, Deserialize)]
pub(super) struct ChangeNames {
    uuid: String,
    /// Its number and perhaps an ending, not yet read.
    pub(super) change: String,
}

impl ChangeNames {
    /// The study, if it can be named so.
    pub(super) fn study(&self) -> Result<StudyId> {
        study(&self.uuid)
    }
}

/// `{uuid}`, `{type}` and which items.
#[derive(Debug, Deserialize)]
pub(super) struct ItemNames {
    uuid: String,
    #[serde(rename = "type")]
    kind: String,
    /// Numbers and ranges, not yet read.
    pub(super) list: String,
}

impl ItemNames {
    /// The study, if it can be named so.
    pub(super) fn study(&self) -> Result<StudyId> {
        study(&self.uuid)
    }

    /// Refuses a type that the study does not have (MINT X04).
    pub(super) fn check_type(&self) -> Result<()> {
        check_type(&self.kind)
    }
}

fn check_type(name: &str) -> Result<()> {
    match ending_of_type(name) {
        Some("") => Ok(()),
        Some(_) | None => Err(Error::not_found()),
    }
}

/// A UUID in its canonical form, in either case (MINT N15).
fn study(text: &str) -> Result<StudyId> {
    let id = Uuid::try_parse(text).map_err(|_| Error::not_found())?;
    let is_canonical = text.len() == uuid::fmt::Hyphenated::LENGTH;
    if is_canonical {
        Ok(StudyId(id))
    } else {
        Err(Error::not_found())
    }
}

/// Refuses a path that ends in a slash, which names nothing below a study (MINT N13).
pub(super) fn without_slash(request: &HttpRequest) -> Result<()> {
    if ends_in_slash(request) {
        return Err(Error::not_found());
    }
    Ok(())
}

/// The ending of the only type that there is, behind its name: `None` for another type (MINT X04, X11).
pub(super) fn ending_of_type(name: &str) -> Option<&str> {
    name.strip_prefix(TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mint_n15_a_study_is_named_by_a_canonical_uuid_in_either_case() {
        let id = "44c8dc9e-0865-4552-ad66-c4369903db91";
        assert_eq!(study(id).unwrap(), study(&id.to_uppercase()).unwrap());
        for text in [
            "",
            "1.2.3",
            "44c8dc9e08654552ad66c4369903db91",
            "{44c8dc9e-0865-4552-ad66-c4369903db91}",
            "urn:uuid:44c8dc9e-0865-4552-ad66-c4369903db91",
            "44c8dc9e-0865-4552-ad66-c4369903db9",
            "44c8dc9e-0865-4552-ad66-c4369903db9g",
        ] {
            assert!(study(text).is_err(), "{text}");
        }
    }
}
