//! What grows with the archive: bytes of each table and index, and requests to an object store (docs/scale.md).

mod requests;
mod sizes;

pub(crate) use self::requests::run as requests;
pub(crate) use self::sizes::run as sizes;
