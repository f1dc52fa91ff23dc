//! A line of 1 Gbps of our own: two tunnel devices, one in the network of this process and one in the network of the servers
//! behind it, and threads that carry what one sends to the other at the pace of Gigabit Ethernet and as late as the line is
//! long. Real TCP runs over it, and it needs nothing of a kernel but `/dev/net/tun`.
//!
//! The kernel hands over segments of one connection together, up to 64 KiB, as to a network card that cuts them itself; what
//! they are on the wire is counted as the frames of 1514 bytes that they stand for. Nothing is lost: what the line cannot take
//! yet waits in the sender's own queue, as before a real card.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use tun_rs::{DeviceBuilder, SyncDevice};

/// Address of the servers behind the line.
pub(crate) const FAR: &str = "10.77.0.2";
/// MB/s of TCP payload that full frames carry: 1448 of 1538 bytes of Gigabit Ethernet (MINT 17.1).
pub(crate) const RATE: f64 = 117.7;

const NEAR: &str = "10.77.0.1";
/// Nanoseconds of a byte.
const BYTE_NS: u64 = 8;
/// What a frame has around an IP packet: preamble, addresses, type, checksum, gap.
const FRAME: u64 = 38;
/// What the kernel puts before each packet (`struct virtio_net_hdr`).
const HEAD: usize = 10;
/// Packets under way in one direction, each at most 64 KiB: many times what 30 ms of the line hold.
const UNDER_WAY: usize = 4096;
/// Sleeping is not exact: the line is left alone until it is this far ahead of the clock, and looked at this much too early.
const AHEAD: Duration = Duration::from_micros(500);
const EARLY: Duration = Duration::from_micros(300);
/// Highest socket buffers on both sides: windows are never what limits.
const BUFFERS: u32 = 32 << 20;

/// The line. Dropped, its far end is gone.
#[derive(Debug)]
pub(crate) struct Line {
    /// Nanoseconds that a packet is under way, one way.
    delay: Arc<AtomicU64>,
    /// A process that does nothing but hold the network of the far end.
    holder: Child,
}

impl Line {
    /// Lays the line, or says why there can be none. Needs a network of its own (`unshare --net`).
    pub(crate) fn lay() -> Result<Self, String> {
        let device = |name| {
            let device = DeviceBuilder::new().name(name).offload(true).build_sync();
            device
                .map(Arc::new)
                .map_err(|error| format!("/dev/net/tun: {error}"))
        };
        let (near, far) = (device("kura-near")?, device("kura-far")?);
        let mut holder = Command::new("unshare");
        holder.args(["--net", "sleep", "infinity"]);
        let holder = holder.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let holder = holder.map_err(|error| format!("unshare: {error}"))?;
        let delay = Arc::new(AtomicU64::new(0));
        let line = Self { delay, holder };
        line.connect()?;
        line.carry(&near, &far);
        line.carry(&far, &near);
        Ok(line)
    }

    /// From now on a packet and its answer take so long.
    pub(crate) fn set_round_trip(&self, ms: u64) {
        self.delay.store(ms * 1_000_000 / 2, Ordering::Relaxed);
    }

    /// A program that runs at the far end.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .arg(program);
        command
    }

    fn connect(&self) -> Result<(), String> {
        let pid = self.holder.id();
        // Whether the holder has its own network already is seen by that it is another than this one.
        let own = format!(
            "for n in $(seq 100); do [ $(readlink /proc/{pid}/ns/net) = $(readlink /proc/self/ns/net) ] || exit 0; sleep 0.02; done; exit 1"
        );
        let wide = format!(
            "echo '4096 131072 {BUFFERS}' >/proc/sys/net/ipv4/tcp_rmem; echo '4096 16384 {BUFFERS}' >/proc/sys/net/ipv4/tcp_wmem"
        );
        let end = |device: &str, address: &str| {
            format!(
                "ip addr add {address}/24 dev {device}; ip link set {device} mtu 1500 up; {wide}"
            )
        };
        sh(&mut Command::new("sh"), &own)?;
        sh(
            &mut Command::new("sh"),
            &format!(
                "ip link set kura-far netns {pid}; {}",
                end("kura-near", NEAR)
            ),
        )?;
        sh(
            &mut self.command("sh"),
            &format!("ip link set lo up; {}", end("kura-far", FAR)),
        )
    }

    /// Carries what comes out of one end to the other.
    #[expect(clippy::disallowed_methods, reason = "a line takes its time")]
    fn carry(&self, from: &Arc<SyncDevice>, to: &Arc<SyncDevice>) {
        let (sender, receiver) = sync_channel::<(Instant, Vec<u8>)>(UNDER_WAY);
        let (from, to, delay) = (Arc::clone(from), Arc::clone(to), Arc::clone(&self.delay));
        spawn(move || {
            let mut buffer = vec![0; HEAD + (64 << 10)];
            let mut free = Instant::now();
            while let Ok(length) = from.recv(&mut buffer) {
                let packet = &buffer[..length];
                free =
                    free.max(Instant::now()) + Duration::from_nanos(wire_bytes(packet) * BYTE_NS);
                let arrives = free + Duration::from_nanos(delay.load(Ordering::Relaxed));
                if sender.send((arrives, packet.to_vec())).is_err() {
                    break;
                }
                let ahead = free.saturating_duration_since(Instant::now());
                if ahead > AHEAD {
                    sleep(ahead.saturating_sub(EARLY));
                }
            }
        });
        spawn(move || {
            for (arrives, packet) in receiver {
                sleep(arrives.saturating_duration_since(Instant::now()));
                // An end without an address yet, or no longer: lost, as on any line.
                drop(to.send(&packet));
            }
        });
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

/// Runs a line in a shell.
fn sh(shell: &mut Command, line: &str) -> Result<(), String> {
    let out = shell.args(["-ec", line]).output();
    let out = out.map_err(|error| error.to_string())?;
    if out.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&out.stderr);
    Err(format!("{line}: {}", said.trim()))
}

/// Bytes on the wire of what stands behind a [`HEAD`]: one frame, or as many as its segments need.
fn wire_bytes(packet: &[u8]) -> u64 {
    let Some((head, ip)) = packet.split_at_checked(HEAD) else {
        return 0;
    };
    let length = ip.len() as u64;
    let segment = u64::from(u16::from_le_bytes([head[4], head[5]]));
    let ip_head = ip.first().map_or(0, |it| usize::from(it & 15) * 4);
    let tcp_head = ip
        .get(ip_head + 12)
        .map_or(0, |it| usize::from(it >> 4) * 4);
    let heads = (ip_head + tcp_head) as u64;
    if head[1] == 0 || segment == 0 || length <= heads {
        return length + FRAME;
    }
    let payload = length - heads;
    payload + payload.div_ceil(segment) * (heads + FRAME)
}
