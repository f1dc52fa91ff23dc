//! The index against a database in a temporary folder.

mod any_steps;
mod asking;
mod broken_off;
mod guarding;
mod identity;
mod jobs;
mod matching;
mod paging;
mod plans;
mod recording;
mod removing;
mod results;
mod schema;
pub(super) mod world;
