//! The elements that are open while a document is read, and what may stand in each (mint.md 10.1).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::read::Marks;
use crate::dicom::mint::document::{
    Attribute, Instance, Node, Part, SeriesFacts, StudyFacts, Value,
};
use crate::dicom::mint::limits::{Counted, MAX_LEVELS, too_deep};
use crate::dicom::mint::raw::{self, Raw};
use crate::model::{Tag, VR};
use crate::{Error, Result};

/// Why a document is not read on.
pub(super) enum Wrong {
    /// Something stands where it does not belong.
    Here(&'static str),
    /// What is wrong names itself.
    Refused(Error),
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// An element that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Study,
    SeriesList,
    Series,
    Instances,
    Instance,
    /// The attributes of a level, of which level it is.
    Attributes(Level),
    /// An attribute of a level that is no sequence.
    Plain,
    Sequence,
    Item,
    ItemAttributes,
}

/// Whose attributes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Study,
    Series,
    Normalized,
    Instance,
}

/// A document that is being read.
pub(super) struct Document<F> {
    take: F,
    open: Vec<Open>,
    /// Containers that have been seen, innermost element last: a container comes once and in its order.
    seen: Vec<u8>,
    study: StudyFacts,
    series: SeriesFacts,
    instance: Instance,
    /// The attributes of the level that is open.
    attributes: Vec<Attribute>,
    counted: Counted,
    /// The sequence of the level that is open.
    sequence: Option<(Attribute, Vec<Node>)>,
    is_over: bool,
}

impl<F: FnMut(Part) -> Result<()>> Document<F> {
    pub(super) fn new(take: F) -> Self {
        Self {
            take,
            open: Vec::new(),
            seen: Vec::new(),
            study: StudyFacts::default(),
            series: SeriesFacts::default(),
            instance: Instance::default(),
            attributes: Vec::new(),
            counted: Counted::default(),
            sequence: None,
            is_over: false,
        }
    }

    /// Whether the root has ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// An element begins.
    pub(super) fn start(&mut self, name: &str, marks: &Marks<'_>) -> Result<(), Wrong> {
        let opened = match (self.open.last().copied(), name) {
            (None, "study") if !self.is_over => self.study(marks)?,
            (Some(Open::Study), "attributes") => self.level(1, Level::Study)?,
            (Some(Open::Study), "seriesList") => self.container(2, Open::SeriesList)?,
            (Some(Open::SeriesList), "series") => self.series(marks)?,
            (Some(Open::Series), "attributes") => self.level(1, Level::Series)?,
            (Some(Open::Series), "normalizedInstanceAttributes") => {
                self.level(2, Level::Normalized)?
            }
            (Some(Open::Series), "instances") => self.container(3, Open::Instances)?,
            (Some(Open::Instances), "instance") => self.instance(marks)?,
            (Some(Open::Instance), "attributes") => self.level(1, Level::Instance)?,
            (Some(Open::Attributes(_) | Open::ItemAttributes), "attr") => self.attribute(marks)?,
            (Some(Open::Sequence), "item") => self.item()?,
            (Some(Open::Item), "attributes") => self.container(1, Open::ItemAttributes)?,
            (Some(Open::Plain), "item") => {
                return Err(Wrong::Here("items in an attribute that is no sequence"));
            }
            _ => return Err(Wrong::Here("an element where none belongs")),
        };
        self.open.push(opened);
        self.seen.push(0);
        Ok(())
    }

    fn study(&mut self, marks: &Marks<'_>) -> Result<Open, Wrong> {
        self.study = StudyFacts {
            study_instance_uid: marks.need("studyInstanceUID")?,
            document_type: Some(marks.need("type")?),
            version: raw::version(&marks.get("version")?.unwrap_or_default())?,
            instance_count: marks.number("instanceCount")?,
        };
        Ok(Open::Study)
    }

    fn series(&mut self, marks: &Marks<'_>) -> Result<Open, Wrong> {
        self.series = SeriesFacts {
            series_instance_uid: marks.need("seriesInstanceUID")?,
            exclude: marks.is_excluded()?,
            instance_count: marks.number("instanceCount")?,
        };
        (self.take)(Part::SeriesStart)?;
        Ok(Open::Series)
    }

    fn instance(&mut self, marks: &Marks<'_>) -> Result<Open, Wrong> {
        self.instance = Instance {
            sop_instance_uid: marks.need("sopInstanceUID")?,
            transfer_syntax_uid: Some(marks.need("transferSyntaxUID")?),
            exclude: marks.is_excluded()?,
            attributes: Vec::new(),
        };
        Ok(Open::Instance)
    }

    /// A container that comes once, behind those of a lower `place`.
    fn container(&mut self, place: u8, opened: Open) -> Result<Open, Wrong> {
        match self.seen.last_mut() {
            Some(seen) if *seen < place => *seen = place,
            _ => return Err(Wrong::Here("elements out of their order")),
        }
        Ok(opened)
    }

    fn level(&mut self, place: u8, level: Level) -> Result<Open, Wrong> {
        self.counted = Counted::default();
        self.container(place, Open::Attributes(level))
    }

    fn item(&mut self) -> Result<Open, Wrong> {
        self.counted.add(0)?;
        self.push(Node::ItemStart);
        Ok(Open::Item)
    }

    fn push(&mut self, node: Node) {
        if let Some((_, nodes)) = &mut self.sequence {
            nodes.push(node);
        }
    }

    fn attribute(&mut self, marks: &Marks<'_>) -> Result<Open, Wrong> {
        let raw = raw_of(marks)?;
        self.counted.add(raw.len())?;
        let is_inside = self.sequence.is_some();
        if is_inside && raw.exclude {
            return Err(raw::excluded_inside(raw.tag()?).into());
        }
        if !raw.is_sequence(false)? {
            let attribute = raw.plain()?;
            if is_inside {
                self.push(Node::Attribute(attribute));
            } else {
                self.attributes.push(attribute);
            }
            return Ok(Open::Plain);
        }
        let tag = raw.tag()?;
        let depth = self.open.iter().filter(|open| **open == Open::Sequence);
        if depth.count() >= MAX_LEVELS {
            return Err(too_deep().into());
        }
        if is_inside {
            self.push(Node::SequenceStart(tag));
        } else {
            let mut attribute = Attribute::new(tag, VR::SQ, Value::Empty);
            attribute.exclude = raw.exclude;
            self.sequence = Some((attribute, Vec::new()));
        }
        Ok(Open::Sequence)
    }

    /// The innermost element ends.
    pub(super) fn end(&mut self) -> Result<(), Wrong> {
        self.seen.pop();
        let Some(ended) = self.open.pop() else {
            return Err(Wrong::Here("an end without a start"));
        };
        match ended {
            Open::SeriesList | Open::Instances | Open::Plain | Open::ItemAttributes => Ok(()),
            Open::Item => {
                self.push(Node::ItemEnd);
                Ok(())
            }
            Open::Sequence if self.open.contains(&Open::Sequence) => {
                self.push(Node::SequenceEnd);
                Ok(())
            }
            Open::Sequence => {
                if let Some((mut attribute, nodes)) = self.sequence.take() {
                    attribute.value = Value::Items(nodes);
                    self.attributes.push(attribute);
                }
                Ok(())
            }
            Open::Attributes(level) => self.level_end(level),
            Open::Instance => {
                let instance = std::mem::take(&mut self.instance);
                Ok((self.take)(Part::Instance(instance))?)
            }
            Open::Series => Ok((self.take)(Part::SeriesEnd(std::mem::take(
                &mut self.series,
            )))?),
            Open::Study => {
                self.is_over = true;
                Ok((self.take)(Part::End(std::mem::take(&mut self.study)))?)
            }
        }
    }

    fn level_end(&mut self, level: Level) -> Result<(), Wrong> {
        let attributes = std::mem::take(&mut self.attributes);
        if attributes.is_empty() {
            return Ok(());
        }
        let part = match level {
            Level::Study => Part::Attributes(attributes),
            Level::Series => Part::SeriesAttributes(attributes),
            Level::Normalized => Part::Normalized(attributes),
            Level::Instance => {
                self.instance.attributes = attributes;
                return Ok(());
            }
        };
        Ok((self.take)(part)?)
    }
}

/// What an `attr` says.
fn raw_of(marks: &Marks<'_>) -> Result<Raw, Wrong> {
    let tag = tag(&marks.need("tag")?);
    let tag = tag.ok_or(Wrong::Here(
        "a tag that is not up to eight hexadecimal digits",
    ))?;
    let bytes = marks.get("bytes")?.map(|base64| {
        let plain: String = base64.split_ascii_whitespace().collect();
        STANDARD.decode(plain)
    });
    let bytes = bytes.transpose();
    Ok(Raw {
        tag: Some(tag),
        vr: Some(raw::vr(&marks.need("vr")?)?),
        exclude: marks.is_excluded()?,
        text: marks.get("val")?,
        bytes: bytes.map_err(|_| Wrong::Here("bytes that are not base64"))?,
        item: marks.number("bid")?,
        size: marks.number("bsize")?,
        frames: marks.number("framecount")?,
    })
}

/// A tag of one to eight digits of either case (MINT V09).
fn tag(text: &str) -> Option<Tag> {
    let is_tag = text.len() <= 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let [a, b, c, d] = u32::from_str_radix(text, 16)
        .ok()
        .filter(|_| is_tag)?
        .to_be_bytes();
    Some(Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}
