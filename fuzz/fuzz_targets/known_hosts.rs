//! Checks the key that a host presents against the `known_hosts` of the git secret.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use remote::fuzzing::is_pinned;

const HOST: &str = "git.example.com";

fuzz_target!(|input: &[u8]| {
    let Some([known_hosts, key]) = fuzz::parts(input) else {
        return;
    };
    let Ok(known_hosts) = std::str::from_utf8(known_hosts) else {
        return;
    };
    // The input has the key in binary form, or in the text form of known_hosts.
    let key = STANDARD.decode(key).unwrap_or_else(|_| key.to_owned());
    for (port, name) in [(22, HOST.to_owned()), (2222, format!("[{HOST}]:2222"))] {
        if is_pinned(known_hosts, HOST, port, &key) {
            let key = STANDARD.encode(&key);
            // ssh-key tolerates wrong lengths in the keys of known_hosts, but not wrong keys.
            let key = key.trim_end_matches('=');
            let end = &key[key.len().saturating_sub(16)..];
            let mut lines = known_hosts.lines();
            assert!(lines.any(|line| line.contains(&name) && line.contains(end)));
        }
    }
});
