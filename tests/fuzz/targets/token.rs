//! libFuzzer's entry to `tessera_fuzz::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tessera_fuzz::token::run(input));
