//! W3C Trace Context at the door: `traceparent` in, `traceresponse` out. Without a collector nothing of it happens.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// Puts the span of a request below that of its caller, who also decides whether it is sampled.
pub(super) fn begin(span: &Span, request: &ServiceRequest) {
    if request.headers().contains_key("traceparent") {
        let caller = TraceContextPropagator::new().extract(&Headers(request.headers()));
        // Fails where nothing is traced.
        span.set_parent(caller).ok();
    }
    span.set_attribute("http.request.method", request.method().to_string());
    span.set_attribute("otel.kind", "server");
}

/// The header that tells the caller under which ids its request was traced.
pub(super) fn header(span: &Span) -> Option<(HeaderName, HeaderValue)> {
    let context = span.context();
    let traced = context.span().span_context().clone();
    if !traced.is_valid() {
        return None;
    }
    let value = format!(
        "00-{}-{}-{:02x}",
        traced.trace_id(),
        traced.span_id(),
        traced.trace_flags().to_u8()
    );
    Some((TRACE_RESPONSE, HeaderValue::from_str(&value).ok()?))
}
