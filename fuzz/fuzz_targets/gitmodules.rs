//! Parses `.gitmodules`, and resolves its URLs.

#![no_main]

use domain::policy;
use domain::remote_url::RemoteUrl;
use domain::source::GitHost;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use remote::gitmodules;

fuzz_target!(|input: &[u8]| {
    let Ok(submodules) = gitmodules::parse(input) else {
        return;
    };
    let urls: Vec<String> = submodules
        .into_values()
        .filter_map(|submodule| submodule.url)
        .collect();
    let hosts: [GitHost; 2] =
        ["https://git.example.com", "ssh://git.example.com:2222"].map(|host| host.parse().expect("a host"));
    let allowed = ["group/*".to_owned()];
    for parent in [
        "https://git.example.com/group/project.git",
        "ssh://git@git.example.com:2222/project",
    ] {
        let parent = parent.parse().expect("a URL");
        for text in &urls {
            if let Some(url) = policy::submodule_url(&hosts, &parent, text) {
                assert!(
                    hosts.iter().any(|host| host.origin() == url.origin()),
                    "{text:?}: {url}"
                );
                assert!(url.as_url().password().is_none(), "{text:?}: {url}");
                if policy::submodule_is_allowed(&allowed, &url).expect("globs") {
                    assert!(is_below(&url, "group"), "{text:?}: {url}");
                }
            }
        }
    }
});

/// Returns whether a host that decodes the path once, and then resolves it, finds something in the group.
fn is_below(url: &RemoteUrl, group: &str) -> bool {
    let decoded: Vec<u8> = percent_decode_str(url.path()).collect();
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    matches!(parts[..], [first, _] if first == group.as_bytes())
}
