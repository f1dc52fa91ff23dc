#![no_main]

#[path = "../targets.rs"]
mod targets;

use std::sync::Once;

static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The fuzzer ends the process at every panic, caught or not; those of decoders are caught, and what is left ends it anyway.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    targets::codec(data);
});
