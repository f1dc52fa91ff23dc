//! Logs: one line an event on standard error, for people on a terminal and as JSON elsewhere, filtered by `Config::log`.
//!
//! Standard output stays free for what a command prints.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};
use crate::{Error, Result};

/// Starts logging for the rest of the process.
///
/// # Errors
/// `Kind::Invalid` if `log` is no list of directives, `Kind::Internal` if logging was started before.
pub fn init(config: &Config) -> Result<()> {
    let filter = filter(&config.log)?;
    let terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(terminal);
    let started = if is_json(config.log_format, terminal) {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.try_init()
    };
    started.map_err(|error| Error::internal("logging could not be started", error))
}

fn filter(directives: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(directives).map_err(|error| {
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
