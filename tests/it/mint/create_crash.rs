//! Whatever moment the process ends at, a study is there whole or not at all, and its job says which (MINT U10 to U12).

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::create::{DOCUMENT, document, form, form_type, items};
use super::create_refused::ended;
use super::values;
use crate::harness::load::Random;
use crate::harness::{Server, backing};

pub const KILLS: usize = 20;

/// A server that looks for jobs every second.
pub fn life(data: &Arc<TempDir>) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kura"));
    command.env("KURA_WORKER__POLL_S", "1");
    Server::start_with(Arc::clone(data), command)
}

/// The example under UIDs of its own.
fn body(number: usize) -> Vec<u8> {
    let text = DOCUMENT.replace("2.25.70", &format!("2.25.{number}70"));
    let mut fields = vec![document(&text)];
    fields.extend(items());
    form(&fields)
}

/// Slow: twenty lives of a server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mint_u10_u11_u12_a_study_is_whole_or_not_there_after_every_kill() {
    if backing::forgets() {
        return;
    }
    let mut random = Random::seeded();
    let data = Server::fresh();
    let mut server = life(&data);
    let token = server.reader("F001");
    for round in 0..KILLS {
        let request = server
            .client
            .post(format!("{}/mint/jobs/createstudy", server.base))
            .bearer_auth(&token)
            .header("content-type", form_type());
        let mut sending = JoinSet::new();
        let (tell, mut answered) = tokio::sync::mpsc::unbounded_channel();
        sending.spawn(async move {
            // No more than one page of jobs lists in the end.
            for number in round * 1000..round * 1000 + 9 {
                let request = request.try_clone().unwrap();
                if request.body(body(number)).send().await.is_err() {
                    return;
                }
                tell.send(()).ok();
            }
        });
        // Every other life makes something first, however slow the machine is.
        if round % 2 == 1 {
            answered.recv().await;
        }
        tokio::time::sleep(Duration::from_millis(random.next(150))).await;
        server.kill();
        sending.join_all().await;
        server = life(&data);
    }
    let jobs = ended(&server, &token, "mint_create", 2).await;
    let made = jobs
        .iter()
        .filter(|job| values(job, "jobStatus") == ["SUCCESS"]);
    let mut made: Vec<_> = made.map(|job| values(job, "studyUUID").remove(0)).collect();
    let found = server.get("/mint/studies?limit=1000", &token).await;
    let mut found = values(&found, "studyUUID");
    made.sort();
    found.sort();
    assert_eq!(made, found);
    println!(
        "{KILLS} kills: {} studies made, {} cut off",
        made.len(),
        jobs.len() - made.len()
    );
    for uuid in found {
        let path = format!("/mint/studies/{uuid}/DICOM/metadata");
        let whole = server.get(&path, &token).await;
        assert_eq!(
            values(&whole, "sopInstanceUID").len(),
            3,
            "{}",
            whole.text()
        );
        let last = server
            .get(&format!("/mint/studies/{uuid}/DICOM/binaryitems/4"), &token)
            .await;
        assert_eq!(last.status, 200);
    }
}
