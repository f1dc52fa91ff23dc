//! The index against a database of its own: in a temporary folder, or on PostgreSQL.

mod any_steps;
mod asking;
mod broken_off;
mod feed;
mod grouping;
mod guarding;
mod identity;
mod jobs;
mod matching;
mod mint;
mod paging;
mod plans;
mod plans_postgres;
mod recording;
mod removing;
mod results;
mod schema;
mod together;
pub(super) mod world;
