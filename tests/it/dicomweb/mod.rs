//! DICOMweb through the real door; files are named as in `src/http/dicomweb`.

mod bad_files;
mod bad_input;
mod bad_wire;
mod metadata;
mod qido;
mod search;
mod stow;
mod stow_rules;
mod stow_wire;
mod wado;
