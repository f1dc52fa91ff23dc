//! kura: a vendor-neutral archive for the medical images of a group of hospitals.
//!
//! The modules stand in the order of their layers, highest first; `ARCHITECTURE.md` says what each may know.

pub mod app;
pub mod cli;
pub mod config;
pub mod telemetry;

pub mod http;
pub mod worker;

pub mod archive;

pub mod auth;
pub mod dicom;
pub mod error;
pub mod index;
pub mod measure;
pub mod storage;

pub mod model;

pub use error::{Error, Kind, Result};
