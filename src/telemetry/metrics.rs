//! The table of metrics, and the recorder that keeps them.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{Error, Result};

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Whether it counts, shows a state, or how long something took.
    pub kind: Kind,
    /// Its labels, between commas.
    pub labels: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

/// The kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever more.
    Counter,
    /// More or less.
    Gauge,
    /// How many took how long.
    Histogram,
}

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static str,
    meaning: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        meaning,
    }
}

use Kind::{Counter, Gauge, Histogram};

/// Every metric, by name. Labels are words of ours: routes by their template, statuses, operations, reason codes. No UID, no
/// name and no facility is one of them, so there are some hundreds of series whatever is stored.
#[rustfmt::skip]
pub static METRICS: &[Metric] = &[
    metric("kura_build_info", Gauge, "version", "always 1; the version of the program"),
    metric("kura_database_errors_total", Counter, "operation", "statements, beginnings and commits that failed"),
    metric("kura_database_seconds", Histogram, "operation", "how long a statement (`select`, `insert`, `update`, `delete`, `other`) or a commit took; `begin` is the wait for a connection and its turn to write"),
    metric("kura_http_received_bytes_total", Counter, "route", "bytes of request bodies"),
    metric("kura_http_request_seconds", Histogram, "route, method", "from the head of a request to the last byte of its answer"),
    metric("kura_http_requests_in_flight", Gauge, "", "requests under way"),
    metric("kura_http_requests_total", Counter, "route, method, status", "requests that ended; status `none`: the caller left before there was an answer"),
    metric("kura_http_sent_bytes_total", Counter, "route", "bytes of answers' bodies"),
    metric("kura_job_seconds", Histogram, "kind", "how long a background job took"),
    metric("kura_jobs", Gauge, "kind, state", "background jobs"),
    metric("kura_jwks_refresh_failures_total", Counter, "issuer", "fetches of an identity provider's keys that failed"),
    metric("kura_pack_hole_bytes", Gauge, "", "bytes in packs that belong to no instance any more"),
    metric("kura_panics_total", Counter, "", "defects that were caught; each has a line in the log"),
    metric("kura_storage_bytes_total", Counter, "operation", "bytes read from and written to the object store"),
    metric("kura_storage_errors_total", Counter, "operation", "operations of the object store that failed"),
    metric("kura_storage_seconds", Histogram, "operation", "how long an operation of the object store took"),
    metric("kura_store_instances_total", Counter, "outcome, reason", "instances by outcome (`stored`, `warning`, `refused`) and reason code of PS3.4"),
    metric("kura_store_wait_seconds", Histogram, "", "how long a store waited for its turn before its body was read"),
    metric("kura_stores_refused_total", Counter, "reason", "stores refused before their body was read: `full` (too many waited), `late` (its turn did not come in time)"),
    metric("kura_stores_under_way", Gauge, "", "stores that are arriving or being sealed"),
    metric("kura_stores_waiting", Gauge, "", "stores that wait for their turn"),
];

/// Upper bounds of the buckets of all histograms, in seconds.
const BUCKETS: [f64; 15] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0,
];

/// Starts keeping metrics for the rest of the process; what is kept is read through the handle.
///
/// # Errors
/// `Kind::Internal` if they are kept already.
pub fn init() -> Result<PrometheusHandle> {
    let failed = |cause| Error::internal("metrics could not be started", cause);
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .map_err(failed)?
        .install_recorder()
        .map_err(failed)?;
    for metric in METRICS {
        match metric.kind {
            Counter => metrics::describe_counter!(metric.name, metric.meaning),
            Gauge => metrics::describe_gauge!(metric.name, metric.meaning),
            Histogram => metrics::describe_histogram!(metric.name, metric.meaning),
        }
    }
    metrics::gauge!("kura_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_name_says_its_unit() {
        assert!(METRICS.is_sorted_by(|a, b| a.name < b.name));
        for metric in METRICS {
            assert!(metric.name.starts_with("kura_"), "{}", metric.name);
            let ends = |end| metric.name.ends_with(end);
            assert_eq!(ends("_total"), metric.kind == Counter, "{}", metric.name);
            assert_eq!(
                ends("_seconds"),
                metric.kind == Histogram,
                "{}",
                metric.name
            );
        }
    }
}
