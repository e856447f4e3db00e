//! Requests of Gitea.

#![no_main]

use domain::source::Provider;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::webhook::request(Provider::Gitea, input));
