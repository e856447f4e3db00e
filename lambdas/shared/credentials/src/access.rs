//! What a transfer logs in with.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

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

impl Access {
    /// Returns all secret texts, in each form in which they are sent.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        match self {
            Self::Anonymous => Vec::new(),
            Self::Password { username, password } => {
                let pair = format!("{username}:{}", password.expose_secret());
                let basic = openssl::base64::encode_block(pair.as_bytes());
                vec![basic.into(), password.clone()]
            }
            Self::Key {
                private_key,
                passphrase,
                ..
            } => {
                let mut secrets = key_lines(private_key);
                secrets.extend(passphrase.clone());
                secrets
            }
        }
    }
}

/// Returns the lines of a key in PEM form, without those that only say what it is.
pub(crate) fn key_lines(private_key: &SecretString) -> Vec<SecretString> {
    let lines = private_key.expose_secret().lines();
    lines
        .filter(|line| !line.starts_with("-----"))
        .map(Into::into)
        .collect()
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
