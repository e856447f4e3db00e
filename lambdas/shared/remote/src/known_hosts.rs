//! Pinned host keys, in the form of OpenSSH's `known_hosts`
//! (<https://man.openbsd.org/sshd.8#SSH_KNOWN_HOSTS_FILE_FORMAT>).

use ssh_key::known_hosts::{Entry, HostPatterns, KnownHosts, Marker};
use ssh_key::{HashAlg, PublicKey};

/// Whether a host's key is pinned.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The key is pinned.
    Pinned,
    /// The key is not pinned, for a reason that names it and the pinned ones.
    Refused(String),
}

/// The port of SSH.
pub const SSH_PORT: u16 = 22;

/// Returns the name of a host as OpenSSH writes it.
pub fn name(host: &str, port: u16) -> String {
    match port {
        SSH_PORT => host.to_owned(),
        port => format!("[{host}]:{port}"),
    }
}

/// Reads a key in the form of RFC 4253. Otherwise returns why it cannot be read.
pub fn read(bytes: &[u8]) -> Result<PublicKey, String> {
    match PublicKey::from_bytes(bytes) {
        // ssh-key tolerates wrong lengths, so the key is encoded again and compared.
        Ok(key) if key.to_bytes().is_ok_and(|again| again == bytes) => Ok(key),
        Ok(_) => Err("the host's key cannot be read: it has odd bytes".to_owned()),
        Err(error) => Err(format!("the host's key cannot be read: {error}")),
    }
}

/// Compares the key that `host` has presented, in the form of RFC 4253, with the pinned keys.
pub fn check(known_hosts: &str, host: &str, port: u16, bytes: &[u8]) -> Verdict {
    let presented = match read(bytes) {
        Ok(key) => key,
        Err(reason) => return Verdict::Refused(reason),
    };
    let name = name(host, port);
    let entries: Vec<_> = match KnownHosts::new(known_hosts).collect() {
        Ok(entries) => entries,
        Err(error) => return Verdict::Refused(format!("known_hosts cannot be read: {error}")),
    };
    // A revocation applies to every host, on whatever line it is.
    let is_presented = |entry: &Entry| entry.public_key().key_data() == presented.key_data();
    if entries
        .iter()
        .any(|entry| entry.marker() == Some(&Marker::Revoked) && is_presented(entry))
    {
        return Verdict::Refused(format!("the key {} is revoked in known_hosts", print(&presented)));
    }
    let mut pinned = Vec::new();
    for entry in &entries {
        let names = match entry.host_patterns() {
            // A line that excludes hosts by `!` is not used, because this host may be one of them.
            HostPatterns::Patterns(patterns) => {
                patterns.contains(&name) && !patterns.iter().any(|pattern| pattern.starts_with('!'))
            }
            HostPatterns::HashedName { .. } => {
                return Verdict::Refused(
                    "known_hosts has hashed names: write them out, as ssh-keyscan without -H does".to_owned(),
                );
            }
        };
        match entry.marker() {
            None if names && is_presented(entry) => return Verdict::Pinned,
            None if names => pinned.push(print(entry.public_key())),
            _ => {}
        }
    }
    let pinned = if pinned.is_empty() {
        format!("known_hosts has no key for {name}")
    } else {
        format!("known_hosts has {} for {name}", pinned.join(", "))
    };
    Verdict::Refused(format!("the host presented {}, and {pinned}", print(&presented)))
}

/// Formats a key as OpenSSH does: its algorithm and its SHA-256.
fn print(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use testkit::growth::assert_linear;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn verdict(known_hosts: &str, port: u16) -> Verdict {
        let key = PublicKey::from_openssh(ONE).unwrap();
        check(known_hosts, "git.example.com", port, &key.to_bytes().unwrap())
    }

    #[test]
    fn only_a_pinned_key_is_accepted() {
        assert_eq!(verdict(&format!("git.example.com {ONE}"), 22), Verdict::Pinned);
        assert_eq!(verdict(&format!("a,git.example.com {ONE}"), 22), Verdict::Pinned);
        assert_eq!(
            verdict(&format!("[git.example.com]:2222 {ONE}"), 2222),
            Verdict::Pinned
        );
        let refusals = [
            (
                format!("git.example.com {TWO}"),
                22,
                "presented ssh-ed25519 SHA256:",
            ),
            (
                format!("git.example.com {ONE}"),
                2222,
                "no key for [git.example.com]:2222",
            ),
            (
                format!("other.example.com {ONE}"),
                22,
                "no key for git.example.com",
            ),
            (String::new(), 22, "no key for git.example.com"),
            (
                format!("git.example.com,!*.example.com {ONE}"),
                22,
                "no key for git.example.com",
            ),
            (format!("@revoked * {ONE}\ngit.example.com {ONE}"), 22, "revoked"),
            (format!("git.example.com {ONE}\n@revoked * {ONE}"), 22, "revoked"),
            (
                format!("git.example.com {ONE}\n\n@revoked other {ONE}"),
                22,
                "revoked",
            ),
            (format!("|1|AAAA|AAAA {ONE}"), 22, "hashed"),
            ("git.example.com nonsense".to_owned(), 22, "cannot be read"),
        ];
        for (known_hosts, port, reason) in refusals {
            match verdict(&known_hosts, port) {
                Verdict::Refused(text) => assert!(text.contains(reason), "{text}"),
                Verdict::Pinned => panic!("pinned by {known_hosts:?}"),
            }
        }
    }

    /// Generates lines of the parts of known_hosts in any order, and any text.
    fn any_known_hosts() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just(ONE.to_owned()),
            Just(TWO.to_owned()),
            prop::sample::select(vec![
                "git.example.com",
                "*",
                "!git.example.com",
                "[git.example.com]:22",
                "|1|AAAA|AAAA",
                "|1|",
                "@revoked",
                "@cert-authority",
                "@",
                "#",
                "ssh-ed25519",
                "ssh-rsa",
                "AAAA",
                "=",
                ",",
                "\t",
                "\r",
                "\0",
                "\u{e9}",
            ])
            .prop_map(str::to_owned),
            any::<String>(),
        ];
        let separator = prop::sample::select(vec![" ", "\n", ""]);
        prop::collection::vec((part, separator), 0..12).prop_map(|parts| {
            parts
                .into_iter()
                .map(|(part, separator)| part + separator)
                .collect()
        })
    }

    /// Returns the lines that OpenSSH finds for a host, each after a comment about it.
    fn found_by_openssh(known_hosts: &str, name: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        std::fs::write(&file, known_hosts).unwrap();
        let output = Command::new(tools::program("ssh-keygen"))
            .args(["-F", name, "-f"])
            .arg(&file)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Generates lines as operators write them.
    fn any_lines() -> impl Strategy<Value = String> {
        let marker = prop::sample::select(vec!["", "", "", "@revoked ", "@cert-authority "]);
        let pattern = prop::sample::select(vec![
            "git.example.com",
            "git.example.com",
            "[git.example.com]:2222",
            "*.example.com",
            "!git.example.com",
            "!*.example.com",
            "!other.example.com",
            "other.example.com",
            "*",
        ]);
        let key = prop::sample::select(vec![ONE, ONE, TWO]);
        let line = (marker, prop::collection::vec(pattern, 1..4), key)
            .prop_map(|(marker, patterns, key)| format!("{marker}{} {key}\n", patterns.join(",")));
        prop::collection::vec(line, 1..5).prop_map(|lines| lines.concat())
    }

    #[test]
    fn many_lines_are_read_in_linear_time() {
        let key = &PublicKey::from_openssh(ONE).unwrap().to_bytes().unwrap();
        let line = format!("other.example.com,git.example.com {TWO}\n");
        assert_linear(500, |lines| {
            let known_hosts = line.repeat(lines);
            move || assert_ne!(check(&known_hosts, "git.example.com", 22, key), Verdict::Pinned)
        });
        assert_linear(5_000, |names| {
            let known_hosts = format!("{}git.example.com {ONE}\n", "other.example.com,".repeat(names));
            move || assert_eq!(check(&known_hosts, "git.example.com", 22, key), Verdict::Pinned)
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn openssh_knows_each_key_that_is_pinned(known_hosts in any_lines(), port in prop::sample::select(vec![22, 2222])) {
            if verdict(&known_hosts, port) == Verdict::Pinned {
                let name = if port == 22 { "git.example.com" } else { "[git.example.com]:2222" };
                let found = found_by_openssh(&known_hosts, name);
                let is_there = found.lines().any(|line| !line.starts_with(['@', '#']) && line.ends_with(ONE));
                prop_assert!(is_there, "{found}");
                let is_revoked = found.lines().any(|line| line.starts_with("@revoked") && line.ends_with(ONE));
                prop_assert!(!is_revoked, "{found}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_but_a_line_with_the_key_pins_it(known_hosts in any_known_hosts(), port in any::<u16>()) {
            let same = PublicKey::from_openssh(ONE).unwrap().to_bytes().unwrap();
            if check(&known_hosts, "git.example.com", port, &same) == Verdict::Pinned {
                prop_assert!(known_hosts.contains(ONE));
                let revoked = format!("{known_hosts}\n@revoked * {ONE}");
                prop_assert_ne!(check(&revoked, "git.example.com", port, &same), Verdict::Pinned);
            }
        }

        #[test]
        fn a_damaged_key_is_never_pinned(position in any::<prop::sample::Index>(), with in 1..=u8::MAX) {
            let known_hosts = format!("git.example.com {ONE}");
            let mut key = PublicKey::from_openssh(ONE).unwrap().to_bytes().unwrap();
            let position = position.index(key.len());
            key[position] ^= with;
            prop_assert_ne!(check(&known_hosts, "git.example.com", 22, &key), Verdict::Pinned);
        }

        #[test]
        fn bytes_that_are_not_a_key_are_refused(key in prop::collection::vec(any::<u8>(), 0..200)) {
            let known_hosts = format!("git.example.com {ONE}");
            prop_assert_ne!(check(&known_hosts, "git.example.com", 22, &key), Verdict::Pinned);
        }
    }
}
