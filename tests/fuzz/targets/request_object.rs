//! libFuzzer's entry to `tessera_fuzz::request_object`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tessera_fuzz::request_object::run(input));
