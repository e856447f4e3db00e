//! The JSON of a git secret.
//!
//! `S` is a secret text. A [`SecretString`] can be read and not written: [`GitSecretJson::expose`] is the only way to write
//! one.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

/// The git secret of a source: how to log in at its git hosts, whom to trust besides the public authorities, and who may
/// sign.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitSecretJson<S = SecretString> {
    /// The logins, at most one for each host.
    pub credentials: Vec<Credential<S>>,
    /// Certificates of authorities, in PEM form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,
    /// SSH keys, in the form of OpenSSH's `allowed_signers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_signers: Option<String>,
    /// OpenPGP keys, as ASCII armour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openpgp_keys: Option<String>,
}

/// The login at one host.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credential<S = SecretString> {
    /// `scheme://host[:port]`.
    pub host: Url,
    /// How to log in there.
    #[serde(flatten)]
    pub login: Login<S>,
}

/// How to log in at a host.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Login<S = SecretString> {
    /// Over HTTP(S).
    Password {
        /// The user name.
        username: String,
        /// The password or token.
        password: S,
    },
    /// Over SSH.
    Key {
        /// The private key, in OpenSSH's or PEM form.
        private_key: S,
        /// Its passphrase.
        #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
        passphrase: Option<S>,
        /// The pinned host keys, in the form of OpenSSH's `known_hosts`.
        known_hosts: String,
    },
}

impl GitSecretJson {
    /// Creates a secret that has these logins and nothing else.
    #[must_use]
    pub fn of(credentials: Vec<Credential>) -> Self {
        Self {
            credentials,
            ca_certificates: None,
            allowed_signers: None,
            openpgp_keys: None,
        }
    }

    /// Returns the JSON text, with the secrets in it, as Secrets Manager stores it.
    ///
    /// # Errors
    /// Returns an error if the text cannot be written as JSON, which does not happen to texts.
    pub fn expose(&self) -> serde_json::Result<SecretString> {
        let exposed = GitSecretJson {
            credentials: self.credentials.iter().map(Credential::exposed).collect(),
            ca_certificates: self.ca_certificates.clone(),
            allowed_signers: self.allowed_signers.clone(),
            openpgp_keys: self.openpgp_keys.clone(),
        };
        serde_json::to_string(&exposed).map(SecretString::from)
    }
}

impl Credential {
    fn exposed(&self) -> Credential<&str> {
        Credential {
            host: self.host.clone(),
            login: match &self.login {
                Login::Password { username, password } => Login::Password {
                    username: username.clone(),
                    password: password.expose_secret(),
                },
                Login::Key {
                    private_key,
                    passphrase,
                    known_hosts,
                } => Login::Key {
                    private_key: private_key.expose_secret(),
                    passphrase: passphrase.as_ref().map(ExposeSecret::expose_secret),
                    known_hosts: known_hosts.clone(),
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The first JSON after `heading` in a page of the documentation.
    fn documented(page: &str, heading: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let (_, rest) = text.split_once(heading).unwrap();
        let (_, rest) = rest.split_once("```json\n").unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    }

    #[test]
    fn the_documentation_shows_the_secret_as_it_is_read() {
        let read = |text: &str| serde_json::from_str::<GitSecretJson>(text).unwrap();
        let all = read(&documented("docs/operations.md", "**git secret**"));
        assert!(matches!(all.credentials[0].login, Login::Password { .. }));
        assert!(matches!(all.credentials[1].login, Login::Key { .. }));
        assert!(all.allowed_signers.is_some() && all.openpgp_keys.is_some());
        let first = read(&documented("README.md", "`git-secret.json`"));
        assert_eq!(first.credentials.len(), 1);
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let text = documented("docs/operations.md", "**git secret**");
        let secret: GitSecretJson = serde_json::from_str(&text).unwrap();
        let written = secret.expose().unwrap();
        let again: GitSecretJson = serde_json::from_str(written.expose_secret()).unwrap();
        assert_eq!(again.expose().unwrap().expose_secret(), written.expose_secret());
        for part in ["glpat-...", "BEGIN OPENSSH PRIVATE KEY", "AAAA...", "BEGIN PGP"] {
            assert!(written.expose_secret().contains(part), "{part}");
        }
    }
}
