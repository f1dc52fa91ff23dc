//! How long the outside systems took: metrics and spans of what the ports ask of database and store.
//!
//! Names and labels are few and fixed: no UID, no path, no statement.

use std::time::Duration;

use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// An outside system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The database.
    Database,
    /// The object store.
    Storage,
}

/// Notes that `operation` has just ended after `elapsed`.
pub fn took(port: Port, operation: &'static str, elapsed: Duration) {
    let seconds = elapsed.as_secs_f64();
    match port {
        Port::Database => {
            metrics::histogram!("kura_database_seconds", "operation" => operation).record(seconds);
        }
        Port::Storage => {
            metrics::histogram!("kura_storage_seconds", "operation" => operation).record(seconds);
        }
    }
    trace(port, operation, elapsed, Status::Unset);
}

/// Notes that `operation` failed.
pub fn failed(port: Port, operation: &'static str) {
    match port {
        Port::Database => {
            metrics::counter!("kura_database_errors_total", "operation" => operation).increment(1);
        }
        Port::Storage => {
            metrics::counter!("kura_storage_errors_total", "operation" => operation).increment(1);
        }
    }
}

/// A span of what has ended, below the one that asked; nothing where the request is not traced.
fn trace(port: Port, operation: &'static str, elapsed: Duration, status: Status) {
    let asked = Span::current().context();
    if !asked.span().span_context().is_sampled() {
        return;
    }
    let name = match port {
        Port::Database => "database",
        Port::Storage => "storage",
    };
    let end = opentelemetry::time::now();
    let tracer = opentelemetry::global::tracer("kura");
    let mut span = tracer
        .span_builder(format!("{name} {operation}"))
        .with_kind(SpanKind::Client)
        .with_start_time(end.checked_sub(elapsed).unwrap_or(end))
        .start_with_context(&tracer, &asked);
    span.set_status(status);
    span.end_with_timestamp(end);
}
