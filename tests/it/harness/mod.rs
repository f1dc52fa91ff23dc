//! What the tests share: the real program with a data folder of its own, callers with tokens, instances made on the spot, and
//! readers of what comes back that owe nothing to the code under test.

pub mod corpus;
pub mod instance;
pub mod multipart;
pub mod server;

pub use instance::instance;
pub use server::{Answer, Server};
