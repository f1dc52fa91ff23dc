//! wsidicom, which pathologists' programs are built on, reads regions of slides over DICOMweb (clients.md); `tests/python/slide.py`
//! compares them with the same regions of the files.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Server, corpus};
use crate::python_client::python;

/// The fewest regions that are compared: of four levels of native tiles, and of two of JPEG where the corpus is there.
const REGIONS: usize = 14;

#[tokio::test]
async fn wsidicom_reads_regions_of_slides() {
    let Some(python) = python() else { return };
    let server = Server::start();
    let token = server.reader("F001");
    let (mut slide, mut least) = (Vec::new(), REGIONS);
    for file in corpus::manifest().unwrap_or_default() {
        if file.file.starts_with("modality/syn-wsi-level") {
            server.stored(&token, &[file.bytes()]).await;
            slide.push(file.path);
            least += 3;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/slide.py");
    let output = Command::new(python)
        .arg(script)
        .args([format!("{}/dicomweb", server.base), token])
        .arg(folder.path())
        .args(slide)
        .env("PYTHONIOENCODING", "utf-8")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("Python starts");
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{failed}");
    let summary = told.lines().last().unwrap_or_default();
    println!("{summary}");
    let regions = summary
        .strip_prefix("regions ")
        .and_then(|n| n.parse().ok());
    assert!(regions >= Some(least), "{told}");
}
