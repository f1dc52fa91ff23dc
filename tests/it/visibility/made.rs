//! What the owner has: studies, deletions and exports, made for the calls about them.

use reqwest::Method;
use serde_json::{Value, json};

use super::THERE;
use super::callers::{self, Forge};
use crate::harness::exact::{self, Object};
use crate::harness::{Server, instance};
use crate::mint::create;

/// Stores the study below `root` for the owner and deletes it: the id of the deletion, which somebody else asked for.
pub(super) async fn binned(server: &Server, forge: &Forge, root: &str) -> String {
    server
        .stored(&forge.of("F001", callers::ALL), &[study(root)])
        .await;
    let somebody = forge.token(&serde_json::json!({"sub": "somebody"}));
    let path = format!("/studies/{root}.1");
    let deleted = server
        .send(server.request(Method::DELETE, &path, &somebody))
        .await;
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    deleted.header("x-kura-deletion")
}

/// The key of the study below `root`, by which MINT names it.
pub(super) async fn key_of(server: &Server, forge: &Forge, root: &str) -> String {
    let token = forge.of("F001", callers::ALL);
    server.study_uuid(&token, &format!("{root}.1")).await
}

/// What asks for an export of the study below `root`.
pub(super) fn export_of(root: &str) -> Value {
    let settings = json!({"values": [format!("{root}.1")]});
    json!({"source": {"type": "identifiers", "settings": settings}})
}

/// Begins an export of the owner: its key.
pub(super) async fn exported(server: &Server, forge: &Forge) -> String {
    let token = forge.of("F001", callers::ALL);
    let request = server.request(Method::POST, "/dicomweb/export", &token);
    let begun = server.send(request.json(&export_of(THERE))).await;
    assert_eq!(begun.status, 202, "{}", begun.text());
    begun.json()["id"].as_str().unwrap().to_owned()
}

/// The one file of the study below `root`.
pub(super) fn study(root: &str) -> Vec<u8> {
    instance(root).text(0x0010_0020, "LO", "P1-secret").file()
}

/// The same as an object of the exact form.
fn object(root: &str) -> Object {
    let (series, instance) = (format!("{root}.1.1"), format!("{root}.1.1.1"));
    Object::new(&series, &instance, study(root))
}

/// What announces it.
pub(super) fn manifest_of(root: &str) -> Value {
    exact::manifest(&format!("{root}.1"), &[object(root)])
}

/// What sends it.
pub(super) fn exact_of(root: &str) -> Vec<u8> {
    exact::upload(&manifest_of(root), [&object(root)])
}

/// A receipt of the owner: its key.
pub(super) async fn receipted(server: &Server, forge: &Forge) -> String {
    let token = forge.of("F001", callers::ALL);
    let sent = server.send_exact(&token, exact_of(THERE)).await;
    let (_, last) = exact::outcomes(&sent);
    last["receipt"]["id"].as_str().unwrap().to_owned()
}

/// What makes or changes a study of MINT, as a form: a document of nothing, of no version, whose job fails.
pub(super) fn form_of(root: &str, key: &str) -> Vec<u8> {
    let text = format!(
        "<study xmlns=\"http://medical.nema.org/mint\" studyInstanceUID=\"{root}.1\" type=\"DICOM\"/>"
    );
    let field = |name: &str, value: &str| {
        let disposition = format!("name=\"{name}\"");
        (disposition, "text/plain", value.as_bytes().to_vec())
    };
    let fields = [field("studyUUID", key), field("oldVersion", "")];
    create::form(&[fields.to_vec(), vec![create::document(&text)]].concat())
}

/// A job of the owner that was to make a study: its key.
pub(super) async fn job_of(server: &Server, forge: &Forge) -> String {
    let token = forge.of("F001", callers::ALL);
    let fields = [create::document("no document")];
    let job = create::create(server, &token, &fields).await;
    let told = job.text();
    let key = told.split("jobID=\"").nth(1).expect("a job");
    key.split('"').next().unwrap().to_owned()
}
