#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cassgate_fuzz::yaml(data));
