//! `kura token`.

use super::{command, ended, fails, run};
use crate::harness::Server;

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
