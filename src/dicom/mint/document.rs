//! A study as one document: what XML and protobuf both say (mint.md 10.1).
//!
//! ```text
//! Study        attributes
//! └ Series     attributes, attributes that all of its instances have in common
//!   └ Instance attributes
//! ```
//!
//! What a sequence holds is a flat list of nodes, as in [`Head`](crate::dicom::head::Head): sequences nest as deeply as a
//! sender likes, and nothing here recurses. A document of many instances need not be held in whole: readers pass it on as a
//! run of [`Part`]s.

use crate::model::{Tag, VR};

/// A document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Study {
    /// What it says of itself.
    pub facts: StudyFacts,
    /// Attributes that hold for every instance.
    pub attributes: Vec<Attribute>,
    /// Its series.
    pub series: Vec<Series>,
}

/// What a document says of its study beside attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StudyFacts {
    /// Study Instance UID.
    pub study_instance_uid: String,
    /// The type of metadata; `None` where a protobuf document leaves it out.
    pub document_type: Option<String>,
    /// The version, in answers; −1 is read as none (MINT U22).
    pub version: Option<u64>,
    /// The number of instances, in answers.
    pub instance_count: Option<u32>,
}

/// A series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What it says of itself.
    pub facts: SeriesFacts,
    /// Attributes that hold for every instance of it.
    pub attributes: Vec<Attribute>,
    /// Attributes of the instances, said once for all of them.
    pub normalized: Vec<Attribute>,
    /// Its instances.
    pub instances: Vec<Instance>,
}

/// What a document says of a series beside attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesFacts {
    /// Series Instance UID.
    pub series_instance_uid: String,
    /// Whether an update takes it out.
    pub exclude: bool,
    /// The number of its instances, in answers.
    pub instance_count: Option<u32>,
}

/// An instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instance {
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Transfer Syntax UID; `None` where a protobuf document leaves it out.
    pub transfer_syntax_uid: Option<String>,
    /// Whether an update takes it out.
    pub exclude: bool,
    /// Attributes of its own.
    pub attributes: Vec<Attribute>,
}

/// An attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Its tag.
    pub tag: Tag,
    /// Its value representation; what protobuf leaves out is that of the dictionary.
    pub vr: VR,
    /// Whether an update takes it out.
    pub exclude: bool,
    /// Its value.
    pub value: Value,
}

/// The value of an attribute: one of these and never two (mint.md 10.1).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// None.
    Empty,
    /// Unicode text, values joined by backslashes (`val`). Empty where the object has nothing but blanks.
    Text(String),
    /// Bytes in the byte order of the transfer syntax (`bytes`).
    Bytes(Vec<u8>),
    /// FL and FD: decimal text, and the bytes that count (`val` and `bytes`).
    Number {
        /// The numbers for people.
        text: String,
        /// The numbers.
        bytes: Vec<u8>,
    },
    /// Binary items (`bid`, `bsize`, `framecount`).
    Bulk(Bulk),
    /// The items of a sequence: from the start of the first to the end of the last.
    Items(Vec<Node>),
}

/// Consecutive binary items that are one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// The number of the first.
    pub item: u32,
    /// The length of the whole value in bytes; `None` where it is not said.
    pub size: Option<u32>,
    /// How many there are, at least 1.
    pub frames: u32,
}

/// One step through the items of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// An attribute that is no sequence.
    Attribute(Attribute),
    /// A sequence begins; its items follow.
    SequenceStart(Tag),
    /// An item begins; its attributes follow.
    ItemStart,
    /// The item ends.
    ItemEnd,
    /// The sequence ends.
    SequenceEnd,
}

/// A piece of a document that is read, in the order of the document.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Some of the study's attributes.
    Attributes(Vec<Attribute>),
    /// A series begins.
    SeriesStart,
    /// Some attributes of the series that is open.
    SeriesAttributes(Vec<Attribute>),
    /// Some of what the instances of the series that is open have in common.
    Normalized(Vec<Attribute>),
    /// The next instance of the series that is open.
    Instance(Instance),
    /// The series ends. Protobuf may say only here which one it was.
    SeriesEnd(SeriesFacts),
    /// The document ends. Protobuf says its type and version here (MINT D12).
    End(StudyFacts),
}

/// The largest number of a binary item, and the longest value whose length is said: the readers in Java know no sign-less
/// numbers (MINT D13).
pub const MAX_NUMBER: u32 = i32::MAX.unsigned_abs();

impl Attribute {
    /// An attribute with a value.
    pub fn new(tag: Tag, vr: VR, value: Value) -> Self {
        Self {
            tag,
            vr,
            exclude: false,
            value,
        }
    }

    /// Itself and, where it is a sequence, the attributes in it at any depth, in order.
    pub fn nested(&self) -> impl Iterator<Item = &Self> {
        let nodes: &[Node] = if let Value::Items(nodes) = &self.value {
            nodes
        } else {
            &[]
        };
        let inside = nodes.iter().filter_map(|node| {
            if let Node::Attribute(attribute) = node {
                Some(attribute)
            } else {
                None
            }
        });
        std::iter::once(self).chain(inside)
    }

    /// The binary items that it refers to, at any depth, in order.
    pub fn bulks(&self) -> impl Iterator<Item = &Bulk> {
        self.nested().filter_map(|attribute| attribute.value.bulk())
    }

    /// As [`bulks`](Self::bulks), to be changed.
    pub fn bulks_mut(&mut self) -> Vec<&mut Bulk> {
        match &mut self.value {
            Value::Bulk(bulk) => vec![bulk],
            Value::Items(nodes) => nodes.iter_mut().filter_map(Node::bulk_mut).collect(),
            Value::Empty | Value::Text(_) | Value::Bytes(_) | Value::Number { .. } => Vec::new(),
        }
    }
}

impl Value {
    fn bulk(&self) -> Option<&Bulk> {
        if let Self::Bulk(bulk) = self {
            Some(bulk)
        } else {
            None
        }
    }
}

impl Node {
    fn bulk_mut(&mut self) -> Option<&mut Bulk> {
        if let Self::Attribute(Attribute {
            value: Value::Bulk(bulk),
            ..
        }) = self
        {
            Some(bulk)
        } else {
            None
        }
    }
}

impl Study {
    /// Adds a piece that a reader passes on.
    pub fn add(&mut self, part: Part) {
        match part {
            Part::Attributes(attributes) => self.attributes.extend(attributes),
            Part::SeriesStart => self.series.push(Series::default()),
            Part::End(facts) => self.facts = facts,
            Part::SeriesAttributes(attributes) => {
                if let Some(series) = self.series.last_mut() {
                    series.attributes.extend(attributes);
                }
            }
            Part::Normalized(attributes) => {
                if let Some(series) = self.series.last_mut() {
                    series.normalized.extend(attributes);
                }
            }
            Part::Instance(instance) => {
                if let Some(series) = self.series.last_mut() {
                    series.instances.push(instance);
                }
            }
            Part::SeriesEnd(facts) => {
                if let Some(series) = self.series.last_mut() {
                    series.facts = facts;
                }
            }
        }
    }

    /// Brings everything into the order of answers: series and instances by UID as text, attributes by tag (mint.md 10.1).
    pub fn sort(&mut self) {
        sort(&mut self.attributes);
        self.series.sort_by(|a, b| {
            let uid = |series: &Series| series.facts.series_instance_uid.clone();
            uid(a).cmp(&uid(b))
        });
        for series in &mut self.series {
            sort(&mut series.attributes);
            sort(&mut series.normalized);
            let instances = &mut series.instances;
            instances.sort_by(|a, b| a.sop_instance_uid.cmp(&b.sop_instance_uid));
            for instance in instances {
                sort(&mut instance.attributes);
            }
        }
    }
}

/// Brings attributes into the order of their tags; equal ones keep theirs.
pub(super) fn sort(attributes: &mut [Attribute]) {
    attributes.sort_by_key(|attribute| (attribute.tag.0, attribute.tag.1));
}
