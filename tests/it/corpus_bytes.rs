//! Bytes in are bytes out, over the whole corpus (product.md 3.1).

use crate::harness::Server;
use crate::harness::corpus::{self, Spread};

/// Slow: 446 files go in and out one by one.
#[tokio::test]
async fn w03_every_file_of_the_corpus_comes_back_byte_for_byte() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let mut spread = Spread::over(&server);
    let (mut stored, mut equal, mut refused) = (0, 0, 0);
    for entry in entries.iter().filter(|entry| entry.group != "broken") {
        let Some(at) = spread.store(&server, entry).await else {
            refused += 1;
            continue;
        };
        stored += 1;
        let file = entry.bytes();
        let back = server
            .get_as(&at.path, &at.token, "application/dicom; transfer-syntax=*")
            .await;
        assert_eq!(back.status, 200, "{}: {}", entry.file, back.text());
        assert!(
            back.body == file,
            "{} differs: {} of {} bytes",
            entry.file,
            back.body.len(),
            file.len()
        );
        equal += 1;
    }
    let conflicts = spread.conflicts;
    println!(
        "corpus: stored {stored}, equal {equal}, refused by rule T24 {refused}, conflicts met on the way {conflicts}"
    );
    assert_eq!((stored, equal, refused, conflicts), (427, 427, 19, 41));
}
