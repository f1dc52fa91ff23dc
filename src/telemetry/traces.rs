//! Traces: spans of requests and of what they asked of database and store, sent to a collector as OTLP over HTTP.
//!
//! Spans are queued and sent by a thread of their own. A collector that is away costs the spans and nothing else: what does
//! not fit into the queue is dropped.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Handle;
use tokio_util::context::TokioContext;

use crate::config::Traces as Settings;
use crate::{Error, Result};

/// How long one delivery may take, and the last one at the end of the process.
const WITHIN: Duration = Duration::from_secs(3);

/// What sends traces. Dropping it loses what is queued; [`Traces::flush`] does not.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts sending to the collector of `settings`; `None` where there is none.
    ///
    /// # Errors
    /// `Kind::Invalid` for an address that is none.
    pub(super) fn start(settings: &Settings, runtime: &Handle) -> Result<Option<Self>> {
        let Some(endpoint) = &settings.otlp_endpoint else {
            return Ok(None);
        };
        let endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .with_timeout(WITHIN)
            .build()
            .map_err(|cause| {
                let detail = "configuration: telemetry.otlp_endpoint is no address of a collector";
                Error::invalid(detail).with_source(cause)
            })?;
        let exporter = OnRuntime {
            exporter,
            runtime: runtime.clone(),
        };
        let resource = Resource::builder().with_service_name("kura").build();
        let sampler = Sampler::TraceIdRatioBased(settings.sampling);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_resource(resource)
            .build();
        opentelemetry::global::set_tracer_provider(provider.clone());
        Ok(Some(Self(provider)))
    }

    pub(super) fn tracer(&self) -> SdkTracer {
        self.0.tracer("kura")
    }

    /// Sends what is queued, for at most a few seconds; nothing is sent afterwards.
    pub fn flush(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(WITHIN) {
            tracing::warn!(cause = %error, "the last traces were not delivered");
        }
    }
}

/// An exporter that is polled by a thread without a runtime, while its HTTP client needs one.
#[derive(Debug)]
struct OnRuntime {
    exporter: opentelemetry_otlp::SpanExporter,
    runtime: Handle,
}

impl SpanExporter for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.exporter.export(batch);
        TokioContext::new(sent, self.runtime.clone()).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
