//! Parses the JSON of the git secret.

#![no_main]

use std::sync::Arc;

use fetch::GitSecret;
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let source = "gitlab".parse().expect("a name");
    if let Ok(secret) = GitSecret::parse(&source, &SecretString::from(text), &Arc::default()) {
        let _ = secret.credentials().redact(text);
    }
});
