//! `multipart/related`, both ways (RFC 2387, RFC 2046 5.1): bodies of requests are cut into parts as they arrive, answers are
//! put together from pieces.

mod headers;
pub mod read;
#[cfg(test)]
mod tests;
pub mod write;

pub use headers::{Headers, RelatedType};
pub use read::{Event, Reader};
pub use write::Boundary;
