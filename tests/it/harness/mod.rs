//! What the tests share: the real program with a data folder of its own, callers with tokens, instances made on the spot, and
//! readers of what comes back that owe nothing to the code under test.

pub mod backing;
pub mod cluster;
pub mod corpus;
pub mod exact;
pub mod far;
pub mod instance;
pub mod load;
pub mod multipart;
pub mod native;
pub mod proxy;
pub mod server;
pub mod slow;
pub mod watched;
pub mod wire;

pub use instance::instance;
pub use server::{Answer, Server};
