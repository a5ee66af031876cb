//! libFuzzer's entry to `tessera_fuzz::authorize`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tessera_fuzz::authorize::run(input));
