//! See `pool_core::fuzzing::handshake`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pool_core::fuzzing::handshake(bytes));
