//! Nothing acknowledged is lost: the process is killed while clients store, started again, and everything it said 200 to is
//! there, byte for byte, once (product.md 3.1, 3.4).

use std::sync::Arc;
use std::time::Duration;

use crate::harness::load::{Load, Random};
use crate::harness::{Server, backing, server};

const KILLS: usize = 20;

/// Slow: twenty lives of a server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t20_what_was_acknowledged_survives_twenty_kills() {
    if backing::forgets() {
        return;
    }
    let mut random = Random::seeded();
    let mut server = Server::start();
    let (data, token) = (Arc::clone(&server.data), server.reader("F001"));
    let load = Load::default();
    for _ in 0..KILLS {
        let clients = load.start(&server.base, &token);
        // At any moment after the first answer: a slow machine has stored something by then as well.
        load.wait_for_more(1).await;
        tokio::time::sleep(Duration::from_millis(random.next(400))).await;
        server.kill();
        clients.stop().await;
        server = Server::start_on(Arc::clone(&data));
    }
    let stored = load.check(&server, &token).await;
    println!(
        "{KILLS} kills: {} acknowledged, {stored} stored in all",
        load.acknowledged()
    );
    assert!(
        load.acknowledged() > 100,
        "too little was stored for the test to mean anything"
    );
    drop(server::kura(data.path(), &["facility", "list"]));
}
