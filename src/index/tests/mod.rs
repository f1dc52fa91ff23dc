//! The index against a database in a temporary folder.

mod asking;
mod guarding;
mod jobs;
mod matching;
mod recording;
mod results;
mod schema;
pub(super) mod world;
