//! libFuzzer's entry to `tessera_fuzz::registration`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: tessera_fuzz::start(), |input: &[u8]| tessera_fuzz::registration::run(input));
