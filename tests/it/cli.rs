//! The command line as somebody types it: results on standard output and nothing else there, one line on failure, exit codes
//! that a script can rely on (product.md 4).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::server::wait_for;
use crate::harness::{Server, backing, instance, multipart};

/// A kura that has ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn command(data: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kura"));
    command
        .args(words)
        .envs(backing::environment(data))
        .env("KURA_DATA", data)
        .stdin(Stdio::null());
    command
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("kura runs");
    Ended {
        code: output.status.code().expect("no signal ended it"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A line of words between spaces; `_` in a word stands for a space.
fn run(data: &Path, line: &str) -> Ended {
    let words: Vec<String> = line.split(' ').map(|word| word.replace('_', " ")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    ended(&mut command(data, &words))
}

/// The line must fail with `code`: nothing on standard output, and one line that says `hint`.
#[track_caller]
fn fails(ended: &Ended, code: i32, hint: &str) {
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (code, ""),
        "{}",
        ended.err
    );
    assert!(
        ended.err.starts_with("kura: ") && ended.err.lines().count() == 1,
        "{}",
        ended.err
    );
    assert!(ended.err.contains(hint), "{hint}: {}", ended.err);
}

#[test]
fn facilities_are_added_once_and_listed() {
    let data = tempfile::tempdir().unwrap();
    let at = data.path();
    let empty = run(at, "facility list");
    assert_eq!((empty.code, empty.out.as_str()), (0, ""));
    let added = run(at, "facility add F002 --name Kawa_Clinic --kind external");
    assert_eq!(
        (added.code, added.out.as_str(), added.err.as_str()),
        (0, "", "added F002 Kawa Clinic\n")
    );
    let added = run(
        at,
        "facility add F001 --name みなと中央病院 --issuer HOSP-A --issuer HOSP-OLD",
    );
    assert_eq!(added.code, 0, "{}", added.err);
    let listed = run(at, "facility list");
    assert_eq!(listed.code, 0);
    assert_eq!(
        listed.out,
        "F001\tmember\tactive\tみなと中央病院\nF002\texternal\tactive\tKawa Clinic\n"
    );
    fails(&run(at, "facility add F001 --name Again"), 2, "");
    fails(
        &run(at, "facility add F003 --name Other --issuer HOSP-A"),
        2,
        "",
    );
    fails(
        &run(at, "facility add f1 --name Small"),
        2,
        "capital letters",
    );
    assert_eq!(run(at, "facility add F004").code, 2, "a name is missing");
    assert_eq!(
        run(at, "facility list").out,
        listed.out,
        "a refused facility leaves nothing behind"
    );
}

#[test]
fn the_policy_of_a_facility_is_set_and_shown() {
    let data = tempfile::tempdir().unwrap();
    // The names of the keys hold underscores.
    let run = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        ended(&mut command(data.path(), &words))
    };
    assert_eq!(run("facility add F001 --name Minato").code, 0);
    let none = "refused_sop_classes=\nrefused_transfer_syntaxes=\nmax_instance_bytes=\nmax_request_bytes=\nquota_bytes=\non_conflict=reject\n";
    let shown = run("facility show F001");
    assert_eq!(
        (shown.code, shown.out.as_str(), shown.err.as_str()),
        (0, none, "")
    );
    let set =
        run("facility set F001 quota_bytes=2G on_conflict=replace refused_sop_classes=1.2.3,1.2.4");
    let expected = "refused_sop_classes=1.2.3,1.2.4\nrefused_transfer_syntaxes=\nmax_instance_bytes=\nmax_request_bytes=\nquota_bytes=2147483648\non_conflict=replace\n";
    assert_eq!(
        (set.code, set.out.as_str(), set.err.as_str()),
        (0, expected, "")
    );
    for (line, hint) in [
        ("facility set F001 quota_bytes=many", "quota_bytes takes"),
        ("facility set F001 colour=blue", "on_conflict"),
        ("facility set F001 on_conflict", "key=value"),
        (
            "facility set F001 quota_bytes=1 on_conflict=perhaps",
            "reject",
        ),
        ("facility set F999 quota_bytes=1", "facility list"),
        ("facility show F999", "facility list"),
        ("facility show f1", "capital letters"),
    ] {
        fails(&run(line), 2, hint);
    }
    assert_eq!(run("facility set F001").code, 2, "nothing to set");
    assert_eq!(
        run("facility show F001").out,
        expected,
        "what was refused changed nothing"
    );
    let back = run("facility set F001 quota_bytes= on_conflict= refused_sop_classes=");
    assert_eq!((back.code, back.out.as_str()), (0, none));
}

#[tokio::test]
async fn a_token_is_printed_alone_and_lets_its_reader_in() {
    let server = Server::start();
    let at = server.data.path();
    let printed = run(at, "token --facility F001 --role physician");
    assert_eq!((printed.code, printed.err.as_str()), (0, ""));
    let token = printed.out.strip_suffix('\n').expect("a line");
    let is_jwt = token
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    assert!(is_jwt && token.split('.').count() == 3, "{token}");
    assert_eq!(server.get("/studies", token).await.status, 204);
    let logged = ended(
        command(
            at,
            &["token", "--facility", "F001", "--scope", "dicom.read"],
        )
        .env("KURA_LOG", "trace"),
    );
    assert_eq!(
        (logged.code, logged.out.lines().count()),
        (0, 1),
        "a log is no result"
    );
    fails(
        &run(at, "token --facility F999 --role physician"),
        2,
        "F999",
    );
    fails(
        &run(at, "token --facility F001 --role doctor"),
        2,
        "physician",
    );
    fails(&run(at, "token --facility F001"), 2, "--role");
    fails(
        &run(at, "token --facility F001 --role physician --ttl 13h"),
        2,
        "12 hours",
    );
    fails(
        &run(at, "token --facility f-1 --role physician"),
        2,
        "capital letters",
    );
    assert_eq!(run(at, "token --role physician").code, 2, "no facility");
}

#[test]
fn the_schema_is_migrated_and_stays() {
    let data = tempfile::tempdir().unwrap();
    let at = data.path();
    for _ in 0..2 {
        let migrated = run(at, "migrate");
        assert_eq!((migrated.code, migrated.out.as_str()), (0, ""));
        assert_eq!(migrated.err, "the schema is up to date\n");
    }
    fails(
        &run(at, "migrate --database-url mysql://localhost/kura"),
        2,
        "database_url",
    );
    let nowhere = format!("sqlite://{}/missing/kura.db?mode=rwc", at.display());
    let refused = ended(&mut command(at, &["migrate", "--database-url", &nowhere]));
    assert!(
        refused.code != 0 && refused.err.starts_with("kura: "),
        "{refused:?}"
    );
    assert_eq!(refused.err.lines().count(), 1, "{}", refused.err);
}

#[test]
fn the_document_needs_no_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("none");
    let printed = run(&data, "openapi");
    assert_eq!((printed.code, printed.err.as_str()), (0, ""));
    let document: serde_json::Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(!data.exists(), "it makes nothing");
    assert_eq!(run(&data, "openapi --nonsense").code, 2);
}

#[test]
fn what_is_wrong_with_the_configuration_stops_the_start_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let at = data.as_path();
    for (line, hint) in [
        ("serve --listen nonsense", "listen"),
        ("serve --listen 127.0.0.1:99999", "listen"),
        (
            "serve --database-url mysql://localhost/kura",
            "database_url",
        ),
        ("serve --storage-url ftp://server", "storage_url"),
        ("serve --public-url ftp://elsewhere", "public_url"),
        ("serve --config /nonexistent.toml", "nonexistent"),
        ("serve --check --listen nonsense", "listen"),
    ] {
        fails(&run(at, line), 2, hint);
    }
    for (name, value) in [
        ("KURA_LISTENN", "127.0.0.1:0"),
        ("KURA_WORKERS", "0"),
        ("KURA_WORKERS", "many"),
        ("KURA_AUTH__LOCAL_ISSUER", "false"),
        ("KURA_LOG_FORMAT", "pretty"),
    ] {
        let refused = ended(command(at, &["serve"]).env(name, value));
        let hint = name
            .trim_start_matches("KURA_")
            .replace("__", ".")
            .to_lowercase();
        fails(
            &refused,
            2,
            if name == "KURA_LISTENN" { name } else { &hint },
        );
    }
    for (text, hint) in [
        ("listenn = \"x\"", "listenn"),
        ("workers = \"x\"", "workers"),
        ("= nonsense", "config.toml"),
    ] {
        let file = folder.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        let refused = ended(command(at, &["serve", "--config"]).arg(&file));
        fails(&refused, 2, hint);
    }
    assert!(!data.exists(), "a start that is refused makes nothing");
    let good = run(at, "serve --check");
    assert_eq!(
        (good.code, good.out.as_str(), good.err.as_str()),
        (0, "", "the configuration is good\n")
    );
    let file = folder.path().join("is-a-file");
    std::fs::write(&file, "").unwrap();
    fails(&run(&file, "serve --listen 127.0.0.1:0"), 2, "KURA_DATA");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let server = Server::start();
    let address = server.base.trim_start_matches("http://");
    let data = tempfile::tempdir().unwrap();
    fails(
        &run(data.path(), &format!("serve --listen {address}")),
        2,
        address,
    );
}

#[test]
fn help_and_version_are_results() {
    let data = tempfile::tempdir().unwrap();
    let version = run(data.path(), "--version");
    assert_eq!(version.out, format!("kura {}\n", env!("CARGO_PKG_VERSION")));
    let help = run(data.path(), "--help");
    for command in ["demo", "serve", "migrate", "facility", "token", "openapi"] {
        assert!(
            help.out.contains(&format!("\n  {command} ")),
            "{command}: {}",
            help.out
        );
        assert_eq!(
            run(data.path(), &format!("{command} --help")).code,
            0,
            "{command}"
        );
    }
    assert_eq!(ended(&mut command(data.path(), &[])).code, 2);
    assert_eq!(run(data.path(), "bogus").code, 2);
}

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

/// SIGTERM in mid-request: the request is finished, then the process ends by itself with 0.
#[tokio::test]
async fn a_request_in_flight_is_finished_before_the_end() {
    if backing::forgets() {
        return;
    }
    let mut server = Server::start();
    let token = server.reader("F001");
    let (media_type, body) = multipart::write(&[instance("1.2.3").file()]);
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let head = format!(
        "POST /dicomweb/studies HTTP/1.1\r\nHost: kura\r\nAuthorization: Bearer {token}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (first, rest) = body.split_at(body.len() / 2);
    stream
        .write_all(&[head.as_bytes(), first].concat())
        .unwrap();
    assert_eq!(
        server.get("/studies", &token).await.status,
        204,
        "the server has seen the first half"
    );
    let kill = format!("kill -TERM {}", server.pid());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    let data = std::sync::Arc::clone(&server.data);
    std::thread::park_timeout(Duration::from_millis(200));
    stream.write_all(rest).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(stream);
    wait_for(Duration::from_secs(20), || {
        (!server.is_alive()).then_some(())
    });
    assert!(
        server.log().iter().any(|line| line.contains("stopped")),
        "it ended by itself"
    );
    let again = Server::start_on(data);
    assert_eq!(again.get("/studies", &token).await.status, 200);
}
