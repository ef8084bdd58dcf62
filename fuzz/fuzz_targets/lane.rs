//! See `pool_core::fuzzing::lane`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pool_core::fuzzing::lane(bytes));
