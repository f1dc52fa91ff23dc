//! Deleting, rejecting, restoring, erasing: through the door, as a facility's people see it.

mod bin;
mod crash;
mod erased;
mod refused;
mod versions;

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Answer, Server, instance};

/// The study that the tests delete.
const STUDY: &str = "1.2.3.1";
const SERIES: &str = "1.2.3.1.1";
const INSTANCE: &str = "1.2.3.1.1.1";

/// Everything that a person who deletes may do.
const DELETER: &str =
    "dicom.read dicom.write report.read dose.read dicom.delete dicom.delete.approve dicom.correct";

/// A token of a person of a facility, fresh from a sign-in with two factors.
fn person(server: &Server, facility: &str, subject: &str) -> String {
    server.person(facility, DELETER, subject)
}

/// Instance `number` of series `series` of the study, from 1.
fn file(series: u8, number: u8) -> Vec<u8> {
    instance("1.2.3")
        .uids(
            STUDY,
            &format!("{STUDY}.{series}"),
            &format!("{STUDY}.{series}.{number}"),
        )
        .text(0x0020_0011, "IS", &series.to_string())
        .text(0x0020_0013, "IS", &number.to_string())
        .modality(if series == 1 { "CT" } else { "MR" })
        .file()
}

fn study() -> String {
    format!("/studies/{STUDY}")
}

fn series(number: u8) -> String {
    format!("/studies/{STUDY}/series/{STUDY}.{number}")
}

fn one(series_number: u8, number: u8) -> String {
    format!(
        "{}/instances/{STUDY}.{series_number}.{number}",
        series(series_number)
    )
}

/// Two series of two instances each.
async fn filled() -> (Server, String) {
    let server = Server::start();
    let token = person(&server, "F001", "hanako");
    let files = [file(1, 1), file(1, 2), file(2, 1), file(2, 2)];
    server.stored(&token, &files).await;
    (server, token)
}

async fn delete(server: &Server, token: &str, path: &str) -> Answer {
    server
        .send(server.request(Method::DELETE, path, token))
        .await
}

/// Deletes what is there and gives the id of the deletion.
async fn deleted(server: &Server, token: &str, path: &str) -> String {
    let answer = delete(server, token, path).await;
    assert_eq!(answer.status, 204, "{path}: {}", answer.text());
    answer.header("x-kura-deletion")
}

async fn shown(server: &Server, token: &str, id: &str) -> Value {
    let answer = server.get(&format!("/api/v1/deletions/{id}"), token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(answer.header("etag"), format!("\"{}\"", body["version"]));
    body
}

/// A change under the version that the deletion has now.
async fn changed(server: &Server, token: &str, id: &str, what: &str) -> Answer {
    let version = shown(server, token, id).await["version"].clone();
    change(server, token, id, what, &format!("\"{version}\"")).await
}

async fn change(server: &Server, token: &str, id: &str, what: &str, if_match: &str) -> Answer {
    let path = format!("/api/v1/deletions/{id}/{what}");
    let request = server.request(Method::POST, &path, token);
    server.send(request.header("if-match", if_match)).await
}

async fn file_of(server: &Server, token: &str, path: &str) -> Answer {
    let all = "application/dicom; transfer-syntax=*";
    server.get_as(path, token, all).await
}

/// Values of one attribute over all results.
fn values(answer: &Answer, tag: &str) -> Vec<String> {
    if answer.status == 204 {
        return Vec::new();
    }
    let rows = answer.json();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[tag]["Value"].to_string()).collect()
}
