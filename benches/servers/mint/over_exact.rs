//! The exact form with zstd over the line: bytes of objects, and what both sides compute for it (A18).

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use super::over::Behind;
use crate::servers::contender::TICKS;
use crate::servers::report::{Aim, Row};
use crate::servers::{Bench, median, thousands};

/// What a client took.
struct Taken {
    seconds: f64,
    /// Seconds of processor.
    cpu: f64,
    /// Bytes of the tar file, and of what came for it.
    whole: u64,
    wire: u64,
}

/// The study as one tar file in one zstd frame.
pub(super) async fn zstd(bench: &mut Bench, behind: &Behind) {
    let path = format!("/mint/studies/{}/exact", behind.key);
    let (mut rates, mut client, mut server) = (Vec::new(), Vec::new(), Vec::new());
    let mut packed = 0.0;
    for _ in 0..bench.rounds {
        let (address, token) = (behind.kura.address.clone(), behind.kura.token.clone());
        let path = path.clone();
        let before = behind.kura.cpu();
        let got = tokio::task::spawn_blocking(move || take(&address, &token, &path)).await;
        let got = got.expect("the study comes");
        rates.push(thousands(got.whole) / 1e3 / got.seconds);
        client.push(got.cpu / got.seconds);
        server.push((behind.kura.cpu() - before) / got.seconds);
        packed = thousands(got.whole) / thousands(got.wire);
    }
    let (rate, client, server) = (median(rates), median(client), median(server));
    bench.report.add(Row {
        work: "MINT: the exact form with zstd over 1 Gbps".to_owned(),
        figures: vec![(
            "kura, SQLite",
            format!("{rate:.0} MB/s of objects, packed to 1/{packed:.2}, {server:.2} cores, the client {client:.2}"),
        )],
        aims: vec![
            Aim::at_least("A18, MB/s", rate, 160.0),
            Aim::at_most("A18, cores of the server", server, 1.5),
            Aim::at_most("A18, cores of the client", client, 1.5),
        ],
    });
}

/// Takes an answer and unpacks it, in this thread.
fn take(address: &str, token: &str, path: &str) -> Taken {
    let (begun, before) = (Instant::now(), cpu());
    let mut stream = TcpStream::connect(address).expect("a connection");
    let head = format!(
        "GET {path} HTTP/1.1\r\nConnection: close\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nAccept-Encoding: zstd\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("the server reads");
    let mut answer = BufReader::with_capacity(256 << 10, Counted(stream, 0));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(answer.read_line(&mut head).expect("a head") > 0, "{head}");
    }
    let lower = head.to_ascii_lowercase();
    assert!(lower.contains("content-encoding: zstd"), "{head}");
    assert!(lower.contains("transfer-encoding: chunked"), "{head}");
    let mut answer = zstd::Decoder::new(Chunked(answer, 0)).expect("a decoder");
    let whole = std::io::copy(&mut answer, &mut std::io::sink()).expect("a zstd frame");
    let wire = answer.finish().into_inner().0.into_inner().1;
    Taken {
        seconds: begun.elapsed().as_secs_f64(),
        cpu: cpu() - before,
        whole,
        wire,
    }
}

/// A stream whose bytes are counted.
struct Counted(TcpStream, u64);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.0.read(buffer)?;
        self.1 += length as u64;
        Ok(length)
    }
}

/// A body in chunks (RFC 9112 7.1), and bytes that are left of the one that is open.
struct Chunked<R>(R, usize);

impl<R: BufRead> Read for Chunked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut line = String::new();
        while self.1 == 0 {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Ok(0);
            }
            let size = line.trim();
            // The line that ends the chunk before.
            if size.is_empty() {
                continue;
            }
            self.1 = usize::from_str_radix(size, 16).map_err(std::io::Error::other)?;
            if self.1 == 0 {
                return Ok(0);
            }
        }
        let most = self.1.min(buffer.len());
        let length = self.0.read(&mut buffer[..most])?;
        self.1 -= length;
        Ok(length)
    }
}

/// Seconds of processor of this thread.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("Linux");
    let (_, rest) = stat.rsplit_once(") ").expect("a stat");
    let ticks = rest.split(' ').skip(11).take(2);
    ticks.filter_map(|it| it.parse::<f64>().ok()).sum::<f64>() / TICKS
}
