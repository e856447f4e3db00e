//! Pinned host keys, in the form of OpenSSH's `known_hosts`
//! (<https://man.openbsd.org/sshd.8#SSH_KNOWN_HOSTS_FILE_FORMAT>).

use ssh_key::known_hosts::{HostPatterns, KnownHosts, Marker};
use ssh_key::{HashAlg, PublicKey};

/// What a host's key is, compared with the pins.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is pinned.
    Pinned,
    /// It is not. The text says what came and what is pinned.
    Refused(String),
}

/// Compares the key that `host` has presented, in the form of RFC 4253, with the pins.
pub fn check(known_hosts: &str, host: &str, port: u16, presented: &[u8]) -> Verdict {
    let presented = match PublicKey::from_bytes(presented) {
        Ok(key) => key,
        Err(error) => return Verdict::Refused(format!("the host's key cannot be read: {error}")),
    };
    // OpenSSH writes another port than 22 like this.
    let name = if port == 22 {
        host.to_owned()
    } else {
        format!("[{host}]:{port}")
    };
    let mut pinned = Vec::new();
    for entry in KnownHosts::new(known_hosts) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return Verdict::Refused(format!("known_hosts cannot be read: {error}")),
        };
        let names = match entry.host_patterns() {
            HostPatterns::Patterns(patterns) => patterns.contains(&name),
            HostPatterns::HashedName { .. } => {
                return Verdict::Refused(
                    "known_hosts has hashed names: write them out, as ssh-keyscan without -H does".to_owned(),
                );
            }
        };
        let same = entry.public_key().key_data() == presented.key_data();
        match entry.marker() {
            Some(Marker::Revoked) if same => {
                return Verdict::Refused(format!("the key {} is revoked in known_hosts", print(&presented)));
            }
            None if names && same => return Verdict::Pinned,
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

/// A key as OpenSSH prints it: its algorithm and the SHA-256 of it.
fn print(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn verdict(known_hosts: &str, port: u16) -> Verdict {
        let key = PublicKey::from_openssh(ONE).unwrap();
        check(known_hosts, "git.example.com", port, &key.to_bytes().unwrap())
    }

    #[test]
    fn a_pinned_key_is_taken_and_no_other() {
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
            (format!("@revoked * {ONE}\ngit.example.com {ONE}"), 22, "revoked"),
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
}
