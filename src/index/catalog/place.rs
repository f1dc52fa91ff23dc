//! Where bytes lie, as the row of an instance says it.

use sea_orm::QueryResult;

use crate::error::{Error, Result};
use crate::index::row::{get, unsigned};
use crate::storage::{BlobRef, MetaPlace};

/// The bytes of the file.
pub(in crate::index) fn read_place(row: &QueryResult) -> Result<BlobRef> {
    let offset = unsigned(get(row, "pack_offset")?)?;
    let byte_count = unsigned(get(row, "byte_count")?)?;
    Ok(BlobRef {
        object: get(row, "object")?,
        range: offset..offset.saturating_add(byte_count),
    })
}

/// The head in its metadata object.
pub(in crate::index) fn head_place(row: &QueryResult) -> Result<MetaPlace> {
    let offset = unsigned(get(row, "meta_offset")?)?;
    let length = unsigned(get(row, "meta_length")?)?;
    let inside = |value: i64| {
        u32::try_from(value)
            .map_err(|error| Error::internal("a row holds a head beyond 2^32", error))
    };
    let start = inside(get(row, "meta_json_start")?)?;
    let json = inside(get(row, "meta_json_length")?)?;
    Ok(MetaPlace {
        block: offset..offset.saturating_add(length),
        json: start..start.saturating_add(json),
    })
}
