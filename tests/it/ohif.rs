//! OHIF in Chromium against the real server (clients.md): a reader signs in, the list appears, each kind of study is painted.
//! `tests/node/ohif.mjs` looks and says what it saw; pictures are left in `target/ohif/`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::instance::Builder;
use crate::harness::{Server, corpus, instance};
use crate::python_client::python;

/// What is opened: a name, the files of the corpus whose names begin so, and what has to come to be seen.
const CASES: &[(&str, &[&str], &str)] = &[
    ("ct", &["study/syn-study-c-s1-"], "canvas"),
    ("mr", &["study/syn-study-b-s1-"], "canvas"),
    ("enhanced-mr", &["modality/syn-mod-enhanced-mr"], "canvas"),
    ("us-cine", &["modality/dparser__IM00001"], "canvas"),
    ("slide", &["modality/syn-wsi-level"], "canvas"),
    (
        "seg",
        &[
            "study/pydicom__77654033_CT2",
            "document/highdicom__seg_image_ct_binary.dcm",
        ],
        "canvas",
    ),
    ("mixed", &["document/syn-mix-"], "canvas"),
    ("video", &["video/syn-video-h264-hp41-mp4"], "canvas"),
];

/// The series of CT that a report is made of, and the image that it measures.
const MEASURED: &str = "study/syn-study-c-s1-i03.dcm";

/// A measurement report (TID 1500) of a length of 42.5 mm on [`MEASURED`], made by a library of others.
fn report() -> Option<Vec<u8>> {
    let (python, corpus) = (python()?, corpus::root()?);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.dcm");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/report.py");
    let made = Command::new(python)
        .args([script, corpus.join(MEASURED), file.clone()])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("Python starts");
    let failed = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{failed}");
    Some(std::fs::read(file).unwrap())
}

/// A document of one page, longer than what stands in metadata.
fn document() -> Vec<u8> {
    let mut pdf = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
        2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
        3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1\
        <</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n\
        4 0 obj<</Length 45>>stream\nBT /F1 24 Tf 40 100 Td (Report of kura) Tj ET\nendstream endobj\n"
        .to_vec();
    pdf.extend([b'%'; 3001]);
    pdf.extend(b"\ntrailer<</Root 1 0 R>>\n%%EOF\n");
    pdf
}

/// The same as an instance: a study of its own.
fn encapsulated(pdf: &[u8]) -> Vec<u8> {
    let len = u32::try_from(pdf.len()).unwrap().to_le_bytes();
    let pixels = [
        0x0028_0002,
        0x0028_0004,
        0x0028_0010,
        0x0028_0011,
        0x0028_0100,
        0x0028_0101,
        0x0028_0102,
        0x0028_0103,
        0x7FE0_0010,
    ];
    pixels
        .into_iter()
        .fold(instance("1.2.3.900"), Builder::without)
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.104.1")
        .modality("DOC")
        .text(0x0042_0010, "ST", "Report")
        .text(0x0042_0012, "LO", "application/pdf")
        .bytes(0x0042_0011, "OB", pdf.to_vec())
        .bytes(0x0042_0015, "UL", len.to_vec())
        .file()
}

fn installed() -> Option<(PathBuf, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    let (build, driver) = (
        root.join("node_modules/ohif/dist"),
        root.join("node_modules/playwright-core"),
    );
    let chromium =
        std::env::var_os("KURA_TEST_CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    let chromium = PathBuf::from(chromium);
    if build.join("index.html").is_file() && driver.is_dir() && chromium.is_file() {
        return Some((build, root));
    }
    let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(
        !is_ci,
        "no OHIF or no Chromium: scripts/setup --tests installs them"
    );
    println!("skipped: no OHIF or no Chromium; scripts/setup --tests installs them");
    None
}

/// A build that is none of OHIF's, to see what is served around it.
#[tokio::test]
async fn the_viewers_address_serves_its_files_and_the_archive_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let build = folder.path().join("dist");
    std::fs::create_dir_all(build.join("dicom-microscopy-viewer")).unwrap();
    std::fs::write(build.join("index.html"), "the page").unwrap();
    std::fs::write(build.join("app.js"), "the script").unwrap();
    std::fs::write(build.join("dicom-microscopy-viewer/worker.js"), "a worker").unwrap();
    std::fs::write(folder.path().join("secret"), "not to be seen").unwrap();
    let server = Server::start_set(&[
        ("KURA_VIEWER__LISTEN", "127.0.0.1:0"),
        ("KURA_VIEWER__FOLDER", build.to_str().unwrap()),
    ]);
    let base = server.served("the viewer is served");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str, token: Option<&str>| {
        let request = client.get(format!("{base}{path}"));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let policy = answer.headers().get("content-security-policy");
        let policy = policy.map_or_else(String::new, |it| it.to_str().unwrap().to_owned());
        (
            answer.status().as_u16(),
            policy,
            answer.text().await.unwrap(),
        )
    };
    for (path, holds) in [
        ("/", "the page"),
        ("/viewer?StudyInstanceUIDs=1.2.3", "the page"),
        ("/app.js", "the script"),
        ("/app-config.js", "dicomweb"),
        ("/sign-in?then=/", "Token"),
    ] {
        let (status, policy, body) = get(path, None).await;
        assert_eq!(status, 200, "{path}");
        assert!(body.contains(holds), "{path}: {body}");
        let is_strict =
            policy.contains("frame-ancestors 'none'") && !policy.contains("'unsafe-eval'");
        assert!(is_strict, "{path}: {policy}");
    }
    let (_, policy, body) = get("/dicom-microscopy-viewer/worker.js", None).await;
    assert_eq!(body, "a worker");
    assert!(policy.contains("'unsafe-eval'") && policy.contains("default-src 'none'"));
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/dicom-microscopy-viewer/../../secret",
    ] {
        assert!(
            !get(path, None).await.2.contains("not to be seen"),
            "{path}"
        );
    }
    // The archive is there with all its rules.
    let token = server.reader("F001");
    assert_eq!(get("/dicomweb/studies", None).await.0, 401);
    assert_eq!(get("/dicomweb/studies", Some(&token)).await.0, 204);
    assert_eq!(get("/dicomweb/nothing", Some(&token)).await.0, 404);
    assert_eq!(get("/api/v1/nothing", Some(&token)).await.0, 404);
}

#[test]
fn a_viewer_without_a_build_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kura"))
        .arg("serve")
        .env("KURA_DATA", folder.path().join("data"))
        .env("KURA_LISTEN", "127.0.0.1:0")
        .env("KURA_VIEWER__LISTEN", "127.0.0.1:0")
        .env("KURA_VIEWER__FOLDER", folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("viewer.folder"), "{told}");
}

/// Slow: a browser that paints without a graphics card.
#[tokio::test]
async fn ohif_lists_and_paints_every_kind_of_study() {
    let Some((build, node)) = installed() else {
        return;
    };
    let Some(manifest) = corpus::manifest() else {
        return;
    };
    let build = build.to_str().unwrap();
    let server = Server::start_set(&[
        ("KURA_VIEWER__LISTEN", "127.0.0.1:0"),
        ("KURA_VIEWER__FOLDER", build),
    ]);
    let token = server.reader("F001");
    let mut cases = Vec::new();
    for (name, files, see) in CASES {
        let mut study = "";
        for file in &manifest {
            if files.iter().any(|begin| file.file.starts_with(begin)) {
                let stored = server.store(&token, &[file.bytes()]).await;
                assert!(stored.status < 300, "{}: {}", file.file, stored.text());
                study = file.field("study_uid");
            }
        }
        assert!(!study.is_empty(), "the corpus has nothing for {name}");
        cases.push(json!({ "name": name, "study": study, "see": see }));
    }
    let pdf = document();
    server.stored(&token, &[encapsulated(&pdf)]).await;
    cases.push(json!({ "name": "pdf", "study": "1.2.3.900.1", "see": "document" }));
    let mut names: Vec<_> = CASES.iter().map(|it| it.0).chain(["pdf"]).collect();
    if let Some(report) = report() {
        server.stored(&token, &[report]).await;
        let study = cases[0]["study"].clone();
        cases.push(json!({ "name": "sr", "study": study, "see": "drawing", "open": "SR" }));
        names.push("sr");
    }
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ohif");
    let base = server.served("the viewer is served");
    let asked = json!({ "base": base, "token": token, "pictures": pictures, "cases": cases });
    let told = tokio::task::spawn_blocking(move || look(&node, &asked))
        .await
        .unwrap();
    assert_eq!(told.len(), 1 + names.len());
    for (told, name) in told.iter().zip(["list"].into_iter().chain(names)) {
        assert_eq!(told["name"], name);
        println!("{name}: {} grey levels", told["levels"]);
        let text = told["texts"].as_str().unwrap();
        match name {
            "list" => assert!(text.contains("Suzuki, Hanako"), "{told}"),
            "pdf" => {
                // The bytes came from the archive, for the one document that is shown. Whether the browser's own viewer
                // of documents tells that it has them is a matter of chance.
                let documents = told["pdfs"].as_array().unwrap();
                let shown = |of: &str| {
                    let is_of = |it: &&Value| it["url"].as_str().unwrap().contains(of);
                    let found = documents.iter().find(is_of);
                    found.map(|it| (it["status"].clone(), it["length"].clone()))
                };
                let whole = Some((200.into(), pdf.len().into()));
                assert_eq!(shown("/dicomweb/studies/1.2.3.900.1/"), whole, "{told}");
                assert_eq!(told["documents"], 1, "{told}");
            }
            "sr" => {
                // The line is drawn on the image, with its length beside it.
                assert!(told["drawings"].as_u64() > Some(0), "{told}");
                assert!(text.contains("42.50 mm"), "{told}");
            }
            _ => assert!(told["levels"].as_u64() > Some(12), "{told}"),
        }
        assert_eq!(told["outside"], json!([]), "{name} asks elsewhere");
        assert_eq!(told["failures"], json!([]), "{name}");
    }
}

/// Runs the browser; gives a document for the list and for each case.
fn look(node: &Path, asked: &Value) -> Vec<Value> {
    let mut child = Command::new("node")
        .arg(node.join("ohif.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    let mut input = child.stdin.take().unwrap();
    input.write_all(asked.to_string().as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    told.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
