#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| handover_tests::fuzz::archive(data));
