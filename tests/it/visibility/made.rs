//! What the owner has: studies, deletions and exports, made for the calls about them.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::callers::{self, Forge};
use super::rows::Names;
use super::{NO_DELETION, NOWHERE, Operation, THERE};
use crate::harness::exact::{self, Object};
use crate::harness::{Server, instance, multipart};
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
fn export_of(root: &str) -> Value {
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
fn manifest_of(root: &str) -> Value {
    exact::manifest(&format!("{root}.1"), &[object(root)])
}

/// What sends it.
fn exact_of(root: &str) -> Vec<u8> {
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
fn form_of(root: &str, key: &str) -> Vec<u8> {
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

/// An upload in steps that the owner began: its key.
pub(super) async fn begun(server: &Server, forge: &Forge) -> String {
    let token = forge.of("F001", callers::ALL);
    let request = server.request(Method::POST, "/mint/exact/uploads", &token);
    let request = request.header("content-type", "application/x-tar");
    let begun = server.send(request.header("upload-complete", "?0")).await;
    assert_eq!(begun.status, 201, "{}", begun.text());
    begun
        .header("location")
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned()
}

/// A request with what an operation says about the study below `root`.
pub(super) fn with_body(of: &Operation, request: RequestBuilder, root: &str) -> RequestBuilder {
    const TYPE: &str = "content-type";
    let at = format!("studies/{root}.1/series/{root}.1.1/instances/{root}.1.1.1");
    match of.id.as_str() {
        "createExport" => request.json(&export_of(root)),
        "offerExact" => request.json(&manifest_of(root)),
        "retrieveExactNamed" => request.json(&json!({"objects": [format!("{root}.1.1.1")]})),
        "createLink" => {
            request.json(&json!({"resource": format!("/dicomweb/{at}/bulkdata/7FE00010")}))
        }
        "revoke" => {
            let nobody = json!({"signOut": {"issuer": "kura:local", "subject": "nobody"}});
            request.json(&nobody)
        }
        "sendExact" => request
            .header(TYPE, "application/x-tar")
            .body(exact_of(root)),
        "beginUpload" => request
            .header(TYPE, "application/x-tar")
            .header("upload-complete", "?1")
            .body(exact_of(root)),
        "goOnWithUpload" => request
            .header(TYPE, "application/partial-upload")
            .header("upload-complete", "?0")
            .header("upload-offset", "0"),
        "createMintStudy" | "updateMintStudy" => {
            let key = if root == NOWHERE {
                NO_DELETION
            } else {
                &of.study
            };
            request
                .header(TYPE, create::form_type())
                .body(form_of(root, key))
        }
        _ if of.names == Names::Store => {
            let (media_type, body) = multipart::write(&[study(root)]);
            request.header(TYPE, media_type).body(body)
        }
        _ => request,
    }
}
