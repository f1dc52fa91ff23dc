//! DICOMweb through the real door; files are named as in `src/http/dicomweb`.

mod bad_files;
mod bad_input;
mod bad_wire;
mod bulk;
mod caching;
mod cors;
mod json_rows;
mod metadata;
mod methods;
mod offered;
mod qido;
mod rendered;
mod replay;
mod search;
mod shown;
mod stored_search;
mod stow;
mod stow_data_sets;
mod stow_rules;
mod stow_wire;
mod streams;
mod wado;
mod wado_uri;
mod xml;
