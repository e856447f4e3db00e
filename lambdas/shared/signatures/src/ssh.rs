//! Signatures by SSH keys (<https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig>).

use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::Verifier;
use ssh_key::public::{KeyData, RsaPublicKey};
use ssh_key::{Algorithm, HashAlg, SshSig};

use crate::allowed_signers::AllowedSigner;
use crate::object::{Signed, invalid};
use crate::{NotVerified, Signature};

/// The namespace of git's signatures.
const NAMESPACE: &str = "git";
/// The line length that ssh-key requires. OpenSSH accepts any.
const LINE_CHARACTERS: usize = 70;

/// Verifies a signature by one of `signers`.
pub fn verify(signers: &[AllowedSigner], signed: &Signed) -> Result<Signature, NotVerified> {
    let signature = read(&signed.block).ok_or_else(|| invalid("it is not an SSH signature"))?;
    let key = signature.public_key().fingerprint(HashAlg::Sha256).to_string();
    let is_signer = |signer: &&AllowedSigner| signer.key.key_data() == signature.public_key();
    let mut entries = signers.iter().filter(is_signer).peekable();
    let Some(entry) = entries.peek() else {
        return Err(NotVerified::UnknownKey { key });
    };
    if signature.namespace() != NAMESPACE {
        return Err(invalid("it was not made for git"));
    }
    let holds = match signature.public_key() {
        KeyData::Rsa(rsa) => holds_by_rsa(rsa, &signature, &signed.payload),
        _ => entry.key.verify(NAMESPACE, &signed.payload, &signature).is_ok(),
    };
    if !holds {
        return Err(invalid("it does not match what was pushed"));
    }
    // Like git, we check the key at the time that the object names.
    let time = signed.time.unwrap_or_else(|| chrono::Utc::now().timestamp());
    let mut refused = None;
    for entry in entries {
        match may_sign(entry, time, &key) {
            Ok(()) => {
                let signer = entry.principals.clone();
                return Ok(Signature { signer, key });
            }
            Err(reason) => refused = Some(reason),
        }
    }
    Err(refused.unwrap_or(NotVerified::UnknownKey { key }))
}

/// Returns whether a line allows its key to sign. A key may be in several lines, one of which is enough.
fn may_sign(entry: &AllowedSigner, time: i64, key: &str) -> Result<(), NotVerified> {
    let key = key.to_owned();
    if entry
        .namespaces
        .as_deref()
        .is_some_and(|patterns| !matches_list(NAMESPACE, patterns))
    {
        let reason = "its namespaces in allowed_signers do not include git";
        return Err(NotVerified::KeyMayNotSign { key, reason });
    }
    if entry.valid_after.is_some_and(|begin| time < begin) {
        return Err(NotVerified::KeyNotYetValid { key });
    }
    if entry.valid_before.is_some_and(|end| time > end) {
        return Err(NotVerified::KeyExpired { key });
    }
    Ok(())
}

fn read(block: &str) -> Option<SshSig> {
    let mut lines = block.trim_end().lines();
    let (begin, end) = (lines.next()?, lines.next_back()?);
    let base64: Vec<u8> = lines
        .flat_map(str::bytes)
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let mut wrapped = format!("{begin}\n").into_bytes();
    for line in base64.chunks(LINE_CHARACTERS) {
        wrapped.extend(line);
        wrapped.push(b'\n');
    }
    wrapped.extend(end.as_bytes());
    let signature = SshSig::from_pem(wrapped).ok()?;
    // OpenSSH does not sign the reserved field, which must be empty so far.
    (signature.version() == SshSig::VERSION && signature.reserved().is_empty()).then_some(signature)
}

/// Verifies an RSA signature by OpenSSL, which supports keys of every length.
fn holds_by_rsa(key: &RsaPublicKey, signature: &SshSig, payload: &[u8]) -> bool {
    let digest = match signature.algorithm() {
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        } => MessageDigest::sha256(),
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        } => MessageDigest::sha512(),
        _ => return false,
    };
    let (Some(n), Some(e)) = (key.n.as_positive_bytes(), key.e.as_positive_bytes()) else {
        return false;
    };
    let Ok(data) = SshSig::signed_data(NAMESPACE, signature.hash_alg(), payload) else {
        return false;
    };
    let verify = || -> Result<bool, ErrorStack> {
        let key = Rsa::from_public_components(BigNum::from_slice(n)?, BigNum::from_slice(e)?)?;
        let key = PKey::from_rsa(key)?;
        Verifier::new(digest, &key)?.verify_oneshot(signature.signature_bytes(), &data)
    };
    verify().unwrap_or(false)
}

/// Returns whether `name` matches one of OpenSSH's patterns. A pattern that begins with `!` and matches excludes the
/// name.
fn matches_list(name: &str, patterns: &str) -> bool {
    let mut found = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(name.as_bytes(), pattern.as_bytes()) => return false,
            Some(_) => {}
            None => found |= matches(name.as_bytes(), pattern.as_bytes()),
        }
    }
    found
}

/// Matches a pattern in which `*` stands for any characters, and `?` for one. The name is short, so this takes little
/// time.
fn matches(name: &[u8], pattern: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', b'*', ..] => matches(name, &pattern[1..]),
        [b'*', rest @ ..] => (0..=name.len()).any(|skipped| matches(&name[skipped..], rest)),
        [first, rest @ ..] => match name {
            [next, name @ ..] => (first == next || *first == b'?') && matches(name, rest),
            [] => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn namespaces_are_patterns() {
        for list in ["git", "file,git", "*", "g*", "?it", "***t", "g?t,x", "!file,*"] {
            assert!(matches_list("git", list), "{list}");
        }
        for list in [
            "",
            "file",
            "GIT",
            "gi",
            "gitx",
            "git*x",
            "!git,*",
            "*,!g*",
            "!file",
            "file, git",
        ] {
            assert!(!matches_list("git", list), "{list}");
        }
    }

    proptest! {
        #[test]
        fn any_block_is_read_or_refused(text in "(-----BEGIN SSH SIGNATURE-----\n)?[A-Za-z0-9+/=\n \u{e9}]{0,300}(-----END SSH SIGNATURE-----)?") {
            let _ = read(&text);
        }

        #[test]
        fn any_pattern_ends(list in "[git*?!,]{0,40}") {
            let _ = matches_list("git", &list);
        }
    }
}
