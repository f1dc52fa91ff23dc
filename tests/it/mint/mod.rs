//! MINT through the real door; files are named as in `src/http/mint`.

mod ahead;
mod attributes;
mod changelog;
mod corpus;
pub mod create;
mod create_crash;
mod create_refused;
mod create_values;
mod digests;
mod exact;
mod exact_broken;
mod exact_corpus;
mod exact_hostile;
mod exact_steps;
mod exact_upload;
mod feed;
mod items;
mod jobs;
mod legacy;
mod legacy_update;
mod meaning;
mod metadata;
mod replaced;
mod search;
mod streams;
mod study;
mod transport;
mod types;
mod update;
mod update_crash;
mod update_refused;

use reqwest::Method;

use crate::harness::{Answer, Server, instance};

/// The namespace of every document.
const NAMESPACE: &str = "xmlns=\"http://medical.nema.org/mint\"";

/// A server with one study of one instance, and a token that reads and writes.
async fn filled() -> (Server, String) {
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[instance("1.2.3").file()]).await;
    (server, token)
}

/// The values of an attribute of a document, in its order.
fn values(document: &Answer, name: &str) -> Vec<String> {
    let begin = format!(" {name}=\"");
    let text = document.text();
    // Behind the declaration, which has a version of its own.
    let text = text.split_once("?>").map_or(&*text, |(_, rest)| rest);
    let parts = text.split(begin.as_str()).skip(1);
    parts
        .map(|part| part.split('"').next().unwrap().to_owned())
        .collect()
}

/// The UUID of the study with a Study Instance UID.
async fn uuid_of(server: &Server, token: &str, uid: &str) -> String {
    let found = server
        .get(&format!("/mint/studies?studyInstanceUID={uid}"), token)
        .await;
    assert_eq!(found.status, 200, "{}", found.text());
    let uuids = values(&found, "studyUUID");
    assert_eq!(uuids.len(), 1, "{}", found.text());
    uuids[0].clone()
}

/// Deletes a study over MINT.
async fn delete(server: &Server, token: &str, uuid: &str) -> Answer {
    let path = format!("/mint/studies/{uuid}");
    server
        .send(server.request(Method::DELETE, &path, token))
        .await
}

/// A document as every reader wants it: UTF-8 that is declared, in the default namespace, with its length.
fn assert_document(answer: &Answer, root: &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "text/xml;charset=UTF-8");
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(
        answer.header("content-length"),
        answer.body.len().to_string()
    );
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let begin = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} {NAMESPACE}");
    assert!(text.starts_with(&begin), "{text}");
    assert!(!text.contains("<!DOCTYPE") && !text.contains("xml-stylesheet"));
}
