//! One address for several servers: each connection goes to the next of them; one that refuses is passed over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A running proxy; dropped, it ends with its connections.
#[derive(Debug)]
pub struct Proxy {
    pub base: String,
    /// Aborted when it is dropped, and with it all connections.
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// A proxy before the servers with these addresses (`http://127.0.0.1:1234`).
    pub async fn before(bases: &[&str]) -> Self {
        let servers: Arc<Vec<SocketAddr>> = Arc::new(
            bases
                .iter()
                .map(|base| base.trim_start_matches("http://").parse().unwrap())
                .collect(),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let turn = Arc::new(AtomicUsize::new(0));
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let first = turn.fetch_add(1, Ordering::SeqCst);
                passing.spawn(pass(client, Arc::clone(&servers), first));
            }
        });
        Self {
            base,
            _accepting: accepting,
        }
    }
}

async fn pass(mut client: TcpStream, servers: Arc<Vec<SocketAddr>>, first: usize) {
    for at in first..first + servers.len() {
        if let Ok(mut server) = TcpStream::connect(servers[at % servers.len()]).await {
            drop(copy_bidirectional(&mut client, &mut server).await);
            return;
        }
    }
}
