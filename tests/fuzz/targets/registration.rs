//! libFuzzer's entry to `tessera_fuzz::registration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tessera_fuzz::registration::run(input));
