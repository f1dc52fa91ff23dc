//! What MINT makes of a study beside its metadata: numbered items, found in the stored files and sent from there (MINT 6, 11.5).
//!
//! `number` gives the numbers when a study is first read, `layout` knows how long each item is, `list` what is asked for, `read`
//! gives the bytes.

pub mod arrival;
mod composing;
pub mod create;
pub mod document;
pub mod kept;
pub mod layout;
pub mod list;
mod number;
pub mod read;
mod search;
pub mod update;
