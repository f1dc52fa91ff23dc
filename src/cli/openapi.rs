//! `kura openapi`: prints the `OpenAPI` document, the same as `openapi/kura.json`.

use crate::error::{Error, Result};
use crate::http;

/// Prints the document.
#[expect(
    clippy::print_stdout,
    reason = "the document is the result of the command"
)]
pub(super) fn run() -> Result<()> {
    let document = http::openapi::document()
        .to_pretty_json()
        .map_err(|e| Error::internal("the document cannot be written", e))?;
    println!("{document}");
    Ok(())
}
