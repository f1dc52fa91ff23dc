//! Names in paths: taken as written, checked once.
//!
//! On GET a text that no UID can be is a resource that cannot exist: 404 (dicomweb.md R32).

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::index::catalog::{Instance, Scope};
use crate::model::{
    InstancePath, SeriesPath, SeriesUid, SopInstanceUid, StudyPath, StudyUid, UidError,
};

/// `{study}`.
#[derive(Debug, Deserialize)]
pub(super) struct StudyNames {
    study: String,
}

/// `{study}`, `{series}`.
#[derive(Debug, Deserialize)]
pub(super) struct SeriesNames {
    study: String,
    series: String,
}

/// `{study}`, `{series}`, `{instance}`.
#[derive(Debug, Deserialize)]
pub(super) struct InstanceNames {
    study: String,
    series: String,
    instance: String,
}

/// `{study}`, `{series}`, `{instance}` and what is wanted of the instance: a frame list or a bulk path.
#[derive(Debug, Deserialize)]
pub(super) struct PartNames {
    study: String,
    series: String,
    instance: String,
    /// The rest of the path, not yet read.
    pub part: String,
}

/// `{study}` and why it is rejected.
#[derive(Debug, Deserialize)]
pub(super) struct RejectStudyNames {
    #[serde(flatten)]
    names: StudyNames,
    /// Code and scheme, not yet read.
    pub code: String,
}

/// `{study}`, `{series}` and why it is rejected.
#[derive(Debug, Deserialize)]
pub(super) struct RejectSeriesNames {
    #[serde(flatten)]
    names: SeriesNames,
    /// Code and scheme, not yet read.
    pub code: String,
}

/// `{study}`, `{series}`, `{instance}` and why it is rejected.
#[derive(Debug, Deserialize)]
pub(super) struct RejectInstanceNames {
    #[serde(flatten)]
    names: InstanceNames,
    /// Code and scheme, not yet read.
    pub code: String,
}

impl RejectStudyNames {
    /// The path, if a UID can be named so.
    pub(super) fn path(&self) -> Result<StudyPath> {
        self.names.path()
    }
}

impl RejectSeriesNames {
    /// The path, if UIDs can be named so.
    pub(super) fn path(&self) -> Result<SeriesPath> {
        self.names.path()
    }
}

impl RejectInstanceNames {
    /// The path, if UIDs can be named so.
    pub(super) fn path(&self) -> Result<InstancePath> {
        self.names.path()
    }
}

impl StudyNames {
    /// Everything in the study.
    pub(super) fn scope(&self) -> Result<Scope> {
        Ok(Scope {
            study: self.path()?.study,
            series: None,
            instance: None,
        })
    }

    /// The path, if a UID can be named so.
    pub(super) fn path(&self) -> Result<StudyPath> {
        Ok(StudyPath {
            study: study(&self.study)?,
        })
    }
}

impl SeriesNames {
    /// Everything in the series.
    pub(super) fn scope(&self) -> Result<Scope> {
        let path = self.path()?;
        Ok(Scope {
            study: path.study,
            series: Some(path.series),
            instance: None,
        })
    }

    /// The path, if UIDs can be named so.
    pub(super) fn path(&self) -> Result<SeriesPath> {
        Ok(SeriesPath {
            study: study(&self.study)?,
            series: exact(&self.series, SeriesUid::parse)?,
        })
    }
}

impl InstanceNames {
    /// The instance alone.
    pub(super) fn scope(&self) -> Result<Scope> {
        let path = self.path()?;
        Ok(Scope {
            study: path.study,
            series: Some(path.series),
            instance: Some(path.instance),
        })
    }

    /// The path, if UIDs can be named so.
    pub(super) fn path(&self) -> Result<InstancePath> {
        instance(&self.study, &self.series, &self.instance)
    }
}

impl PartNames {
    /// The path of the instance, if UIDs can be named so.
    pub(super) fn path(&self) -> Result<InstancePath> {
        instance(&self.study, &self.series, &self.instance)
    }
}

/// The path of an instance.
pub(super) fn path_of(instance: &Instance) -> InstancePath {
    InstancePath {
        study: instance.study.clone(),
        series: instance.series.clone(),
        instance: instance.instance.clone(),
    }
}

fn study(text: &str) -> Result<StudyUid> {
    exact(text, StudyUid::parse)
}

fn instance(study_text: &str, series: &str, instance: &str) -> Result<InstancePath> {
    Ok(InstancePath {
        study: study(study_text)?,
        series: exact(series, SeriesUid::parse)?,
        instance: exact(instance, SopInstanceUid::parse)?,
    })
}

/// Padding, which a value has and a path has not, is no second name of the same thing.
fn exact<T>(text: &str, parse: fn(&str) -> Result<T, UidError>) -> Result<T> {
    if text.ends_with(['\0', ' ']) {
        return Err(Error::not_found());
    }
    parse(text).map_err(|_| Error::not_found())
}
