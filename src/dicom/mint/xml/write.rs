//! A document → XML, piece by piece to the end of a buffer.
//!
//! Every container is written, empty or not: readers of the first version fail without them (MINT M14).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dicom::mint::document::{
    Attribute, Instance, Node, Series, SeriesFacts, Study, StudyFacts, Value,
};
use crate::dicom::mint::tags::Tags;
use crate::model::{Tag, VR};

/// Up to the first series.
pub fn study_start(facts: &StudyFacts, attributes: &[Attribute], out: &mut Vec<u8>) {
    edit(out, |tags| {
        tags.begin("study");
        tags.text("studyInstanceUID", &facts.study_instance_uid);
        if let Some(document_type) = &facts.document_type {
            tags.text("type", document_type);
        }
        if let Some(version) = facts.version {
            tags.number("version", version);
        }
        count(tags, facts.instance_count);
        tags.inside();
        list(tags, "attributes", attributes);
        tags.element("seriesList");
    });
}

/// Up to the first instance of a series.
pub fn series_start(
    facts: &SeriesFacts,
    attributes: &[Attribute],
    normalized: &[Attribute],
    out: &mut Vec<u8>,
) {
    edit(out, |tags| {
        series_tag(tags, facts);
        list(tags, "attributes", attributes);
        list(tags, "normalizedInstanceAttributes", normalized);
        tags.element("instances");
    });
}

/// An instance.
pub fn instance(instance: &Instance, out: &mut Vec<u8>) {
    edit(out, |tags| {
        tags.open("instance");
        tags.text("sopInstanceUID", &instance.sop_instance_uid);
        if let Some(uid) = &instance.transfer_syntax_uid {
            tags.text("transferSyntaxUID", uid);
        }
        exclude(tags, instance.exclude);
        tags.inside();
        list(tags, "attributes", &instance.attributes);
        tags.close("instance");
    });
}

/// What follows the last instance of a series.
pub fn series_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</instances></series>");
}

/// What follows the last series.
pub fn study_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</seriesList></study>\n");
}

/// The study and its series without what is below them (mint.md 5.3).
pub fn summary(study: &Study) -> Vec<u8> {
    let mut out = Vec::new();
    study_start(&study.facts, &study.attributes, &mut out);
    edit(&mut out, |tags| {
        for Series {
            facts, attributes, ..
        } in &study.series
        {
            series_tag(tags, facts);
            list(tags, "attributes", attributes);
            tags.close("series");
        }
    });
    study_end(&mut out);
    out
}

/// Writes with `Tags` to the end of `out`.
fn edit(out: &mut Vec<u8>, write: impl FnOnce(&mut Tags)) {
    let mut tags = Tags {
        out: std::mem::take(out),
    };
    write(&mut tags);
    *out = tags.out;
}

fn series_tag(tags: &mut Tags, facts: &SeriesFacts) {
    tags.open("series");
    tags.text("seriesInstanceUID", &facts.series_instance_uid);
    exclude(tags, facts.exclude);
    count(tags, facts.instance_count);
    tags.inside();
}

fn count(tags: &mut Tags, instances: Option<u32>) {
    if let Some(instances) = instances {
        tags.number("instanceCount", u64::from(instances));
    }
}

fn exclude(tags: &mut Tags, exclude: bool) {
    if exclude {
        tags.text("exclude", "true");
    }
}

fn list(tags: &mut Tags, name: &str, attributes: &[Attribute]) {
    tags.element(name);
    for attribute in attributes {
        if let Value::Items(nodes) = &attribute.value {
            sequence(tags, attribute, nodes);
        } else {
            plain(tags, attribute);
        }
    }
    tags.close(name);
}

fn sequence(tags: &mut Tags, attribute: &Attribute, nodes: &[Node]) {
    begin(tags, attribute.tag, VR::SQ);
    exclude(tags, attribute.exclude);
    if nodes.is_empty() {
        return tags.empty();
    }
    tags.inside();
    for node in nodes {
        match node {
            Node::Attribute(attribute) => plain(tags, attribute),
            Node::SequenceStart(tag) => {
                begin(tags, *tag, VR::SQ);
                tags.inside();
            }
            Node::ItemStart => {
                tags.element("item");
                tags.element("attributes");
            }
            Node::ItemEnd => {
                tags.close("attributes");
                tags.close("item");
            }
            Node::SequenceEnd => tags.close("attr"),
        }
    }
    tags.close("attr");
}

fn plain(tags: &mut Tags, attribute: &Attribute) {
    begin(tags, attribute.tag, attribute.vr);
    match &attribute.value {
        Value::Empty | Value::Items(_) => {}
        Value::Text(text) => tags.text("val", text),
        Value::Bytes(bytes) => tags.text("bytes", &STANDARD.encode(bytes)),
        Value::Number { text, bytes } => {
            tags.text("val", text);
            tags.text("bytes", &STANDARD.encode(bytes));
        }
        Value::Bulk(bulk) => {
            tags.number("bid", u64::from(bulk.item));
            if let Some(size) = bulk.size {
                tags.number("bsize", u64::from(size));
            }
            if bulk.frames > 1 {
                tags.number("framecount", u64::from(bulk.frames));
            }
        }
    }
    exclude(tags, attribute.exclude);
    tags.empty();
}

fn begin(tags: &mut Tags, tag: Tag, vr: VR) {
    tags.open("attr");
    tags.tag(tag);
    tags.text("vr", vr.to_string());
}
