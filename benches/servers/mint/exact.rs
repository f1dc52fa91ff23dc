//! An upload of the exact form that breaks off, and what goes over the wire in all (A19).

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use bytes::Bytes;

use super::speakers;
use crate::harness::exact::{Object, manifest, upload};
use crate::servers::client::Ask;
use crate::servers::contender::Contender;
use crate::servers::report::{Aim, Row};
use crate::servers::{Bench, ct, thousands};

/// Slices of the study.
const SLICES: usize = 200;

/// Nine tenths of an upload, then an offer and the rest.
pub(super) async fn broken(bench: &mut Bench) {
    let study = "1.2.826.0.1.68";
    let objects: Vec<Object> = (1..=SLICES)
        .map(|n| {
            let bytes = ct::slice(study, n, &bench.pixels).concat();
            Object::new(&format!("{study}.1"), &format!("{study}.1.{n}"), bytes)
        })
        .collect();
    let of_study: usize = objects.iter().map(|it| it.bytes.len()).sum();
    let (mut figures, mut aims) = (Vec::new(), Vec::new());
    for server in speakers(bench) {
        let (sent, again) = of(server, study, &objects).await;
        let allowed = of_study * 101 / 100 + objects[0].bytes.len();
        let name = server.name;
        figures.push((
            name,
            format!(
                "{:.1} MB on the wire for {:.1} MB, {again} of {SLICES} objects in the second upload",
                thousands(sent as u64) / 1e3,
                thousands(of_study as u64) / 1e3
            ),
        ));
        let part = thousands(sent as u64) / thousands(allowed as u64);
        aims.push(Aim::at_most(
            format!("{name}: A19, sent / allowed"),
            part,
            1.0,
        ));
    }
    bench.report.add(Row {
        work: "MINT: an exact upload that breaks off at nine tenths".to_owned(),
        figures,
        aims,
    });
}

/// Bytes of all requests, and objects of the second upload.
async fn of(server: &Contender, study: &str, objects: &[Object]) -> (usize, usize) {
    let manifest = manifest(study, objects);
    let tar = upload(&manifest, objects);
    let mut sent = broken_off(server, &tar);
    let offer = Ask {
        path: "/mint/exact/offers".to_owned(),
        body: Some((
            "application/json".to_owned(),
            vec![manifest.to_string().into()],
        )),
        keep: true,
        ..Ask::default()
    };
    sent += manifest.to_string().len();
    let mut connection = server.connect().await;
    let told = connection.ask(&offer).await.body;
    let told: serde_json::Value = serde_json::from_slice(&told).expect("an offer is JSON");
    let wanted = told["wanted"].as_array().expect("what is wanted is named");
    let is_wanted = |it: &&Object| wanted.iter().any(|uid| uid == &*it.instance);
    let rest: Vec<&Object> = objects.iter().filter(is_wanted).collect();
    let count = rest.len();
    let tar = upload(&manifest, rest);
    sent += tar.len();
    let rest = Ask {
        path: "/mint/exact/objects".to_owned(),
        body: Some(("application/x-tar".to_owned(), vec![Bytes::from(tar)])),
        keep: true,
        ..Ask::default()
    };
    let told = connection.ask(&rest).await.body;
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(told.contains("receipt"), "{told}");
    (sent, count)
}

/// Sends nine tenths of an upload on a connection that ends then; bytes that it sent.
fn broken_off(server: &Contender, tar: &[u8]) -> usize {
    let head = format!(
        "POST /mint/exact/objects HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
        server.address,
        server.token,
        tar.len()
    );
    let part = &tar[..tar.len() / 10 * 9];
    let mut stream = TcpStream::connect(&server.address).expect("a connection");
    let mut answer = stream.try_clone().expect("a socket");
    // What is told of objects meanwhile has to be read, or the server waits.
    let reader = std::thread::spawn(move || answer.read_to_end(&mut Vec::new()));
    stream.write_all(head.as_bytes()).expect("the server reads");
    stream.write_all(part).expect("the server reads");
    stream.shutdown(Shutdown::Write).expect("a socket");
    drop(reader.join());
    head.len() + part.len()
}
