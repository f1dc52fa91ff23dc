//! `kura serve`: what stops the start, what `--check` says, how it ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use super::{command, ended, fails, run};
use crate::harness::server::wait_for;
use crate::harness::{Server, backing, instance, multipart};

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
        ("serve --storage-url ftp://bucket", "storage_url"),
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
    let good = run(at, "serve --check --public-url https://kura.example/");
    let expected = format!(
        "listen      127.0.0.1:8080\n\
         public URL  https://kura.example\n\
         tokens      signed with the local key\n\
         data        {}\n\
         database    sqlite://… (a file that is made at the start)\n\
         storage     fs://… (a folder that is made at the start)\n",
        data.display()
    );
    assert_eq!(
        (good.code, good.out, good.err.as_str()),
        (0, expected, "the configuration is good\n")
    );
    assert!(!data.exists(), "a check makes nothing");
    run(at, "migrate");
    std::fs::create_dir(data.join("blobs")).unwrap();
    let reached = run(at, "serve --check").out;
    assert!(
        reached.contains("sqlite://… (reached; the schema is up to date)"),
        "{reached}"
    );
    assert!(reached.contains("fs://… (reached)"), "{reached}");
    std::fs::write(
        data.join("kura.db"),
        "no database at all, but long enough to be taken for one",
    )
    .unwrap();
    let broken = run(at, "serve --check");
    assert!(
        broken.code != 0 && broken.err.lines().count() == 1,
        "{broken:?}"
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
