//! Parses the JSON of the git secret.

#![no_main]

use domain::remote_url::RemoteUrl;
use fetch::GitSecret;
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let source = "gitlab".parse().expect("a name");
    if let Ok(secret) = GitSecret::parse(&source, &SecretString::from(text)) {
        for url in [
            "https://gitlab.example.com/a/b.git",
            "ssh://git@gitlab.example.com/a/b.git",
        ] {
            let url: RemoteUrl = url.parse().expect("a URL");
            let _ = secret.credentials().access(url.origin());
        }
    }
});
