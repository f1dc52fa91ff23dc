//! Objects in the exact form (MINT 16.6), written and read with the `tar` crate, which the code under test does not use for it.

use std::io::Read as _;

use reqwest::Method;
use serde_json::{Value, json};

use super::corpus::sha256;
use super::{Answer, Server};

/// An object as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub series: String,
    pub instance: String,
    pub bytes: Vec<u8>,
}

impl Object {
    pub fn new(series: &str, instance: &str, bytes: Vec<u8>) -> Self {
        Self {
            series: series.to_owned(),
            instance: instance.to_owned(),
            bytes,
        }
    }

    pub fn name(&self) -> String {
        format!("{}/{}.dcm", self.series, self.instance)
    }

    /// As a manifest tells it.
    pub fn told(&self) -> Value {
        json!({
            "name": self.name(),
            "size": self.bytes.len(),
            "sha256": sha256(&self.bytes),
            "sopInstanceUID": self.instance,
        })
    }
}

/// A manifest.
pub fn manifest(study: &str, objects: &[Object]) -> Value {
    let objects: Vec<_> = objects.iter().map(Object::told).collect();
    json!({"studyInstanceUID": study, "objects": objects})
}

/// A tar file of these files.
pub fn tar(files: &[(String, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // Names that no writer writes of itself.
        let place = &mut header.as_ustar_mut().unwrap().name;
        if name.len() <= place.len() {
            place[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        } else {
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

/// An upload: what is announced, and of it what is sent.
pub fn upload<'a>(manifest: &Value, sent: impl IntoIterator<Item = &'a Object>) -> Vec<u8> {
    let manifest = manifest.to_string();
    let mut files = vec![("manifest.json".to_owned(), manifest.as_bytes())];
    for object in sent {
        files.push((object.name(), &object.bytes));
    }
    tar(&files)
}

/// The files of a tar file, in its order.
pub fn files(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let name = String::from_utf8(entry.path_bytes().to_vec()).unwrap();
        (name, bytes)
    });
    entries.collect()
}

/// The lines of an answer.
pub fn lines(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The lines about objects by their outcomes, and the last line.
pub fn outcomes(answer: &Answer) -> (Vec<(String, String)>, Value) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut lines = lines(&answer.body);
    let last = lines.pop().expect("a last line");
    let told = lines.iter().map(|line| {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        (text("name"), text("outcome"))
    });
    (told.collect(), last)
}

impl Server {
    /// Offers a manifest.
    pub async fn offer(&self, token: &str, manifest: &Value) -> Value {
        let request = self.request(Method::POST, "/mint/exact/offers", token);
        let answer = self.send(request.json(manifest)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// The UUID of a study.
    pub async fn study_uuid(&self, token: &str, study: &str) -> String {
        let nothing = json!({"studyInstanceUID": study, "objects": []});
        let offer = self.offer(token, &nothing).await;
        offer["study"]
            .as_str()
            .expect("the study is there")
            .to_owned()
    }

    /// Sends a tar file.
    pub async fn send_exact(&self, token: &str, tar: Vec<u8>) -> Answer {
        self.post("/mint/exact/objects", token, "application/x-tar", tar)
            .await
    }
}
