//! A server that is far away: a line between it and its client that takes its time, and holds whatever is under way.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// A line to a server; it ends with its connections when it is dropped.
#[derive(Debug)]
pub struct Far {
    pub base: String,
    _accepting: JoinSet<()>,
}

impl Far {
    /// A line to `base` (`http://127.0.0.1:1234`) on which every byte takes `delay`, each way.
    pub async fn from(base: &str, delay: Duration) -> Self {
        let server = base.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&server).await else {
                    continue;
                };
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                lines.spawn(carry(near_in, far_out, delay));
                lines.spawn(carry(far_in, near_out, delay));
            }
        });
        Self {
            base,
            _accepting: accepting,
        }
    }
}

/// Carries bytes from one end to the other, each piece `delay` after it came.
async fn carry(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin,
    delay: Duration,
) {
    let (send, mut under_way) = unbounded_channel();
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        loop {
            let mut piece = Vec::with_capacity(256 << 10);
            match from.read_buf(&mut piece).await {
                Ok(len) if len > 0 => {}
                Ok(_) | Err(_) => return,
            }
            if send.send((Instant::now() + delay, piece)).is_err() {
                return;
            }
        }
    });
    while let Some((at, piece)) = under_way.recv().await {
        sleep_until(at).await;
        if to.write_all(&piece).await.is_err() {
            return;
        }
    }
    drop(to.shutdown().await);
}
