//! How far a long command is: a bar on a terminal, a line now and then elsewhere, always on standard error.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines where there is no terminal.
const LINES: Duration = Duration::from_secs(10);

/// The progress of one command.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    told: Instant,
}

impl Progress {
    /// Begins. The bar counts bytes where `in_bytes`, else things.
    pub(super) fn start(in_bytes: bool) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let template = if in_bytes {
                "{elapsed_precise} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {msg}"
            } else {
                "{elapsed_precise} {wide_bar} {pos}/{len} {msg}"
            };
            let style = ProgressStyle::with_template(template);
            ProgressBar::no_length()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            bar,
            told: Instant::now(),
        }
    }

    /// The bar on a terminal, for whoever finds out how much there is to do.
    pub(super) fn bar(&self) -> Option<ProgressBar> {
        self.bar.clone()
    }

    /// So much is done.
    pub(super) fn at(&mut self, position: u64, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(position);
            bar.set_message(message());
        } else if self.told.elapsed() >= LINES {
            self.told = Instant::now();
            eprintln!("{}", message());
        }
    }

    /// Prints a line of the result without tearing the bar.
    #[expect(clippy::print_stdout, reason = "lines of the result of a command")]
    pub(super) fn print(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| println!("{line}")),
            None => println!("{line}"),
        }
    }

    /// Ends; the bar goes.
    pub(super) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
