//! Reads the zip of an earlier push.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    package::fuzzing::earlier(input).expect("what is found in a zip can be read");
});
