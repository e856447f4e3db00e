//! Requests of a host that sends the generic body.

#![no_main]

use domain::source::Provider;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::webhook::request(Provider::Generic, input));
