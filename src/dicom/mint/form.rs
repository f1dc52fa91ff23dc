//! The two forms of a document, and what both can do.

use std::io::BufRead;

use super::document::{Attribute, Instance, Part, SeriesFacts, Study, StudyFacts};
use super::{gpb, xml};
use crate::Result;

/// How a document is written.
///
/// A document of many instances is written in pieces: [`study_start`](Self::study_start), for each series
/// [`series_start`](Self::series_start), its instances and [`series_end`](Self::series_end), then
/// [`study_end`](Self::study_end). The length of the instances of a series has to be known where the series starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// XML (mint.md 10.2).
    Xml,
    /// Protobuf (mint.md 10.3).
    Protobuf,
}

impl Form {
    /// Reads a document to its end, part by part.
    ///
    /// # Errors
    /// `Kind::Invalid` if it is no document or asks for more than [`limits`](super::limits); what `take` refuses;
    /// `Kind::Unavailable` if it cannot be read.
    pub fn read(self, from: impl BufRead, take: impl FnMut(Part) -> Result<()>) -> Result<()> {
        match self {
            Self::Xml => xml::read(from, take),
            Self::Protobuf => gpb::read(from, take),
        }
    }

    /// Reads a document in whole.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn study(self, from: impl BufRead) -> Result<Study> {
        let mut study = Study::default();
        self.read(from, |part| {
            study.add(part);
            Ok(())
        })?;
        Ok(study)
    }

    /// Writes up to the first series.
    pub fn study_start(self, facts: &StudyFacts, attributes: &[Attribute], out: &mut Vec<u8>) {
        match self {
            Self::Xml => xml::study_start(facts, attributes, out),
            Self::Protobuf => gpb::study_start(facts, attributes, out),
        }
    }

    /// Writes up to the first instance of a series, whose instances are `instances_len` bytes in this form.
    pub fn series_start(
        self,
        facts: &SeriesFacts,
        attributes: &[Attribute],
        normalized: &[Attribute],
        instances_len: u64,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Xml => xml::series_start(facts, attributes, normalized, out),
            Self::Protobuf => {
                gpb::series_start(facts, attributes, normalized, instances_len, out);
            }
        }
    }

    /// Writes an instance.
    pub fn instance(self, instance: &Instance, out: &mut Vec<u8>) {
        match self {
            Self::Xml => xml::instance(instance, out),
            Self::Protobuf => gpb::instance(instance, out),
        }
    }

    /// Writes what follows the last instance of a series.
    pub fn series_end(self, facts: &SeriesFacts, out: &mut Vec<u8>) {
        match self {
            Self::Xml => xml::series_end(out),
            Self::Protobuf => gpb::series_end(facts, out),
        }
    }

    /// Writes what follows the last series.
    pub fn study_end(self, facts: &StudyFacts, out: &mut Vec<u8>) {
        match self {
            Self::Xml => xml::study_end(out),
            Self::Protobuf => gpb::study_end(facts, out),
        }
    }

    /// A document in whole.
    pub fn document(self, study: &Study) -> Vec<u8> {
        let mut out = Vec::new();
        self.study_start(&study.facts, &study.attributes, &mut out);
        for series in &study.series {
            let mut instances = Vec::new();
            for instance in &series.instances {
                self.instance(instance, &mut instances);
            }
            let len = u64::try_from(instances.len()).unwrap_or(u64::MAX);
            let (attributes, normalized) = (&series.attributes, &series.normalized);
            self.series_start(&series.facts, attributes, normalized, len, &mut out);
            out.append(&mut instances);
            self.series_end(&series.facts, &mut out);
        }
        self.study_end(&study.facts, &mut out);
        out
    }
}
