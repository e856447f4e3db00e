//! `.gitmodules`, and where its URLs lead.

#![no_main]

use domain::policy;
use domain::source::{GitHost, origin};
use fetch::fuzzing::gitmodules;
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|input: &[u8]| {
    let Ok(urls) = gitmodules(input) else { return };
    let hosts: [GitHost; 2] =
        ["https://git.example.com", "ssh://git.example.com:2222"].map(|host| host.parse().expect("a host"));
    for parent in [
        "https://git.example.com/group/project.git",
        "ssh://git@git.example.com:2222/project",
    ] {
        let parent = Url::parse(parent).expect("a URL");
        for text in &urls {
            if let Some(url) = policy::submodule_url(&hosts, &parent, text) {
                assert!(
                    hosts.iter().any(|host| host.origin() == origin(&url)),
                    "{text:?}: {url}"
                );
                assert!(url.password().is_none(), "{text:?}: {url}");
            }
        }
    }
});
