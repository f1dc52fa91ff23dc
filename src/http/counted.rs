//! What passes in a request and its answer, counted; when the answer has ended, or nobody wants it any more, its line is
//! written.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::Method;
use actix_web::http::StatusCode;
use bytes::Bytes;
use futures::StreamExt as _;
use tracing::{Span, info, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

use super::limits::OneMore;
use crate::auth::Access;
use crate::error::{Error, causes};

/// A request from its head to the last byte of its answer. Its end is written down when it is dropped.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: Uuid,
    pub(super) span: Span,
    pub(super) method: Method,
    /// The path as it may be shown.
    pub(super) path: String,
    /// What the caller calls itself, as one of a few words.
    pub(super) client: &'static str,
    /// Where it came from, if nothing else tells who asks.
    pub(super) from: Option<IpAddr>,
    /// The template of the route.
    pub(super) route: Option<String>,
    pub(super) access: Option<Arc<Access>>,
    pub(super) status: Option<StatusCode>,
    pub(super) started: Instant,
    pub(super) bytes_in: Arc<AtomicU64>,
    pub(super) bytes_out: u64,
    /// The answer went out to its end.
    pub(super) has_ended: bool,
    /// Counts it as long as this lives.
    pub(super) _under_way: OneMore,
}

impl Record {
    /// Counts the bytes of the request's body from now on.
    pub(super) fn count_body(&self, request: &mut ServiceRequest) {
        let payload = request.take_payload();
        if matches!(payload, Payload::None) {
            request.set_payload(payload);
            return;
        }
        let bytes_in = Arc::clone(&self.bytes_in);
        let counted = payload.inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                bytes_in.fetch_add(length(chunk), Ordering::Relaxed);
            }
        });
        request.set_payload(Payload::Stream {
            payload: Box::pin(counted),
        });
    }

    /// The answer as it is to be sent: its end writes the line.
    pub(super) fn around(mut self, body: BoxBody) -> Counted {
        self.has_ended = matches!(body.size(), BodySize::None | BodySize::Sized(0));
        Counted { body, record: self }
    }

    /// Writes down who was handed what, and on which basis.
    fn trail(&self, access: &Access) {
        for touched in access.take_trail() {
            info!(
                id = %self.id,
                subject = access.subject(),
                facility = %access.facility().code,
                study = touched.study,
                basis = ?touched.basis,
                "handed out"
            );
        }
    }
}

fn length(chunk: &Bytes) -> u64 {
    u64::try_from(chunk.len()).unwrap_or(u64::MAX)
}

impl Drop for Record {
    fn drop(&mut self) {
        let span = self.span.clone();
        let _entered = span.enter();
        if let Some(access) = &self.access {
            self.trail(access);
        }
        let elapsed = self.started.elapsed();
        let status = self.status.map(|status| status.as_u16());
        let bytes_in = self.bytes_in.load(Ordering::Relaxed);
        let facility = self.access.as_ref().map(|a| a.facility().code.as_str());
        info!(
            id = %self.id,
            method = %self.method,
            path = self.path,
            status,
            elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            bytes_in,
            bytes_out = self.bytes_out,
            facility,
            client = self.client,
            from = self.from.map(tracing::field::display),
            "{}",
            if self.has_ended { "answered" } else { "cut off" }
        );
        let route = self.route.clone().unwrap_or_else(|| "none".to_owned());
        let method = method_label(&self.method);
        if let Some(status) = status {
            span.set_attribute("http.response.status_code", i64::from(status));
        }
        span.set_attribute("http.route", route.clone());
        let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        metrics::counter!("kura_http_requests_total", "route" => route.clone(), "method" => method, "status" => status)
            .increment(1);
        metrics::histogram!("kura_http_request_seconds", "route" => route.clone(), "method" => method)
            .record(elapsed.as_secs_f64());
        metrics::counter!("kura_http_received_bytes_total", "route" => route.clone())
            .increment(bytes_in);
        metrics::counter!("kura_http_sent_bytes_total", "route" => route).increment(self.bytes_out);
    }
}

/// A method as a label: whatever a caller makes up is one word.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "OTHER",
    }
}

/// An answer's body, counted.
#[derive(Debug)]
pub(super) struct Counted {
    body: BoxBody,
    record: Record,
}

impl MessageBody for Counted {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        let span = this.record.span.clone();
        let _entered = span.enter();
        let next = ready!(Pin::new(&mut this.body).poll_next(context));
        match &next {
            Some(Ok(chunk)) => {
                this.record.bytes_out = this.record.bytes_out.saturating_add(length(chunk));
                let all = BodySize::Sized(this.record.bytes_out);
                this.record.has_ended = this.body.size() == all;
            }
            Some(Err(error)) => {
                this.record.has_ended = false;
                let causes = causes(&**error);
                let kind = error.downcast_ref::<Error>().map(Error::kind);
                warn!(?kind, causes, "the answer was cut short (S34)");
            }
            None => this.record.has_ended = true,
        }
        Poll::Ready(next)
    }
}
