//! Servers that tests run beside kura. They end with the test program, however that ends: a shell waits for the end of a pipe
//! that only the test program holds, and then does what has to be done.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// The script for a server that `$@` starts: killed at the end.
pub const SERVER: &str = r#""$@" & server=$!; cat >/dev/null; kill -9 $server"#;

/// A shell that acts when this process ends or drops it.
#[derive(Debug)]
pub struct Watch(Child);

impl Watch {
    /// Runs `script` with `arguments` as `$1`, `$2`, …; it reads the pipe by `cat >/dev/null` and cleans up after that.
    pub fn run(script: &str, arguments: &[&str]) -> Self {
        let child = Command::new("sh")
            .args(["-c", script, "watch"])
            .args(arguments)
            // Out of reach of a Ctrl-C that ends the tests.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        Self(child)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}
