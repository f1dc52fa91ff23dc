//! What a process tells of itself: logs, traces, metrics.
//!
//! Logs are one line an event on standard error, for people on a terminal and as JSON elsewhere, filtered by `Config::log`.
//! Standard output stays free for what a command prints.

pub mod metrics;
mod traces;

use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::runtime::Handle;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, LogFormat};
use crate::{Error, Result};

pub use traces::Traces;

/// What was started, for those who read it or end it.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<Traces>,
}

/// Starts logging, and traces where they are wanted, for the rest of the process.
///
/// # Errors
/// `Kind::Invalid` if `log` is no list of directives or the collector's address is none, `Kind::Internal` if logging was
/// started before.
pub fn init(config: &Config, runtime: &Handle) -> Result<Telemetry> {
    let filter = filter(&config.log)?;
    let terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(terminal);
    let lines = if is_json(config.log_format, terminal) {
        lines.json().flatten_event(true).boxed()
    } else {
        lines.boxed()
    };
    let traces = Traces::start(&config.telemetry, runtime)?;
    // Only our own spans: those of libraries may hold what we do not know.
    let spans = traces.as_ref().map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.tracer())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(filter_fn(|what| {
                what.is_span() && what.target().starts_with("kura")
            }))
    });
    tracing_subscriber::registry()
        .with(spans)
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|error| Error::internal("logging could not be started", error))?;
    std::panic::set_hook(Box::new(panicked));
    Ok(Telemetry { traces })
}

impl Telemetry {
    /// Starts keeping metrics.
    ///
    /// # Errors
    /// `Kind::Internal` if they are kept already.
    pub fn metrics() -> Result<PrometheusHandle> {
        metrics::init()
    }

    /// Ends what is sent elsewhere; waits a few seconds at most.
    pub fn end(self) {
        if let Some(traces) = self.traces {
            traces.flush();
        }
    }
}

/// Writes down where a panic was. What it says is shown only if it was written into the program: a message that was put
/// together may hold a value.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let text = panic.payload().downcast_ref::<&str>();
    ::metrics::counter!("kura_panics_total").increment(1);
    tracing::error!(place, text, "a defect: panicked");
}

/// The HTTP library's line for an answer that broke off, with a trace of many lines, is left out unless it is asked for: ours
/// says it with the request. The library for JPEG 2000 tells of each frame it reads.
const QUIET: &str = "actix_http::h1::dispatcher=off,jpeg2k=off";

fn filter(directives: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(format!("{QUIET},{directives}")).map_err(|error| {
        let detail = "configuration: log takes directives such as info,kura::http=debug";
        Error::invalid(detail).with_source(error)
    })
}

fn is_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !terminal,
        LogFormat::Human => false,
        LogFormat::Json => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_checked() {
        for directives in ["info", "warn,kura=debug", "info,kura::http=trace", "off"] {
            assert!(filter(directives).is_ok(), "{directives}");
        }
        for directives in ["kura=loud", "info,=debug=x", "a=b=c"] {
            let error = filter(directives).map(|_| ()).map_err(|e| e.kind());
            assert_eq!(error, Err(crate::Kind::Invalid), "{directives}");
        }
    }

    #[test]
    fn auto_is_human_on_a_terminal_only() {
        assert!(!is_json(LogFormat::Auto, true));
        assert!(is_json(LogFormat::Auto, false));
        assert!(!is_json(LogFormat::Human, false));
        assert!(is_json(LogFormat::Json, true));
    }
}
