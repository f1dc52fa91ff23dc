//! How a job stands, asked while it goes on.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::channel::mpsc;
use reqwest::{Body, Method};
use tokio::task::JoinSet;

use super::create::{DOCUMENT, document, form, form_type, items};
use super::{assert_document, values};
use crate::harness::{Answer, Server};

/// How a job stands, by a caller who would wait.
async fn ask(server: &Server, path: &str, token: &str, prefer: &str) -> Answer {
    let request = server.request(Method::GET, path, token);
    server.send(request.header("Prefer", prefer)).await
}

/// The path of the one job that there is.
async fn job(server: &Server) -> String {
    let manager = server.token("F001", "lifecycle.manage");
    loop {
        let list = "/api/v1/jobs?kind=mint_create";
        if let Some(id) = server.get(list, &manager).await.json()["jobs"][0]["id"].as_str() {
            return format!("/mint/jobs/status/{id}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn mint_z15_an_answer_waits_until_the_job_is_over() {
    let server = Server::start();
    let token = server.reader("F001");
    let mut fields = vec![document(DOCUMENT)];
    fields.extend(items());
    let body = form(&fields);
    let (first, rest) = body.split_at(body.len() / 2);
    let (send, chunks) = mpsc::unbounded::<Result<Bytes, std::io::Error>>();
    let create = server.request(Method::POST, "/mint/jobs/createstudy", &token);
    let create = create
        .header("content-type", form_type())
        .body(Body::wrap_stream(chunks));
    send.unbounded_send(Ok(Bytes::copy_from_slice(first)))
        .unwrap();
    let follow = async {
        let path = job(&server).await;
        let plain = server.get(&path, &token).await;
        assert_eq!(values(&plain, "jobStatus"), ["IN_PROGRESS"]);
        assert_eq!(plain.header("preference-applied"), "");
        // The time is over before the job is.
        let begun = Instant::now();
        let early = ask(&server, &path, &token, "wait=1").await;
        assert_document(&early, "jobStatus");
        assert_eq!(values(&early, "jobStatus"), ["IN_PROGRESS"]);
        assert_eq!(early.header("preference-applied"), "wait=1");
        assert!(begun.elapsed() >= Duration::from_secs(1));
        // Who may not ask does not wait either.
        let reading = server.token("F001", "dicom.read");
        let foreign = server.reader("F002");
        let begun = Instant::now();
        for (token, status) in [(&*foreign, 404), (&*reading, 403), ("", 401)] {
            let refused = ask(&server, &path, token, "wait=60").await;
            assert_eq!(refused.status, status);
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
        let rest = Bytes::copy_from_slice(rest);
        let end = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            send.unbounded_send(Ok(rest)).unwrap();
            send.close_channel();
        };
        let begun = Instant::now();
        let (over, ()) = tokio::join!(ask(&server, &path, &token, "wait=3600"), end);
        assert_eq!(values(&over, "jobStatus"), ["SUCCESS"], "{}", over.text());
        assert_eq!(over.header("preference-applied"), "wait=60");
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(30));
        // A job that is over is told at once.
        let begun = Instant::now();
        let again = ask(&server, &path, &token, "wait=60").await;
        assert_eq!(values(&again, "jobStatus"), ["SUCCESS"]);
        assert!(begun.elapsed() < Duration::from_secs(20));
    };
    let (made, ()) = tokio::join!(server.send(create), follow);
    assert_eq!(made.status, 200, "{}", made.text());
}

#[tokio::test]
async fn mint_z15_a_wait_does_not_hold_up_a_process_that_stops() {
    let mut server = Server::start();
    let token = server.reader("F001");
    let create = server.request(Method::POST, "/mint/jobs/createstudy", &token);
    let (send, chunks) = mpsc::unbounded::<Result<Bytes, std::io::Error>>();
    send.unbounded_send(Ok(Bytes::from_static(b"--kQ7x\r\n")))
        .unwrap();
    let create = create
        .header("content-type", form_type())
        .body(Body::wrap_stream(chunks));
    let mut sending = JoinSet::new();
    sending.spawn(create.send());
    let path = job(&server).await;
    let begun = Instant::now();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.signal("TERM");
    };
    let (told, ()) = tokio::join!(ask(&server, &path, &token, "wait=60"), stop);
    assert_eq!(told.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(20));
    // The upload itself would be waited for.
    server.kill();
    drop((sending, send));
}
