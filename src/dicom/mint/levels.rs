//! Which attribute is a study's, which a series' (mint.md 8.1 and 8.2): the lists that a running archive never changes, since
//! documents would no longer match (MINT T04).

use crate::model::{Tag, VR};

/// Attributes of the study, by ascending tag (mint.md 8.1).
pub static STUDY: &[Tag] = &[
    Tag(0x0008, 0x0020),
    Tag(0x0008, 0x0030),
    Tag(0x0008, 0x0050),
    Tag(0x0008, 0x0051),
    Tag(0x0008, 0x0080),
    Tag(0x0008, 0x0090),
    Tag(0x0008, 0x0096),
    Tag(0x0008, 0x1030),
    Tag(0x0008, 0x1032),
    Tag(0x0008, 0x1048),
    Tag(0x0008, 0x1049),
    Tag(0x0008, 0x1060),
    Tag(0x0008, 0x1062),
    Tag(0x0008, 0x1080),
    Tag(0x0008, 0x1084),
    Tag(0x0008, 0x1110),
    Tag(0x0008, 0x1120),
    Tag(0x0010, 0x0010),
    Tag(0x0010, 0x0020),
    Tag(0x0010, 0x0021),
    Tag(0x0010, 0x0030),
    Tag(0x0010, 0x0032),
    Tag(0x0010, 0x0040),
    Tag(0x0010, 0x1000),
    Tag(0x0010, 0x1001),
    Tag(0x0010, 0x1002),
    Tag(0x0010, 0x1010),
    Tag(0x0010, 0x1020),
    Tag(0x0010, 0x1030),
    Tag(0x0010, 0x2160),
    Tag(0x0010, 0x2180),
    Tag(0x0010, 0x21B0),
    Tag(0x0010, 0x2201),
    Tag(0x0010, 0x2202),
    Tag(0x0010, 0x2203),
    Tag(0x0010, 0x2292),
    Tag(0x0010, 0x2293),
    Tag(0x0010, 0x2294),
    Tag(0x0010, 0x2297),
    Tag(0x0010, 0x2298),
    Tag(0x0010, 0x2299),
    Tag(0x0010, 0x4000),
    Tag(0x0012, 0x0010),
    Tag(0x0012, 0x0020),
    Tag(0x0012, 0x0021),
    Tag(0x0012, 0x0030),
    Tag(0x0012, 0x0031),
    Tag(0x0012, 0x0040),
    Tag(0x0012, 0x0042),
    Tag(0x0012, 0x0050),
    Tag(0x0012, 0x0051),
    Tag(0x0012, 0x0062),
    Tag(0x0012, 0x0063),
    Tag(0x0012, 0x0064),
    Tag(0x0012, 0x0081),
    Tag(0x0012, 0x0082),
    Tag(0x0012, 0x0083),
    Tag(0x0020, 0x000D),
    Tag(0x0020, 0x0010),
    Tag(0x0032, 0x1034),
    Tag(0x0038, 0x0010),
    Tag(0x0038, 0x0014),
    Tag(0x0038, 0x0060),
    Tag(0x0038, 0x0062),
    Tag(0x0038, 0x0064),
    Tag(0x0040, 0x1012),
];

/// Attributes of a series, by ascending tag (mint.md 8.2).
pub static SERIES: &[Tag] = &[
    Tag(0x0008, 0x0021),
    Tag(0x0008, 0x0031),
    Tag(0x0008, 0x0060),
    Tag(0x0008, 0x103E),
    Tag(0x0008, 0x1050),
    Tag(0x0008, 0x1052),
    Tag(0x0008, 0x1070),
    Tag(0x0008, 0x1072),
    Tag(0x0008, 0x1111),
    Tag(0x0008, 0x1250),
    Tag(0x0018, 0x0015),
    Tag(0x0018, 0x1030),
    Tag(0x0018, 0x5100),
    Tag(0x0020, 0x000E),
    Tag(0x0020, 0x0011),
    Tag(0x0020, 0x0060),
    Tag(0x0028, 0x0108),
    Tag(0x0028, 0x0109),
    Tag(0x0040, 0x0244),
    Tag(0x0040, 0x0245),
    Tag(0x0040, 0x0253),
    Tag(0x0040, 0x0254),
    Tag(0x0040, 0x0260),
    Tag(0x0040, 0x0275),
    Tag(0x0040, 0x0280),
];

/// Where an attribute stands in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With the study.
    Study,
    /// With its series.
    Series,
    /// With its instance, or with what all instances of the series have in common.
    Instance,
}

/// Where an attribute of the top level of a data set stands (MINT K04, K11).
pub fn place_of(tag: Tag, vr: VR) -> Place {
    match tag {
        _ if is_binary(vr) => Place::Instance,
        _ if STUDY.binary_search(&tag).is_ok() => Place::Study,
        _ if SERIES.binary_search(&tag).is_ok() => Place::Series,
        _ => Place::Instance,
    }
}

/// Whether an attribute of this value representation may be said once for all instances of a series (MINT K05, K06).
pub fn is_shared(vr: VR) -> bool {
    vr != VR::SQ && !is_binary(vr)
}

/// Whether values are bytes, or numbers with a fraction, which stay where they are.
fn is_binary(vr: VR) -> bool {
    use VR::{FD, FL, OB, OD, OF, OL, OV, OW, UN};
    matches!(vr, FD | FL | OB | OD | OF | OL | OV | OW | UN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::dictionary::{keyword, standard_vr};

    #[test]
    fn the_lists_are_sorted_disjoint_and_of_the_standard() {
        assert_eq!((STUDY.len(), SERIES.len()), (66, 25));
        for list in [STUDY, SERIES] {
            assert!(list.is_sorted_by(|a, b| a < b));
            for tag in list {
                assert!(keyword(*tag).is_some(), "{tag}");
            }
        }
        assert!(STUDY.iter().all(|tag| !SERIES.contains(tag)));
    }

    #[test]
    fn mint_k04_k11_an_attribute_stands_where_its_list_says() {
        let check = |tag, place| {
            assert_eq!(place_of(tag, standard_vr(tag).unwrap()), place, "{tag}");
        };
        check(Tag(0x0010, 0x0010), Place::Study);
        check(Tag(0x0008, 0x0051), Place::Study);
        check(Tag(0x0008, 0x0060), Place::Series);
        check(Tag(0x0040, 0x0275), Place::Series);
        check(Tag(0x0008, 0x0005), Place::Instance);
        check(Tag(0x0020, 0x0052), Place::Instance);
        check(Tag(0x0008, 0x0016), Place::Instance);
        assert_eq!(place_of(Tag(0x0010, 0x0010), VR::UN), Place::Instance);
    }
}
