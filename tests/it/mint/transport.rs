//! How bytes travel: one connection has to do (MINT 16.1, Z52, Z54).

use std::future::poll_fn;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::{Method, Request};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::create::{document, form, form_type};
use super::uuid_of;
use crate::durability;
use crate::harness::backing::{self, Storage};
use crate::harness::far::Far;
use crate::harness::server::wait_for;
use crate::harness::watched::{SERVER, Watch, free_port};
use crate::harness::{Server, instance};

/// What one stream, and what a connection may have under way (MINT Z02).
const STREAM: usize = 8 << 20;
const CONNECTION: usize = 16 << 20;
const LIMIT: Duration = Duration::from_secs(30);

/// An HTTP/2 connection with windows as wide as the server's.
async fn connect(base: &str) -> (SendRequest<Bytes>, JoinSet<()>) {
    let io = TcpStream::connect(base.trim_start_matches("http://"))
        .await
        .unwrap();
    io.set_nodelay(true).unwrap();
    let mut builder = Builder::new();
    builder
        .initial_window_size(u32::try_from(STREAM).unwrap())
        .initial_connection_window_size(u32::try_from(CONNECTION).unwrap())
        .max_send_buffer_size(2 * CONNECTION);
    let (requests, connection) = builder.handshake(io).await.unwrap();
    let mut under = JoinSet::new();
    under.spawn(async move { drop(connection.await) });
    (requests, under)
}

fn asked(base: &str, method: Method, path: &str, token: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("{base}{path}"))
        .header("authorization", format!("Bearer {token}"))
}

async fn get(requests: &SendRequest<Bytes>, request: http::request::Builder) -> ResponseFuture {
    let mut requests = requests.clone().ready().await.unwrap();
    requests
        .send_request(request.body(()).unwrap(), true)
        .unwrap()
        .0
}

/// A study of instances with so many MiB of pixels together, 16 MiB each.
async fn stored(server: &Server, token: &str, mib: usize) -> String {
    for number in 1..=mib / 16 {
        let large = instance("1.2.3")
            .uids("1.2.3.1", "1.2.3.1.1", &format!("1.2.3.1.1.{number}"))
            .number(0x0028_0010, 2048)
            .number(0x0028_0011, 4096)
            .bytes(
                0x7FE0_0010,
                "OW",
                vec![u8::try_from(number).unwrap(); 16 << 20],
            );
        server.stored(token, &[large.file()]).await;
    }
    let uuid = uuid_of(server, token, "1.2.3.1").await;
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/all");
    // Numbers are given by then.
    assert_eq!(server.get(&path, token).await.status, 200);
    path
}

#[tokio::test]
async fn mint_z02_windows_of_http_2_are_wide_both_ways() {
    let server = Server::start();
    let token = server.reader("F001");
    let path = stored(&server, &token, 32).await;
    // Up: what may be sent before anything was taken.
    let (requests, _under) = connect(&server.base).await;
    let mut room = Vec::new();
    let mut kept = Vec::new();
    for _ in 0..3 {
        let post = asked(&server.base, Method::POST, "/mint/jobs/createstudy", &token)
            .header("content-type", form_type())
            .body(())
            .unwrap();
        let mut ready = requests.clone().ready().await.unwrap();
        let (answer, mut body) = ready.send_request(post, false).unwrap();
        body.reserve_capacity(2 * CONNECTION);
        let granted = async {
            while body.capacity() < STREAM {
                drop(poll_fn(|context| body.poll_capacity(context)).await);
            }
        };
        drop(timeout(Duration::from_secs(2), granted).await);
        room.push(body.capacity());
        kept.push((answer, body));
    }
    assert_eq!(room, [STREAM, STREAM, 0]);
    // Down: what comes before anything was made room for.
    let (requests, _under) = connect(&server.base).await;
    let mut came = Vec::new();
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let get = get(&requests, asked(&server.base, Method::GET, &path, &token)).await;
        let mut body = get.await.unwrap().into_body();
        let mut len = 0;
        while len < STREAM {
            let piece = timeout(LIMIT, body.data()).await.expect("it comes");
            len += piece.unwrap().unwrap().len();
        }
        came.push(len);
        bodies.push(body);
    }
    assert_eq!(came, [STREAM, STREAM]);
}

/// How long an upload and a download of the same study take over one connection of each protocol.
async fn taken(base: &str, path: &str, token: &str, form: &Bytes) -> [Duration; 4] {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let authorization = format!("Bearer {token}");
    let started = Instant::now();
    let answer = client
        .get(format!("{base}{path}"))
        .header("authorization", &authorization)
        .send()
        .await
        .unwrap();
    let mut pieces = answer.bytes_stream();
    let mut len = 0;
    while let Some(piece) = pieces.next().await {
        len += piece.unwrap().len();
    }
    assert!(len > 64 << 20);
    let down = started.elapsed();
    let started = Instant::now();
    let job = client
        .post(format!("{base}/mint/jobs/createstudy"))
        .header("authorization", &authorization)
        .header("content-type", form_type())
        .body(form.clone());
    let job = job.send().await.unwrap();
    assert_eq!(job.status(), 200);
    let up = started.elapsed();
    let (requests, _under) = connect(base).await;
    let started = Instant::now();
    let get = get(&requests, asked(base, Method::GET, path, token)).await;
    let mut body = get.await.unwrap().into_body();
    let mut all = 0;
    while let Some(piece) = body.data().await {
        let len = piece.unwrap().len();
        all += len;
        body.flow_control().release_capacity(len).unwrap();
    }
    assert_eq!(all, len);
    let down_2 = started.elapsed();
    let started = Instant::now();
    let post = asked(base, Method::POST, "/mint/jobs/createstudy", token)
        .header("content-type", form_type())
        .body(())
        .unwrap();
    let mut ready = requests.clone().ready().await.unwrap();
    let (answer, mut to) = ready.send_request(post, false).unwrap();
    to.send_data(form.clone(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 303);
    [down, up, down_2, started.elapsed()]
}

/// So long a line is no excuse: beside the time that the same takes here, some round trips.
const ROUND_TRIP: Duration = Duration::from_millis(100);
const ROUND_TRIPS: u32 = 25;

#[tokio::test]
async fn mint_z04_z02_one_connection_fills_a_long_line() {
    let server = Server::start();
    let token = server.reader("F001");
    let path = stored(&server, &token, 64).await;
    let form = large_form();
    let near = taken(&server.base, &path, &token, &form).await;
    let far = Far::from(&server.base, ROUND_TRIP / 2).await;
    let far = taken(&far.base, &path, &token, &form).await;
    for (what, near, far) in [
        ("down", near[0], far[0]),
        ("up", near[1], far[1]),
        ("down, HTTP/2", near[2], far[2]),
        ("up, HTTP/2", near[3], far[3]),
    ] {
        println!("64 MiB {what}: {near:?} here, {far:?} at {ROUND_TRIP:?}");
        // A window of 1 MiB would take 64 round trips, one of 64 KiB a thousand.
        assert!(far < near * 2 + ROUND_TRIPS * ROUND_TRIP, "{what}: {far:?}");
    }
}

/// A study of one instance with 64 MiB, which is there after the first time.
fn large_form() -> Bytes {
    let (head, _) = super::create::DOCUMENT.split_once("<seriesList>").unwrap();
    let text = format!(
        "{head}<seriesList><series seriesInstanceUID=\"2.25.5\"><attributes>\
         <attr tag=\"0020000E\" vr=\"UI\" val=\"2.25.5\"/></attributes><normalizedInstanceAttributes/><instances>\
         <instance sopInstanceUID=\"2.25.6\" transferSyntaxUID=\"1.2.840.10008.1.2.1\"><attributes>\
         <attr tag=\"00080016\" vr=\"UI\" val=\"1.2.840.10008.5.1.4.1.1.2\"/><attr tag=\"00080018\" vr=\"UI\" val=\"2.25.6\"/>\
         <attr tag=\"7FE00010\" vr=\"OW\" bid=\"0\"/></attributes></instance></instances></series></seriesList></study>"
    );
    let item = super::create::file(
        "binary0",
        "binary0",
        "application/octet-stream",
        vec![3; 64 << 20],
    );
    form(&[document(&text), item]).into()
}

/// A study of one instance with so many frames of 16 bytes.
async fn framed(server: &Server, token: &str, frames: u32) -> String {
    let pixels: Vec<u8> = (0..frames)
        .flat_map(|frame| [frame.to_le_bytes(); 4].concat())
        .collect();
    let long = instance("1.2.3")
        .text(0x0028_0008, "IS", &frames.to_string())
        .number(0x0028_0100, 8)
        .number(0x0028_0101, 8)
        .number(0x0028_0102, 7)
        .bytes(0x7FE0_0010, "OW", pixels);
    server.stored(token, &[long.file()]).await;
    let uuid = uuid_of(server, token, "1.2.3.1").await;
    format!("/mint/studies/{uuid}/DICOM/binaryitems")
}

/// What the kernel holds of an answer on its way from `port`: not yet sent, or not yet acknowledged (`/proc/net/tcp`).
fn queued(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    let lines = table.lines().skip(1).map(str::split_whitespace);
    let queues = lines.filter_map(|mut fields| {
        let is_it = fields.nth(1)?.ends_with(&local);
        let queues = fields.nth(2)?;
        let sending = queues.split(':').next()?;
        is_it.then(|| u64::from_str_radix(sending, 16).unwrap())
    });
    queues.max().unwrap_or(0)
}

#[tokio::test]
async fn mint_z03_who_does_not_read_holds_little_memory() {
    let server = Server::start();
    let token = server.reader("F001");
    let path = stored(&server, &token, 64).await;
    let request = server.request(Method::GET, &path, &token);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let port: u16 = server.base.rsplit(':').next().unwrap().parse().unwrap();
    // Nobody reads: what is sent fills the window of the reader, and what follows waits.
    let (mut last, mut same) = (0, 0);
    while same < 10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = queued(port);
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
    }
    println!("{last} bytes wait in the kernel");
    assert!(last < 1 << 20, "{last} bytes wait in the kernel");
    // And the rest comes when it is asked for.
    let told = answer.content_length().unwrap();
    assert_eq!(answer.bytes().await.unwrap().len() as u64, told);
}

#[tokio::test]
async fn mint_z52_many_small_items_are_few_system_calls() {
    const ITEMS: u32 = 5_000;
    let Some(strace) = durability::strace() else {
        return;
    };
    let data = Server::fresh();
    let trace = data.path().join("strace.txt");
    let mut command = Command::new(strace);
    let calls = "trace=write,writev,sendto,sendmsg,sendmmsg,sendfile,splice";
    command
        .args(["-D", "-f", "-y", "-s", "24", "-e", calls, "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_kura"));
    command.env("KURA_WORKER__ENABLED", "false");
    let server = Server::start_with(data, command);
    let token = server.reader("F001");
    let path = framed(&server, &token, ITEMS).await;
    let all = format!("{path}/all");
    server.get(&all, &token).await;
    let lines = || std::fs::read_to_string(&trace).unwrap();
    let ended = |from: usize| {
        // The line of the log is written behind the last byte.
        wait_for(LIMIT, || {
            let text = lines();
            let written = text.lines().skip(from).map(str::to_owned);
            let written: Vec<String> = written.collect();
            let is_log = |line: &String| line.contains("write(2<");
            written.iter().any(is_log).then_some(written)
        })
    };
    let before = ended(0).len();
    let answer = server.get(&all, &token).await;
    assert_eq!(answer.status, 200);
    let calls = ended(before);
    let is_socket = |line: &&String| line.contains("<TCP:[") || line.contains("<socket:[");
    let sent = calls.iter().filter(is_socket).count();
    println!("{ITEMS} items, {} bytes: {sent} calls", answer.body.len());
    assert!(sent > 0, "{calls:#?}");
    assert!(sent * 20 < ITEMS as usize, "{sent} calls");
}

/// How many statements the database was sent so far.
async fn statements(server: &Server, metrics: &str) -> u64 {
    let text = server.client.get(format!("{metrics}/metrics"));
    let text = text.send().await.unwrap().text().await.unwrap();
    let counts = text
        .lines()
        .filter(|line| line.starts_with("kura_database_seconds_count"))
        .filter(|line| !line.contains("begin") && !line.contains("commit"));
    counts
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[tokio::test]
async fn mint_z54_items_cost_one_check_a_request() {
    const INSTANCES: u64 = 600;
    let server = Server::start_set(&[
        ("KURA_METRICS__LISTEN", "127.0.0.1:0"),
        ("KURA_WORKER__ENABLED", "false"),
    ]);
    let metrics = server.metrics();
    let token = server.reader("F001");
    let files: Vec<_> = (1..=INSTANCES)
        .map(|number| {
            let uid = format!("1.2.3.1.1.{number}");
            instance("1.2.3").uids("1.2.3.1", "1.2.3.1.1", &uid).file()
        })
        .collect();
    server.stored(&token, &files).await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems");
    // Numbers are given by the first who asks.
    server.get(&format!("{path}/all"), &token).await;
    let cost = async |list: &str| {
        let before = statements(&server, &metrics).await;
        let answer = server.get(&format!("{path}/{list}"), &token).await;
        assert_eq!(answer.status, 200, "{list}");
        let cost = statements(&server, &metrics).await - before;
        println!("{list}: {cost} statements, {} bytes", answer.body.len());
        cost
    };
    // One for the token, and one for the study, what of it the caller may see, and the place of an item.
    for list in ["0", "7", "599.dat", "all", "0-99", "3,500", "0-599"] {
        assert_eq!(cost(list).await, 2, "{list}");
    }
    // What changes the study changes what was kept of it.
    let more = instance("1.2.3").uids("1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.9999");
    server.stored(&token, &[more.file()]).await;
    assert!(cost("all").await > 2);
    assert_eq!(cost("all").await, 2);
    let all = server.get(&format!("{path}/0-600"), &token).await;
    assert_eq!(all.status, 200);
}

#[tokio::test]
async fn mint_z54_what_is_kept_of_a_version_follows_bytes_that_move() {
    let server = Server::start_set(&[
        ("KURA_STORAGE__REPACK_QUIET_S", "1"),
        ("KURA_STORAGE__REPLACED_GRACE_S", "0"),
        ("KURA_WORKER__POLL_S", "1"),
    ]);
    let token = server.reader("F001");
    for number in 1..=4 {
        let one = instance("1.2.3")
            .uids("1.2.3.1", "1.2.3.1.1", &format!("1.2.3.1.1.{number}"))
            .bytes(0x7FE0_0010, "OW", vec![number; 32]);
        server.stored(&token, &[one.file()]).await;
    }
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/all");
    let before = server.get(&path, &token).await;
    assert_eq!(before.status, 200);
    let started = Instant::now();
    // The packs of before are gone once there is one.
    let is_over = async || {
        if backing::storage() == Storage::Memory {
            return started.elapsed() > Duration::from_secs(8);
        }
        backing::objects(server.data.path(), ".pack").await.len() == 1
    };
    while !is_over().await {
        let now = server.get(&path, &token).await;
        assert!(now.status == 200 && now.body == before.body);
        assert!(started.elapsed() < LIMIT, "nothing was repacked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = server.get(&path, &token).await;
    assert_eq!(after.status, 200);
    assert!(after.body == before.body);
}

/// A proxy that ends TLS, as an operator sets one up; `None` where there is no nginx.
fn behind_tls(folder: &Path, base: &str) -> Option<(Watch, String)> {
    let has = |name: &str| Command::new(name).arg("-v").output().is_ok();
    if !has("nginx") || !has("openssl") {
        let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!is_ci, "no nginx: scripts/setup --tests installs it");
        println!("no nginx: scripts/setup --tests installs it");
        return None;
    }
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args([
            "-subj",
            "/CN=localhost",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let port = free_port();
    let (here, server) = (folder.display(), base.trim_start_matches("http://"));
    let configuration = format!(
        "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log;\n\
         events {{}}\n\
         http {{ access_log off; client_body_temp_path {here}/b; proxy_temp_path {here}/p; fastcgi_temp_path {here}/f;\n\
         uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;\n\
         upstream kura {{ server {server}; keepalive 8; }}\n\
         server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {here}/cert.pem; ssl_certificate_key {here}/key.pem;\n\
         client_max_body_size 0; location / {{ proxy_pass http://kura; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https;\n\
         proxy_set_header X-Forwarded-Host $http_host; proxy_buffering off; proxy_request_buffering off; }} }} }}\n"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let (file, prefix) = (file.display().to_string(), here.to_string());
    let watch = Watch::run(SERVER, &["nginx", "-p", &prefix, "-c", &file]);
    wait_for(LIMIT, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    Some((watch, format!("https://127.0.0.1:{port}")))
}

/// What curl says of a request: the protocol it came to, the status, the body.
fn curl(arguments: &[&str]) -> (String, Vec<u8>) {
    let output = Command::new("curl")
        .args([
            "-sS",
            "-k",
            "-o",
            "-",
            "-w",
            "%{stderr}%{http_version} %{http_code}",
        ])
        .args(arguments)
        .output()
        .unwrap();
    (
        String::from_utf8_lossy(&output.stderr).into_owned(),
        output.stdout,
    )
}

#[tokio::test]
async fn mint_z01_both_protocols_come_over_tls() {
    let server = Server::start_set(&[("KURA_TRUST_FORWARDED", "true")]);
    let token = server.reader("F001");
    let folder = tempfile::tempdir().unwrap();
    let Some((_proxy, base)) = behind_tls(folder.path(), &server.base) else {
        return;
    };
    let path = framed(&server, &token, 100).await;
    let len = server.get(&format!("{path}/all"), &token).await.body.len();
    let mut whole = None;
    let authorization = format!("Authorization: Bearer {token}");
    let form_file = folder.path().join("form");
    let mut fields = vec![document(super::create::DOCUMENT)];
    fields.extend(super::create::items());
    std::fs::write(&form_file, form(&fields)).unwrap();
    let data = format!("@{}", form_file.display());
    let media_type = format!("Content-Type: {}", form_type());
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let items = format!("{base}{path}/all");
        let (said, body) = curl(&[option, "-H", &authorization, &items]);
        assert_eq!(said, format!("{version} 200"));
        assert_eq!(body.len(), len, "{option}");
        whole.get_or_insert(body.clone());
        assert!(whole.as_ref() == Some(&body), "{option}");
        // A download that broke off goes on.
        let (said, rest) = curl(&[option, "-H", &authorization, "-r", "1000-", &items]);
        assert_eq!(said, format!("{version} 206"));
        assert!(rest == body[1000..], "{option}");
        // An upload, and the way to its job.
        let create = format!("{base}/mint/jobs/createstudy");
        let post = [
            "-L",
            option,
            "-H",
            &authorization,
            "-H",
            &media_type,
            "--data-binary",
            &data,
        ];
        let (said, job) = curl(&[&post[..], &[&create]].concat());
        assert_eq!(
            said,
            format!("{version} 200"),
            "{}",
            String::from_utf8_lossy(&job)
        );
        assert!(
            String::from_utf8_lossy(&job).contains("SUCCESS"),
            "{option}"
        );
    }
}
