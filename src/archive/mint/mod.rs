//! What MINT makes of a study beside its metadata: numbered items, found in the stored files and sent from there (MINT 6, 11.5).
//!
//! `number` gives the numbers when a study is first read, `layout` knows how long each item is, `list` what is asked for, `read`
//! gives the bytes, `ahead` those of an object store. `indexed` keeps what the two found of a version.

mod ahead;
pub mod arrival;
mod composing;
pub mod create;
pub mod document;
pub mod indexed;
pub mod kept;
pub mod layout;
pub mod list;
mod number;
pub mod read;
pub mod reading;
mod search;
pub mod update;
