//! `kura demo`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{command, fails, run};
use crate::harness::server::wait_for;

/// A kura that runs; killed at the latest when it is dropped.
struct Running(Child);

impl Running {
    /// Sends a signal by its name.
    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.0.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// The exit code, which must come soon.
    fn code(&mut self) -> i32 {
        let status = wait_for(Duration::from_secs(20), || self.0.try_wait().unwrap());
        status.code().expect("it ends by itself")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts the demonstration and gives what it prints before it waits.
fn demo(data: &Path) -> (Running, String) {
    let mut child = command(data, &["demo", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let running = Running(child);
    let mut told = String::new();
    for line in out.lines() {
        let line = line.unwrap();
        told.push_str(&line);
        told.push('\n');
        if line.contains("Ctrl-C") {
            return (running, told);
        }
    }
    panic!("it ended: {told}");
}

/// Started twice over one folder, stopped by both signals that stop it.
#[tokio::test]
async fn the_demonstration_shows_three_facilities_and_stops_when_told() {
    let data = tempfile::tempdir().unwrap();
    for signal in ["TERM", "INT"] {
        let (mut running, told) = demo(data.path());
        let word = |line: &str, name: &str| {
            line.trim()
                .strip_prefix(name)
                .map(|rest| rest.trim().to_owned())
        };
        let find = |name| told.lines().find_map(|line| word(line, name)).expect(name);
        let (page, manual, root) = (find("page"), find("manual"), find("DICOMweb"));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for url in [page, manual] {
            assert_eq!(
                client.get(&url).send().await.unwrap().status(),
                200,
                "{url}"
            );
        }
        let tokens: Vec<&str> = told
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("ey"))
            .collect();
        assert_eq!(tokens.len(), 3, "{told}");
        let mut seen = Vec::new();
        for token in tokens {
            let studies = client
                .get(format!("{root}/studies"))
                .bearer_auth(token)
                .send()
                .await
                .unwrap();
            assert_eq!(studies.status(), 200);
            seen.push(studies.text().await.unwrap());
        }
        assert!(
            seen[0] != seen[1] && seen[1] != seen[2],
            "each facility has studies of its own"
        );
        running.signal(signal);
        assert_eq!(running.code(), 0, "after SIG{signal}");
    }
}

#[tokio::test]
async fn a_demonstration_without_a_folder_says_so() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fails(
        &run(file.path(), "demo --listen 127.0.0.1:0"),
        2,
        "KURA_DATA",
    );
}
