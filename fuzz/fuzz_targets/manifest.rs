#![no_main]

#[allow(dead_code, reason = "each target has its own function")]
#[path = "../../tests/fuzz/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::manifest(data));
