//! libFuzzer's entry to `tessera_fuzz::request_object`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: tessera_fuzz::start(), |input: &[u8]| tessera_fuzz::request_object::run(input));
