//! The credentials of a git secret, which are the logins at the hosts of a source. Git transfers and Git LFS use the
//! same ones. This library finds the login for a host, and removes secrets from texts that people see.
//! The secret's JSON is here too, for its writers and readers alike.

mod secret;

use domain::error::{Code, Coded};
use domain::remote_url::Origin;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

pub use secret::{Credential, GitSecretJson, Login};

/// The logins at the hosts of a source, as the git secret lists them.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Credentials(Vec<Credential>);

impl From<Vec<Credential>> for Credentials {
    fn from(credentials: Vec<Credential>) -> Self {
        Self(credentials)
    }
}

/// The git secret has no login for a host that needs one.
#[derive(Debug, thiserror::Error)]
#[error("the git secret has no credentials for {host}")]
pub struct MissingCredentials {
    host: Origin,
}

impl MissingCredentials {
    /// Creates the error for the host at `origin`.
    #[must_use]
    pub fn of(origin: &Origin) -> Self {
        Self { host: origin.clone() }
    }
}

impl Coded for MissingCredentials {
    fn code(&self) -> Code {
        Code::CredentialsMissing
    }
}

impl Login {
    /// Returns all secret texts, in each form in which they are sent.
    fn secrets(&self) -> Vec<SecretString> {
        let mut secrets = Vec::new();
        match self {
            Self::Password { username, password } => {
                let pair = format!("{username}:{}", password.expose_secret());
                secrets.push(openssl::base64::encode_block(pair.as_bytes()).into());
                secrets.push(password.clone());
            }
            Self::Key {
                private_key,
                passphrase,
                ..
            } => {
                let lines = private_key.expose_secret().lines();
                secrets.extend(lines.filter(|line| !line.starts_with("-----")).map(Into::into));
                secrets.extend(passphrase.clone());
            }
        }
        // A text this short protects nothing, and may be part of any word.
        secrets.retain(|secret: &SecretString| secret.expose_secret().len() >= 4);
        secrets
    }
}

/// How to log in for one fetch. It can be serialized for the process that transfers.
#[derive(Clone, Serialize, Deserialize)]
pub enum Access {
    /// Over HTTP(S), without a login.
    Anonymous,
    /// Over HTTP(S), with a password or token.
    Password {
        /// The user name.
        username: String,
        /// The password or token.
        #[serde(serialize_with = "expose")]
        password: SecretString,
    },
    /// Over SSH, with a key.
    Key {
        /// The private key, in OpenSSH's or PEM form.
        #[serde(serialize_with = "expose")]
        private_key: SecretString,
        /// Its passphrase.
        #[serde(serialize_with = "expose_optional")]
        passphrase: Option<SecretString>,
        /// The pinned host keys, in the form of OpenSSH's known_hosts.
        known_hosts: String,
    },
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    secret.expose_secret().serialize(serializer)
}

fn expose_optional<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret
        .as_ref()
        .map(ExposeSecret::expose_secret)
        .serialize(serializer)
}

impl Credentials {
    /// Replaces the secrets in `text`, because a host may send back what it was sent.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for entry in &self.0 {
            for secret in entry.login.secrets() {
                text = text.replace(secret.expose_secret(), "***");
            }
        }
        text
    }

    /// Returns how to log in at the host at `origin`. A login for one host is never used for another host or port.
    ///
    /// # Errors
    /// Returns [`MissingCredentials`] if `origin` is for SSH and there is no key for its host.
    pub fn access(&self, origin: &Origin) -> Result<Access, MissingCredentials> {
        let is_for = |entry: &&Credential| Origin::of(&entry.host).as_ref() == Some(origin);
        let entry = self.0.iter().find(is_for);
        match (origin.scheme(), entry.map(|entry| entry.login.clone())) {
            (
                "ssh",
                Some(Login::Key {
                    private_key,
                    passphrase,
                    known_hosts,
                }),
            ) => Ok(Access::Key {
                private_key,
                passphrase,
                known_hosts,
            }),
            ("https" | "http", Some(Login::Password { username, password })) => {
                Ok(Access::Password { username, password })
            }
            ("https" | "http", None) => Ok(Access::Anonymous),
            _ => Err(MissingCredentials::of(origin)),
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn access(url: &str) -> Result<Access, MissingCredentials> {
        let credentials: Credentials = serde_json::from_str(
            r#"[{"host":"https://git.example.com","username":"bot","password":"token"},
                {"host":"ssh://git.example.com","private_key":"key","known_hosts":"git.example.com ssh-ed25519 AAAA"}]"#,
        )
        .unwrap();
        credentials.access(&Origin::of(&Url::parse(url).unwrap()).unwrap())
    }

    #[test]
    fn each_host_and_port_has_its_own_login() {
        assert!(matches!(
            access("https://git.example.com/a/b.git"),
            Ok(Access::Password { username, .. }) if username == "bot"
        ));
        assert!(matches!(
            access("ssh://git@git.example.com/a/b.git"),
            Ok(Access::Key { .. })
        ));
        for stranger in [
            "https://git.example.com:8443/a/b.git",
            "http://git.example.com/a/b.git",
            "https://git.example.com.evil.example/a/b.git",
        ] {
            assert!(matches!(access(stranger), Ok(Access::Anonymous)), "{stranger}");
        }
        assert!(matches!(
            access("ssh://git@git.example.com:2222/a/b.git"),
            Err(MissingCredentials { host }) if host.to_string() == "ssh://git.example.com:2222"
        ));
    }
}
