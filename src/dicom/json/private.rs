//! Private attributes whose value representation viewers need although the file does not say it (J20).

use crate::model::{Tag, VR};

struct Row {
    creator: &'static str,
    group: u16,
    /// Low byte of the element; the high byte is the block that the creator reserved.
    element: u16,
    vr: VR,
}

/// By group, then by element.
static TABLE: &[Row] = &[
    // Time of injection, for uptake (manufacturer's conformance statement).
    Row {
        creator: "GEMS_PETD_01",
        group: 0x0009,
        element: 0x0D,
        vr: VR::DT,
    },
    // SUV scale factor and activity concentration scale factor: OHIF computes SUV from them.
    Row {
        creator: "Philips PET Private Group",
        group: 0x7053,
        element: 0x00,
        vr: VR::DS,
    },
    Row {
        creator: "Philips PET Private Group",
        group: 0x7053,
        element: 0x09,
        vr: VR::DS,
    },
];

/// The element in which the block of a private element is reserved (PS3.5 7.8.1); `None` for other elements.
pub(in crate::dicom) fn creator_of(tag: Tag) -> Option<Tag> {
    let Tag(group, element) = tag;
    let block = element >> 8;
    (group & 1 == 1 && (0x10..=0xFF).contains(&block)).then_some(Tag(group, block))
}

/// The value representation of a private element under its creator.
pub(super) fn vr(creator: &[u8], tag: Tag) -> Option<VR> {
    let Tag(group, element) = tag;
    let creator = creator.trim_ascii().split(|byte| *byte == 0).next()?;
    TABLE
        .iter()
        .find(|row| {
            row.group == group
                && row.element == element & 0xFF
                && row.creator.as_bytes() == creator.trim_ascii()
        })
        .map(|row| row.vr)
}
