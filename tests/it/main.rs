//! The one integration test program; its modules stand in the order of `src/`.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::items_after_statements,
    reason = "a test program: nobody imports it, it fails by panicking, it prints what it counted, and a table of cases stands in its test"
)]

mod backup;
mod bounded;
mod broken;
mod cli;
mod corpus_bytes;
mod corpus_frames;
mod corpus_load;
mod corpus_metadata;
mod corpus_mint;
mod corpus_pictures;
mod counted;
mod crash;
mod deleting;
mod dicomweb;
mod durability;
mod faults;
mod fuzzed;
mod harness;
mod http2;
mod identity;
mod jobs;
mod mint;
mod node_client;
mod ohif;
mod openapi;
mod operations;
mod python_client;
mod reindex;
mod replicas;
mod schemathesis;
mod slide_client;
mod storage;
mod tidy;
mod visibility;
