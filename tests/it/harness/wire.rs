//! A client that writes requests by hand and reads answers off the socket, as those from before 2012 do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::Answer;

/// Longer than any of those clients waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    /// To an address such as `http://127.0.0.1:8080/…`.
    pub fn to(base: &str) -> Self {
        let socket = TcpStream::connect(authority(base)).expect("somebody listens");
        Self::over(socket)
    }

    /// Over a socket that is connected already.
    pub fn over(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(socket))
    }

    /// Sends what stands there.
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("it is taken");
    }

    /// Sends the head of a request; lines are ended here.
    pub fn head(&mut self, lines: &[&str]) {
        let head = lines.join("\r\n") + "\r\n\r\n";
        self.send(head.as_bytes());
    }

    /// Sends a piece of a chunked body; an empty one ends it.
    pub fn chunk(&mut self, piece: &[u8]) {
        self.send(format!("{:x}\r\n", piece.len()).as_bytes());
        self.send(piece);
        self.send(b"\r\n");
    }

    /// The next line without its end; empty at the end of the connection.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        // A reset is an end as well.
        drop(self.0.read_line(&mut line));
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Whether the other side has closed, and sent nothing before.
    pub fn is_closed(&mut self) -> bool {
        self.0.fill_buf().map_or(true, <[u8]>::is_empty)
    }

    /// Reads an answer to its end.
    pub fn answer(&mut self) -> Answer {
        let status = self.line();
        let status = status.split(' ').nth(1).and_then(|it| it.parse().ok());
        let mut headers = HeaderMap::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let mut answer = Answer {
            status: status.expect("a status line"),
            headers,
            body: Vec::new(),
        };
        answer.body = self.body(&answer);
        answer
    }

    fn body(&mut self, answer: &Answer) -> Vec<u8> {
        let mut body = Vec::new();
        if answer.header("transfer-encoding") == "chunked" {
            loop {
                let len = usize::from_str_radix(&self.line(), 16).expect("a length of a chunk");
                let mut piece = vec![0; len];
                self.0.read_exact(&mut piece).unwrap();
                self.line();
                body.append(&mut piece);
                if len == 0 {
                    return body;
                }
            }
        }
        match answer.header("content-length").parse() {
            Ok(len) => {
                body.resize(len, 0);
                self.0.read_exact(&mut body).unwrap();
            }
            Err(_) if matches!(answer.status, 204 | 304) => {}
            Err(_) => drop(self.0.read_to_end(&mut body).unwrap()),
        }
        body
    }
}

/// Host and port of an address.
pub fn authority(base: &str) -> &str {
    let rest = base.strip_prefix("http://").unwrap_or(base);
    rest.split('/').next().unwrap_or_default()
}
