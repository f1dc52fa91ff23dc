//! What is wrong with an instance that was scanned: refused, or stored with warnings (dicomweb.md 9.2).
//!
//! An archive keeps what other systems made. Refused is what cannot be found again (no UIDs that a path can name), what
//! contradicts the request or itself, and what cannot be read; everything else is stored as it came.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

mod check;
mod values;

pub use check::{
    BREAKS_RULES, CANNOT_UNDERSTAND, CLASS_REFUSED, COERCED, Checked, ELEMENTS_DROPPED,
    NOT_THIS_STUDY, OUT_OF_RESOURCES, Refusal, SYNTAX_REFUSED, TOO_LONG, Warning, check,
};
