//! MINT, as its clients see it (`src/http/mint`).

mod exact;
mod exact_broken;
mod exact_corpus;
mod exact_hostile;
mod exact_upload;
