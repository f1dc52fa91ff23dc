//! Metrics: who may read them, what they count, and that what they are labelled with is bounded.

use std::collections::BTreeSet;

use kura::telemetry::metrics::METRICS;

use crate::harness::{Server, instance};

fn server() -> Server {
    Server::start_set(&[("KURA_METRICS__LISTEN", "127.0.0.1:0")])
}

async fn page(server: &Server) -> String {
    let url = format!("{}/metrics", server.metrics());
    let answer = server.client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

/// The value of a series, 0 where there is none.
fn value(page: &str, series: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0, |rest| rest.trim().parse().unwrap())
}

/// The page once `series` has reached `least`; the end of a request is counted a moment after its answer.
async fn page_with(server: &Server, series: &str, least: u64) -> String {
    let started = std::time::Instant::now();
    loop {
        let page = page(server).await;
        if value(&page, series) >= least {
            return page;
        }
        assert!(
            started.elapsed().as_secs() < 10,
            "{series} stays below {least}: {page}"
        );
    }
}

#[tokio::test]
async fn requests_bytes_database_storage_and_outcomes_are_counted() {
    let server = server();
    let token = server.reader("F001");
    for number in 0..5 {
        let file = instance(&format!("1.2.3.{number}")).file();
        server.stored(&token, &[&file]).await;
        let uid = format!("1.2.3.{number}");
        let path = format!("/studies/{uid}.1/series/{uid}.1.1/instances/{uid}.1.1.1");
        assert_eq!(server.get(&path, &token).await.status, 200);
    }
    let other = instance("1.2.3.0").text(0x0010_0010, "PN", "Other").file();
    assert_eq!(server.store(&token, &[&other]).await.status, 409);
    server.get("/studies/9.9.9/metadata", &token).await;
    server.get("/nowhere/at/all", &token).await;
    let none = "kura_http_requests_total{route=\"none\",method=\"GET\",status=\"404\"}";
    let page = page_with(&server, none, 1).await;
    let stores = "route=\"/dicomweb/studies\",method=\"POST\"";
    let total = |status| format!("kura_http_requests_total{{{stores},status=\"{status}\"}}");
    assert_eq!(value(&page, &total(200)), 5, "{page}");
    assert_eq!(value(&page, &total(409)), 1);
    let timed = format!("kura_http_request_seconds_count{{{stores}}}");
    assert_eq!(value(&page, &timed), 6);
    let received = "kura_http_received_bytes_total{route=\"/dicomweb/studies\"}";
    assert!(value(&page, received) > 3000);
    let instance = "/dicomweb/studies/{study}/series/{series}/instances/{instance}";
    let sent = format!("kura_http_sent_bytes_total{{route=\"{instance}\"}}");
    assert!(value(&page, &sent) > 3000, "{page}");
    let outcome = |o, r| format!("kura_store_instances_total{{outcome=\"{o}\",reason=\"{r}\"}}");
    assert_eq!(value(&page, &outcome("stored", "")), 5);
    assert_eq!(value(&page, &outcome("refused", "0111")), 1);
    for operation in ["begin", "commit", "select", "insert"] {
        let series = format!("kura_database_seconds_count{{operation=\"{operation}\"}}");
        assert!(value(&page, &series) >= 5, "{series}");
    }
    assert!(page.contains("kura_storage_seconds_bucket{operation=\"write\""));
    assert!(page.contains("kura_storage_seconds_bucket{operation=\"read\""));
    let version = format!(
        "kura_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(value(&page, &version), 1);
    assert_eq!(value(&page, "kura_http_requests_in_flight"), 0);
}

#[tokio::test]
async fn labels_hold_no_uid_and_stay_as_many_as_they_are() {
    let server = server();
    let token = server.reader("F001");
    let ask = async |numbers: std::ops::Range<u32>| {
        for number in numbers {
            let uid = format!("1.2.3.{number}");
            server.stored(&token, &[instance(&uid).file()]).await;
            server
                .get(&format!("/studies/{uid}.1/metadata"), &token)
                .await;
            server
                .get(&format!("/studies/{uid}.2/metadata"), &token)
                .await;
            server.get(&format!("/made/up/{uid}"), &token).await;
            let method = reqwest::Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
            server
                .send(server.request(method, "/studies", &token))
                .await;
        }
    };
    ask(0..3).await;
    let other =
        "kura_http_requests_total{route=\"/dicomweb/studies\",method=\"OTHER\",status=\"405\"}";
    let none = "kura_http_requests_total{route=\"none\",method=\"OTHER\",status=\"405\"}";
    let seen = page(&server).await;
    let series = if seen.contains(none) { none } else { other };
    let series_of = |page: &str| -> BTreeSet<String> {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' ').map(|(series, _)| series.to_owned()))
            .collect()
    };
    let before = page_with(&server, series, 3).await;
    ask(3..10).await;
    let after = page_with(&server, series, 10).await;
    assert_eq!(series_of(&before), series_of(&after));
    assert!(!after.contains("1.2.3"), "{after}");
    assert!(!after.contains("F001") && !after.contains("Yamada"));
}

#[tokio::test]
async fn the_main_address_gives_them_to_administrators_only() {
    let server = Server::start();
    assert_eq!(server.get("/metrics", "").await.status, 401);
    let reader = server.get("/metrics", &server.reader("F001")).await;
    assert_eq!(reader.status, 404, "{}", reader.text());
    let facility = server.token("F001", "admin.facility");
    assert_eq!(server.get("/metrics", &facility).await.status, 403);
    let group = server
        .get("/metrics", &server.token("F001", "admin.policy"))
        .await;
    assert_eq!(group.status, 200);
    assert!(group.text().contains("kura_build_info"));
    assert_eq!(
        group.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
}

#[tokio::test]
async fn what_is_shown_is_in_the_table() {
    let server = server();
    server
        .stored(&server.reader("F001"), &[instance("1.2.3").file()])
        .await;
    let page = page(&server).await;
    let mut shown = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let metric = METRICS.iter().find(|metric| metric.name == name);
        let metric = metric.unwrap_or_else(|| panic!("{name} is not in the table"));
        assert_eq!(format!("{:?}", metric.kind).to_lowercase(), kind, "{name}");
        shown += 1;
    }
    assert!(shown >= 10, "{page}");
}
