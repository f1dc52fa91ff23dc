//! Preamble, magic and group 0002 (MINT P02).

use std::collections::BTreeMap;

use super::values::{Values, pad};
use crate::dicom::mint::document::{Attribute, Instance, Value};
use crate::dicom::part10::{
    IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, MAGIC, PREAMBLE_LEN,
};
use crate::model::transfer_syntax::Encoding;
use crate::model::{Tag, VR};

const GROUP: u16 = 0x0002;
const VERSION: u16 = 0x0001;
const SOP_CLASS_UID: u16 = 0x0002;
const SOP_INSTANCE_UID: u16 = 0x0003;
const TRANSFER_SYNTAX_UID: u16 = 0x0010;
const IMPLEMENTATION_CLASS: u16 = 0x0012;
const IMPLEMENTATION_VERSION: u16 = 0x0013;

/// Everything before the data set of a file in `transfer_syntax_uid`.
pub(super) fn group(
    all: &BTreeMap<(u16, u16), &Attribute>,
    instance: &Instance,
    transfer_syntax_uid: &str,
) -> Vec<u8> {
    let mut elements: BTreeMap<u16, (VR, Vec<u8>)> = BTreeMap::new();
    for (_, attribute) in all.range((GROUP, 1)..(GROUP + 1, 0)) {
        if let Some(bytes) = bytes(&attribute.value) {
            elements.insert(attribute.tag.1, (attribute.vr, bytes));
        }
    }
    let of = |tag| match all.get(&tag).map(|attribute| &attribute.value) {
        Some(Value::Text(text)) => text.clone().into_bytes(),
        _ => Vec::new(),
    };
    elements.insert(VERSION, (VR::OB, vec![0, 1]));
    elements
        .entry(SOP_CLASS_UID)
        .or_insert_with(|| (VR::UI, of((0x0008, 0x0016))));
    elements
        .entry(SOP_INSTANCE_UID)
        .or_insert_with(|| (VR::UI, instance.sop_instance_uid.clone().into_bytes()));
    let uid = transfer_syntax_uid.as_bytes().to_vec();
    elements.insert(TRANSFER_SYNTAX_UID, (VR::UI, uid));
    let is_known = |element: u16| elements.contains_key(&element);
    if !is_known(IMPLEMENTATION_CLASS) && !is_known(IMPLEMENTATION_VERSION) {
        let class = IMPLEMENTATION_CLASS_UID.as_bytes().to_vec();
        let version = IMPLEMENTATION_VERSION_NAME.as_bytes().to_vec();
        elements.insert(IMPLEMENTATION_CLASS, (VR::UI, class));
        elements.insert(IMPLEMENTATION_VERSION, (VR::SH, version));
    }

    let mut group = Vec::new();
    for (element, (vr, mut value)) in elements {
        pad(vr, &mut value);
        write(&mut group, element, vr, &value);
    }
    let mut file = vec![0; PREAMBLE_LEN];
    file.extend_from_slice(MAGIC);
    let len = u32::try_from(group.len()).unwrap_or(u32::MAX);
    write(&mut file, 0, VR::UL, &len.to_le_bytes());
    file.append(&mut group);
    file
}

/// A value of the group; items have no place in it.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Empty => Some(Vec::new()),
        Value::Text(text) => Some(text.clone().into_bytes()),
        Value::Bytes(bytes) => Some(bytes.clone()),
        Value::Number { .. } | Value::Bulk(_) | Value::Items(_) => None,
    }
}

/// Writes an element in explicit VR little endian.
fn write(to: &mut Vec<u8>, element: u16, vr: VR, value: &[u8]) {
    let values = Values {
        encoding: Encoding::ExplicitLittle,
        is_utf8: false,
    };
    let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
    to.extend(values.header(Tag(GROUP, element), vr, Some(len)));
    to.extend_from_slice(value);
}
