//! libFuzzer's entry to `tessera_fuzz::authorize`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: tessera_fuzz::start(), |input: &[u8]| tessera_fuzz::authorize::run(input));
