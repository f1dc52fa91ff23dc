//! Port: bytes. The only object I/O; what a byte means is not known here.
//!
//! [`vault`] writes and reads objects; [`pack`] puts many stored files and, through [`metadata`], their heads into two of
//! them; [`gzip`] makes one gzip member of pieces that lie there. Why packs look as they do:
//! `docs/decisions/0001-pack-format.md`.

mod backend;
pub mod digest;
mod direct;
mod disk;
mod draft;
pub mod footer;
pub mod frame_table;
pub mod gzip;
pub mod inflate;
pub mod metadata;
mod names;
pub mod pack;
pub mod partial;
pub mod place;
mod remote;
pub mod run;
pub mod spool;
mod timing;
mod trailer;
pub mod vault;

/// Makes object stores reachable over HTTP: once in a process, before the first [`Vault`].
pub fn install_transport() {
    opendal::install_default();
}

pub use backend::is_of_the_object;
pub use footer::{Footer, read_footer};
pub use pack::{Entry, PackName, PackWriter, Sealed, SealedEntry, seal_all};
pub use partial::{Extent, Partial, is_part};
pub use place::{BlobRef, MetaPlace, Piece};
pub(crate) use run::GAP_BYTES;
pub use run::Run;
pub use vault::{Put, Vault};
