//! The key pair by which a source logs in over SSH.

use domain::push::SourceName;
use rand_core::OsRng;
use secrecy::{ExposeSecret, SecretString};
use ssh_key::{Algorithm, LineEnding, PrivateKey};

use crate::Error;

/// A key pair: the git host is given the public key, and the git secret the private one.
#[derive(Debug)]
pub struct DeployKey {
    /// The private key, in OpenSSH's form.
    pub private: SecretString,
    /// The public key, as a line of `authorized_keys`.
    pub public: String,
}

impl DeployKey {
    /// Makes an Ed25519 key pair for a source.
    ///
    /// # Errors
    /// Returns an error if there is no randomness.
    pub fn generate(name: &SourceName) -> Result<Self, Error> {
        let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(Error::KeyPair)?;
        key.set_comment(format!("push-code {name}"));
        let private = key.to_openssh(LineEnding::LF).map_err(Error::KeyPair)?;
        let public = key.public_key().to_openssh().map_err(Error::KeyPair)?;
        Ok(Self {
            private: private.as_str().into(),
            public,
        })
    }
}

/// Returns the public key of a private one. Returns `None` if that is not in OpenSSH's form, in which it can be read
/// without the passphrase.
pub fn public(private: &SecretString) -> Option<String> {
    let key = PrivateKey::from_openssh(private.expose_secret()).ok()?;
    key.public_key().to_openssh().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_pair_is_new_each_time_and_named_after_the_source() {
        let name = "gitlab".parse().unwrap();
        let [one, other] = [(); 2].map(|()| DeployKey::generate(&name).unwrap());
        assert_ne!(one.public, other.public);
        assert!(one.public.starts_with("ssh-ed25519 AAAA") && one.public.ends_with(" push-code gitlab"));
        assert_eq!(public(&one.private), Some(one.public.clone()));
        assert_eq!(public(&"-----BEGIN RSA PRIVATE KEY-----".into()), None);
        let shown = format!("{one:?}");
        assert!(!shown.contains("PRIVATE"), "{shown}");
    }
}
