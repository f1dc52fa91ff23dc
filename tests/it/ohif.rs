//! OHIF in Chromium against the real server (clients.md): a reader signs in, the list appears, each kind of study is painted.
//! `tests/node/ohif.mjs` looks and says what it saw; pictures are left in `target/ohif/`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Server, corpus};

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
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ohif");
    let base = server.served("the viewer is served");
    let asked = json!({ "base": base, "token": token, "pictures": pictures, "cases": cases });
    let told = tokio::task::spawn_blocking(move || look(&node, &asked))
        .await
        .unwrap();
    assert_eq!(told.len(), 1 + CASES.len());
    for (told, see) in told
        .iter()
        .zip(["list"].into_iter().chain(CASES.iter().map(|it| it.2)))
    {
        let name = &told["name"];
        println!("{name}: {} grey levels", told["levels"]);
        match see {
            "list" => assert!(
                told["texts"].as_str().unwrap().contains("Suzuki, Hanako"),
                "{told}"
            ),
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
