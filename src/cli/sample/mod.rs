//! Sample studies for `kura demo`: three facilities, invented patients, drawn pictures.
//!
//! Everything is computed and the same each time, so that a demonstration can be told as a story: two facilities know different
//! people by the number 0001, and one person is known to two facilities by different numbers.

mod phantom;

use crate::dicom::part10::{NewMeta, write_meta};
use crate::model::{Tag, TransferSyntax, VR};

/// A facility of the demonstration.
#[derive(Clone, Copy, Debug)]
pub struct SampleFacility {
    /// Its code.
    pub code: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Its name in English.
    pub english_name: &'static str,
}

/// The facilities, in the order of their codes.
#[rustfmt::skip]
pub static FACILITIES: [SampleFacility; 3] = [
    SampleFacility { code: "F001", name: "みなと総合病院", english_name: "Minato General Hospital" },
    SampleFacility { code: "F002", name: "かわべクリニック", english_name: "Kawabe Clinic" },
    SampleFacility { code: "F003", name: "やまて画像診断センター", english_name: "Yamate Imaging Center" },
];

struct Patient {
    id: &'static str,
    name: &'static str,
    birth_date: &'static str,
    sex: &'static str,
}

struct Study {
    facility: &'static SampleFacility,
    patient: Patient,
    date: &'static str,
    description: &'static str,
    body_part: &'static str,
    series: &'static [Series],
}

struct Series {
    picture: Picture,
    description: &'static str,
    instances: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Picture {
    Ct,
    MrT1,
    MrT2,
    Cr,
    Dx,
}

const fn patient(
    id: &'static str,
    name: &'static str,
    birth_date: &'static str,
    sex: &'static str,
) -> Patient {
    Patient {
        id,
        name,
        birth_date,
        sex,
    }
}

const fn series(picture: Picture, instances: u16, description: &'static str) -> Series {
    Series {
        picture,
        description,
        instances,
    }
}

const HANAKO: &str = "Yamada^Hanako=山田^花子=やまだ^はなこ";
const ICHIRO: &str = "Suzuki^Ichiro=鈴木^一郎=すずき^いちろう";
const JIRO: &str = "Tanaka^Jiro=田中^二郎=たなか^じろう";
const MISAKI: &str = "Sato^Misaki=佐藤^美咲=さとう^みさき";
const KEN: &str = "Kobayashi^Ken=小林^健=こばやし^けん";

#[rustfmt::skip]
static STUDIES: [Study; 8] = [
    Study { facility: &FACILITIES[0], patient: patient("0001", HANAKO, "19580312", "F"), date: "20241102",
        description: "胸部正面", body_part: "CHEST", series: &[series(Picture::Cr, 1, "Chest PA")] },
    Study { facility: &FACILITIES[0], patient: patient("0001", HANAKO, "19580312", "F"), date: "20260115",
        description: "胸部CT", body_part: "CHEST", series: &[series(Picture::Ct, 12, "Chest 5mm")] },
    Study { facility: &FACILITIES[0], patient: patient("0002", ICHIRO, "19710823", "M"), date: "20251209",
        description: "頭部MRI", body_part: "HEAD", series: &[series(Picture::MrT1, 8, "Ax T1"), series(Picture::MrT2, 8, "Ax T2")] },
    Study { facility: &FACILITIES[1], patient: patient("0001", JIRO, "19840501", "M"), date: "20250918",
        description: "Chest, annual check", body_part: "CHEST", series: &[series(Picture::Dx, 1, "Chest PA")] },
    Study { facility: &FACILITIES[1], patient: patient("1047", MISAKI, "19990607", "F"), date: "20251120",
        description: "胸部CT 精査", body_part: "CHEST", series: &[series(Picture::Ct, 12, "Chest 5mm")] },
    Study { facility: &FACILITIES[2], patient: patient("Y-2201", HANAKO, "19580312", "F"), date: "20230427",
        description: "頭部MRI", body_part: "HEAD", series: &[series(Picture::MrT2, 8, "Ax T2")] },
    Study { facility: &FACILITIES[2], patient: patient("Y-2202", KEN, "19660210", "M"), date: "20251003",
        description: "Chest X-ray and CT", body_part: "CHEST",
        series: &[series(Picture::Dx, 1, "Chest PA"), series(Picture::Ct, 12, "Chest 5mm"), series(Picture::Ct, 12, "Chest 5mm, follow-up")] },
    Study { facility: &FACILITIES[2], patient: patient("Y-2202", KEN, "19660210", "M"), date: "20260206",
        description: "Chest follow-up", body_part: "CHEST", series: &[series(Picture::Cr, 1, "Chest PA")] },
];

/// The sample instances as Part 10 files in Explicit VR Little Endian, each with the code of its facility; made one at a time.
pub fn files() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    (1_u16..).zip(&STUDIES).flat_map(|(study, of)| {
        (1_u16..).zip(of.series).flat_map(move |(series, made)| {
            (1..=made.instances).map(move |instance| {
                let at = Place {
                    study,
                    series,
                    instance,
                };
                (of.facility.code, file(of, made, at))
            })
        })
    })
}

/// Which study, series and instance, each from 1.
#[derive(Clone, Copy)]
struct Place {
    study: u16,
    series: u16,
    instance: u16,
}

/// UIDs under 2.25 are those of a UUID (PS3.5 B.2): one random one and its neighbors.
fn uid(study: u16, series: u16, instance: u16) -> String {
    const FIRST: u128 = 0x3D2C_51B4_7E0A_4C6F_9A11_0000_0000_0000;
    let offset = u128::from(study) << 32 | u128::from(series) << 16 | u128::from(instance);
    format!("2.25.{}", FIRST + offset)
}

impl Picture {
    fn modality(self) -> &'static str {
        match self {
            Self::Ct => "CT",
            Self::MrT1 | Self::MrT2 => "MR",
            Self::Cr => "CR",
            Self::Dx => "DX",
        }
    }

    fn sop_class_uid(self) -> &'static str {
        match self {
            Self::Ct => "1.2.840.10008.5.1.4.1.1.2",
            Self::MrT1 | Self::MrT2 => "1.2.840.10008.5.1.4.1.1.4",
            Self::Cr => "1.2.840.10008.5.1.4.1.1.1",
            Self::Dx => "1.2.840.10008.5.1.4.1.1.1.1",
        }
    }

    /// Rows and columns.
    fn size(self) -> u16 {
        if self.is_slice() { 128 } else { 256 }
    }

    fn is_slice(self) -> bool {
        !matches!(self, Self::Cr | Self::Dx)
    }

    /// Window center and width.
    fn window(self) -> [&'static str; 2] {
        match self {
            Self::Ct => ["-300", "1400"],
            Self::MrT1 | Self::MrT2 => ["400", "800"],
            Self::Cr | Self::Dx => ["2048", "4096"],
        }
    }
}

/// A data set that grows in the order of its tags.
struct DataSet(Vec<u8>);

impl DataSet {
    fn text(&mut self, tag: Tag, vr: VR, value: &str) {
        let mut value = value.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == VR::UI { 0 } else { b' ' });
        }
        self.bytes(tag, vr, &value);
    }

    fn number(&mut self, element: u16, value: u16) {
        self.bytes(Tag(0x0028, element), VR::US, &value.to_le_bytes());
    }

    fn bytes(&mut self, Tag(group, element): Tag, vr: VR, value: &[u8]) {
        self.0.extend(group.to_le_bytes());
        self.0.extend(element.to_le_bytes());
        self.0.extend(vr.to_bytes());
        if vr == VR::OW {
            let len = u32::try_from(value.len()).expect("a picture is small");
            self.0.extend([0, 0]);
            self.0.extend(len.to_le_bytes());
        } else {
            let len = u16::try_from(value.len()).expect("a text is short");
            self.0.extend(len.to_le_bytes());
        }
        self.0.extend(value);
    }
}

fn file(study: &Study, series: &Series, at: Place) -> Vec<u8> {
    let sop_instance_uid = uid(at.study, at.series, at.instance);
    let mut set = DataSet(write_meta(&NewMeta {
        sop_class_uid: series.picture.sop_class_uid(),
        sop_instance_uid: &sop_instance_uid,
        transfer_syntax_uid: TransferSyntax::explicit_little().uid,
    }));
    put_identity(&mut set, study, series, &sop_instance_uid);
    put_acquisition(&mut set, study, series);
    put_relations(&mut set, series, at);
    put_pixels(&mut set, series, at);
    set.0
}

#[rustfmt::skip]
fn put_identity(set: &mut DataSet, study: &Study, series: &Series, sop_instance_uid: &str) {
    let image_type = if series.picture.is_slice() { "ORIGINAL\\PRIMARY\\AXIAL" } else { "ORIGINAL\\PRIMARY" };
    set.text(Tag(0x0008, 0x0005), VR::CS, "ISO_IR 192");
    set.text(Tag(0x0008, 0x0008), VR::CS, image_type);
    set.text(Tag(0x0008, 0x0016), VR::UI, series.picture.sop_class_uid());
    set.text(Tag(0x0008, 0x0018), VR::UI, sop_instance_uid);
    for element in 0x0020..=0x0023 {
        set.text(Tag(0x0008, element), VR::DA, study.date);
    }
    for element in 0x0030..=0x0033 {
        set.text(Tag(0x0008, element), VR::TM, "101500");
    }
    set.text(Tag(0x0008, 0x0050), VR::SH, &format!("A{}{}", &study.facility.code[2..], &study.date[2..]));
    set.text(Tag(0x0008, 0x0060), VR::CS, series.picture.modality());
    if series.picture == Picture::Dx {
        set.text(Tag(0x0008, 0x0068), VR::CS, "FOR PRESENTATION");
    }
    set.text(Tag(0x0008, 0x0070), VR::LO, "kura sample");
    set.text(Tag(0x0008, 0x0080), VR::LO, study.facility.name);
    set.text(Tag(0x0008, 0x0090), VR::PN, "Mori^Akira=森^明=もり^あきら");
    set.text(Tag(0x0008, 0x1030), VR::LO, study.description);
    set.text(Tag(0x0008, 0x103E), VR::LO, series.description);
    set.text(Tag(0x0010, 0x0010), VR::PN, study.patient.name);
    set.text(Tag(0x0010, 0x0020), VR::LO, study.patient.id);
    set.text(Tag(0x0010, 0x0030), VR::DA, study.patient.birth_date);
    set.text(Tag(0x0010, 0x0040), VR::CS, study.patient.sex);
}

#[rustfmt::skip]
fn put_acquisition(set: &mut DataSet, study: &Study, series: &Series) {
    let is_mr = matches!(series.picture, Picture::MrT1 | Picture::MrT2);
    set.text(Tag(0x0018, 0x0015), VR::CS, study.body_part);
    if is_mr {
        set.text(Tag(0x0018, 0x0020), VR::CS, "SE");
        set.text(Tag(0x0018, 0x0021), VR::CS, "NONE");
        set.text(Tag(0x0018, 0x0022), VR::CS, "");
        set.text(Tag(0x0018, 0x0023), VR::CS, "2D");
    }
    if series.picture.is_slice() {
        set.text(Tag(0x0018, 0x0050), VR::DS, "5");
    }
    if is_mr {
        let times = if series.picture == Picture::MrT1 { ["500", "12"] } else { ["4000", "98"] };
        set.text(Tag(0x0018, 0x0080), VR::DS, times[0]);
        set.text(Tag(0x0018, 0x0081), VR::DS, times[1]);
        set.text(Tag(0x0018, 0x0091), VR::IS, "1");
    } else {
        set.text(Tag(0x0018, 0x0060), VR::DS, "120");
    }
    if series.picture.is_slice() {
        set.text(Tag(0x0018, 0x5100), VR::CS, "HFS");
    } else {
        set.text(Tag(0x0018, 0x1164), VR::DS, "1.4\\1.4");
        set.text(Tag(0x0018, 0x5101), VR::CS, "PA");
    }
}

#[rustfmt::skip]
fn put_relations(set: &mut DataSet, series: &Series, at: Place) {
    set.text(Tag(0x0020, 0x000D), VR::UI, &uid(at.study, 0, 0));
    set.text(Tag(0x0020, 0x000E), VR::UI, &uid(at.study, at.series, 0));
    set.text(Tag(0x0020, 0x0010), VR::SH, &at.study.to_string());
    set.text(Tag(0x0020, 0x0011), VR::IS, &at.series.to_string());
    set.text(Tag(0x0020, 0x0012), VR::IS, "1");
    set.text(Tag(0x0020, 0x0013), VR::IS, &at.instance.to_string());
    if series.picture.is_slice() {
        let location = i32::from(at.instance - 1) * 5 - i32::from(series.instances) * 5 / 2;
        set.text(Tag(0x0020, 0x0032), VR::DS, &format!("-160\\-160\\{location}"));
        set.text(Tag(0x0020, 0x0037), VR::DS, "1\\0\\0\\0\\1\\0");
        set.text(Tag(0x0020, 0x0052), VR::UI, &uid(at.study, 0, 1));
        set.text(Tag(0x0020, 0x1040), VR::LO, "");
        set.text(Tag(0x0020, 0x1041), VR::DS, &location.to_string());
    } else {
        set.text(Tag(0x0020, 0x0020), VR::CS, "L\\F");
    }
}

fn put_pixels(set: &mut DataSet, series: &Series, at: Place) {
    let size = series.picture.size();
    let [center, width] = series.picture.window();
    set.number(0x0002, 1);
    set.text(Tag(0x0028, 0x0004), VR::CS, "MONOCHROME2");
    set.number(0x0010, size);
    set.number(0x0011, size);
    if series.picture.is_slice() {
        set.text(Tag(0x0028, 0x0030), VR::DS, "2.5\\2.5");
    }
    set.number(0x0100, 16);
    set.number(0x0101, 12);
    set.number(0x0102, 11);
    set.number(0x0103, 0);
    set.text(Tag(0x0028, 0x1050), VR::DS, center);
    set.text(Tag(0x0028, 0x1051), VR::DS, width);
    let intercept = if series.picture == Picture::Ct {
        "-1024"
    } else {
        "0"
    };
    set.text(Tag(0x0028, 0x1052), VR::DS, intercept);
    set.text(Tag(0x0028, 0x1053), VR::DS, "1");
    let unit = if series.picture == Picture::Ct {
        "HU"
    } else {
        "US"
    };
    set.text(Tag(0x0028, 0x1054), VR::LO, unit);
    set.text(Tag(0x0028, 0x2110), VR::CS, "00");

    // From -1000 at the first slice to 1000 at the last.
    let steps = i64::from(series.instances.max(2) - 1);
    let z = i64::from(at.instance - 1) * 2000 / steps - 1000;
    let coordinate = |pixel: u16| (i64::from(pixel) * 2 + 1) * 1000 / i64::from(size) - 1000;
    let mut pixels = Vec::with_capacity(usize::from(size) * usize::from(size) * 2);
    for y in (0..size).map(coordinate) {
        for x in (0..size).map(coordinate) {
            let drawn = phantom::value(series.picture, [x, y, z], i64::from(at.study));
            let stored = u16::try_from(drawn.clamp(0, 4095)).expect("clamped to 12 bits");
            pixels.extend(stored.to_le_bytes());
        }
    }
    set.bytes(Tag(0x7FE0, 0x0010), VR::OW, &pixels);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_samples_are_the_same_each_time_and_all_different() {
        let first: Vec<_> = files().collect();
        assert_eq!(first.len(), 1 + 12 + 16 + 1 + 12 + 8 + 25 + 1);
        assert!(first.iter().zip(files()).all(|(a, b)| *a == b));
        let different: BTreeSet<_> = first.iter().map(|(_, file)| file).collect();
        assert_eq!(different.len(), first.len());
    }

    #[test]
    fn every_facility_has_studies_and_two_share_a_number_for_different_people() {
        for facility in &FACILITIES {
            let studies = STUDIES
                .iter()
                .filter(|study| study.facility.code == facility.code);
            assert!((2..=3).contains(&studies.count()));
        }
        let people: BTreeSet<_> = STUDIES
            .iter()
            .filter(|study| study.patient.id == "0001")
            .map(|study| (study.facility.code, study.patient.name))
            .collect();
        assert_eq!(people.len(), 2);
    }
}
