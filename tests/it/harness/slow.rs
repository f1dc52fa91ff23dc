//! A store that takes its time: a proxy before it that holds each answer back for a while and counts the reads that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How many reads wait for their answers, now and at most, and how many there were.
#[derive(Debug, Default)]
struct Count {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

/// A running proxy; dropped, it ends with its connections.
#[derive(Debug)]
pub struct Slow {
    pub base: String,
    count: Arc<Count>,
    _accepting: JoinSet<()>,
}

impl Slow {
    /// A proxy before the server at `address` (`127.0.0.1:1234`) that holds each answer back for `delay`.
    pub async fn before(address: String, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let count = Arc::new(Count::default());
        let counted = Arc::clone(&count);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&address).await.unwrap();
                passing.spawn(pass(client, server, delay, Arc::clone(&counted)));
            }
        });
        Self {
            base,
            count,
            _accepting: accepting,
        }
    }

    /// How many reads waited at the same time at most, and how many there were, since it was asked last.
    pub fn counted(&self) -> (usize, usize) {
        let most = self.count.most.swap(0, Ordering::SeqCst);
        (most, self.count.all.swap(0, Ordering::SeqCst))
    }
}

/// Passes on what the two say. A connection has one request at a time, and each begins a packet.
async fn pass(mut client: TcpStream, mut server: TcpStream, delay: Duration, count: Arc<Count>) {
    let (mut asked, mut told) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut waits = None;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(len @ 1..) = read else { return };
                if asked[..len].starts_with(b"GET /") {
                    waits = Some(Waiting::begin(&count));
                }
                if server.write_all(&asked[..len]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut told) => {
                let Ok(len @ 1..) = read else { return };
                if let Some(waiting) = waits.take() {
                    tokio::time::sleep(delay).await;
                    drop(waiting);
                }
                if client.write_all(&told[..len]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A read that waits.
struct Waiting(Arc<Count>);

impl Waiting {
    fn begin(count: &Arc<Count>) -> Self {
        count.all.fetch_add(1, Ordering::SeqCst);
        let now = count.now.fetch_add(1, Ordering::SeqCst) + 1;
        count.most.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}
