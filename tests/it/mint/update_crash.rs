//! Whatever moment the process ends at, a study is at one version, and the jobs of its updates say which (MINT U12, U30).

use std::time::Duration;

use tokio::task::JoinSet;

use super::create::{self, DOCUMENT, document, form, form_type, made, send};
use super::create_crash::{KILLS, life};
use super::create_refused::ended;
use super::update::{PATH, binary, field, item_of, metadata, of_instance, person, small};
use super::values;
use crate::harness::load::Random;
use crate::harness::{Server, backing};

/// Slow: twenty lives of a server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mint_u12_u30_an_update_is_whole_or_not_there_after_every_kill() {
    if backing::forgets() {
        return;
    }
    let mut random = Random::seeded();
    let data = Server::fresh();
    let mut server = life(&data);
    let token = person(&server);
    let uuid = made(&send(&server, &token, DOCUMENT, create::items()).await);
    let mut version = 0_u32;
    for round in 0..KILLS {
        let request = server
            .client
            .post(format!("{}{PATH}", server.base))
            .bearer_auth(&token)
            .header("content-type", form_type());
        let (of, from) = (uuid.clone(), version);
        let mut sending = JoinSet::new();
        let (tell, mut answered) = tokio::sync::mpsc::unbounded_channel();
        sending.spawn(async move {
            for version in from..from + 9 {
                let text = format!(
                    "<attr tag=\"00081030\" vr=\"LO\" val=\"V{}\"/>",
                    version + 1
                );
                let pixels = "<attr tag=\"7FE00010\" vr=\"OW\" bid=\"0\" bsize=\"32\"/>";
                let text = small(&text, "", "", &of_instance("2.25.70101", pixels));
                let fields = [
                    field("studyUUID", &of),
                    field("oldVersion", &version.to_string()),
                    document(&text),
                    binary(0, vec![(version % 250) as u8; 32]),
                ];
                let request = request.try_clone().unwrap();
                if request.body(form(&fields)).send().await.is_err() {
                    return;
                }
                tell.send(()).ok();
            }
        });
        // Every other life changes something first, however slow the machine is.
        if round % 2 == 1 {
            answered.recv().await;
        }
        tokio::time::sleep(Duration::from_millis(random.next(250))).await;
        server.kill();
        sending.join_all().await;
        server = life(&data);
        // The document is of one version, in all instances and their items.
        let told = metadata(&server, &token, &uuid).await;
        version = values(&told, "version")[0].parse().unwrap();
        if version > 0 {
            let text = told.text();
            assert_eq!(text.matches("tag=\"00081030\"").count(), 1, "{text}");
            assert!(text.contains(&format!("val=\"V{version}\"")), "{text}");
            let number = 4 + version;
            assert_eq!(values(&told, "bid")[0], number.to_string());
            let pixels = item_of(&server, &token, &uuid, number).await;
            let before = u8::try_from((version - 1) % 250).unwrap();
            assert_eq!((pixels.status, pixels.body), (200, vec![before; 32]));
        }
    }
    let jobs = ended(&server, &token, "mint_update", 2).await;
    let done = jobs
        .iter()
        .filter(|job| values(job, "jobStatus") == ["SUCCESS"]);
    println!(
        "{KILLS} kills: {} updates told, at version {version}",
        jobs.len()
    );
    assert_eq!(done.count(), version as usize);
}
