//! The git secret: how to log in at each host of a source.

use domain::push::SourceName;
use domain::source::origin;
use openssl::x509::X509;
use platform::secrets::SecretError;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use crate::error::Error;
use signatures::Signers;

/// What the secret says.
pub struct GitSecret {
    credentials: Vec<Entry>,
    authorities: Vec<X509>,
    signers: Signers,
}

/// The secret's JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    credentials: Vec<Entry>,
    /// PEM text.
    #[serde(default)]
    ca_certificates: Option<String>,
    /// SSH keys, in OpenSSH's format.
    #[serde(default)]
    allowed_signers: Option<String>,
    /// ASCII armour.
    #[serde(default)]
    openpgp_keys: Option<String>,
}

/// The login at one host.
#[derive(Deserialize)]
struct Entry {
    /// `scheme://host[:port]`.
    host: Url,
    #[serde(flatten)]
    login: Login,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Login {
    Password {
        username: String,
        password: SecretString,
    },
    Key {
        private_key: SecretString,
        #[serde(default)]
        passphrase: Option<SecretString>,
        known_hosts: String,
    },
}

impl Login {
    /// All texts that would let somebody in, in each form that is sent.
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
        // Nothing this short keeps anybody out, and it may be a part of any word.
        secrets.retain(|secret: &SecretString| secret.expose_secret().len() >= 4);
        secrets
    }
}

/// How to log in for one fetch. It can be written down, to hand it to the process that transfers.
#[derive(Clone, Serialize, Deserialize)]
pub enum Access {
    /// Over HTTP(S), where the host does not ask.
    Anonymous,
    /// Over HTTP(S), where it asks: a password or token.
    Password {
        /// The user name.
        username: String,
        /// The password or token.
        #[serde(serialize_with = "expose")]
        password: SecretString,
    },
    /// Over SSH.
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

impl GitSecret {
    /// Reads the git secret of `source`. An error names what is missing and never what is there.
    ///
    /// # Errors
    /// [`SecretError::Invalid`].
    pub fn parse(source: &SourceName, secret: &SecretString) -> Result<Self, SecretError> {
        let invalid = |reason: String| SecretError::Invalid {
            name: format!("{source}/git"),
            reason,
        };
        let json: Json = serde_json::from_str(secret.expose_secret()).map_err(|error| {
            // serde's own message may quote what it met.
            invalid(format!("see line {}, column {}", error.line(), error.column()))
        })?;
        let pem = json.ca_certificates.unwrap_or_default();
        let authorities = X509::stack_from_pem(pem.as_bytes()).unwrap_or_default();
        if authorities.is_empty() && !pem.trim().is_empty() {
            return Err(invalid(
                "ca_certificates is not certificates in PEM form".to_owned(),
            ));
        }
        let allowed_signers = json.allowed_signers.unwrap_or_default();
        let openpgp_keys = json.openpgp_keys.unwrap_or_default();
        Ok(Self {
            credentials: json.credentials,
            authorities,
            signers: Signers::parse(&allowed_signers, &openpgp_keys).map_err(invalid)?,
        })
    }

    /// `text` without what must be told to nobody. A host may send back what it was sent.
    #[must_use]
    pub fn taken_out_of(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for entry in &self.credentials {
            for secret in entry.login.secrets() {
                text = text.replace(secret.expose_secret(), "***");
            }
        }
        text
    }

    /// Certificates of authorities that are trusted besides the system's.
    #[must_use]
    pub fn authorities(&self) -> &[X509] {
        &self.authorities
    }

    /// The keys that may sign commits and tags.
    #[must_use]
    pub fn signers(&self) -> &Signers {
        &self.signers
    }

    /// How to log in at the host of `url`. What is for one host is never given to another, nor to another port.
    ///
    /// # Errors
    /// [`Error::CredentialsMissing`] for SSH without a key.
    pub fn access(&self, url: &Url) -> Result<Access, Error> {
        let wanted = origin(url);
        let entry = self
            .credentials
            .iter()
            .find(|entry| origin(&entry.host) == wanted);
        match (url.scheme(), entry.map(|entry| entry.login.clone())) {
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
            _ => Err(Error::CredentialsMissing { host: host_of(url) }),
        }
    }
}

/// `scheme://host[:port]`, as the git secret names it.
pub fn host_of(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(json: &str) -> Result<GitSecret, SecretError> {
        GitSecret::parse(&"gitlab".parse().unwrap(), &json.to_owned().into())
    }

    fn access(url: &str) -> Result<Access, Error> {
        let secret = secret(
            r#"{"credentials":[
                {"host":"https://git.example.com","username":"bot","password":"token"},
                {"host":"ssh://git.example.com","private_key":"key","known_hosts":"git.example.com ssh-ed25519 AAAA"}]}"#,
        );
        secret.unwrap().access(&Url::parse(url).unwrap())
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
            Err(Error::CredentialsMissing { host }) if host == "ssh://git.example.com:2222"
        ));
    }

    #[test]
    fn an_error_does_not_quote_the_secret() {
        for json in [
            r#"{"credentials":[{"host":"https://h","username":"u","password":7777777}]}"#,
            r#"{"credentials":"hunter2"}"#,
            "hunter2",
        ] {
            let error = secret(json).err().unwrap().to_string();
            assert!(
                !error.contains("hunter2") && !error.contains("7777777"),
                "{error}"
            );
        }
    }

    #[test]
    fn certificates_are_read_when_the_secret_is() {
        for (pem, right) in [
            ("", true),
            (" \n", true),
            ("hunter2", false),
            ("-----BEGIN CERTIFICATE-----\nhunter2", false),
        ] {
            let json = serde_json::json!({"credentials": [], "ca_certificates": pem}).to_string();
            let parsed = secret(&json);
            assert_eq!(parsed.is_ok(), right, "{pem:?}");
            if let Err(error) = parsed {
                assert!(
                    error.to_string().contains("ca_certificates") && !error.to_string().contains("hunter2")
                );
            }
        }
    }

    #[test]
    fn signers_are_read_when_the_secret_is() {
        for (field, list, expected) in [
            ("allowed_signers", "", None),
            ("allowed_signers", "# nobody\n", None),
            ("allowed_signers", "\njo hunter2\n", Some("gitlab/git")),
            (
                "allowed_signers",
                "\njo hunter2\n",
                Some("allowed_signers, line 2: "),
            ),
            ("openpgp_keys", " \n", None),
            ("openpgp_keys", "\n\nhunter2", Some("openpgp_keys, line 3: ")),
        ] {
            let json = serde_json::json!({"credentials": [], field: list}).to_string();
            let told = secret(&json).err().map(|error| error.to_string());
            assert_eq!(told.is_some(), expected.is_some(), "{list:?}: {told:?}");
            if let (Some(told), Some(expected)) = (told, expected) {
                assert!(told.contains(expected) && !told.contains("hunter2"), "{told}");
            }
        }
    }

    /// JSON that is much like a secret, and any text.
    fn any_secret() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"credentials\"",
            "\"ca_certificates\"",
            "\"allowed_signers\"",
            "\"openpgp_keys\"",
            "\"host\"",
            "\"https://h\"",
            "\"username\"",
            "\"password\"",
            "\"private_key\"",
            "\"known_hosts\"",
            "\"-----BEGIN CERTIFICATE-----\"",
            "null",
            "7",
            "\"hunter2\"",
        ]);
        prop_oneof![
            prop::collection::vec(part, 0..20).prop_map(|parts| parts.concat()),
            any::<String>(),
            (any::<String>(), any::<String>()).prop_map(|(host, pem)| {
                serde_json::json!({
                    "credentials": [{"host": host, "username": "u", "password": "hunter2"}], "ca_certificates": pem,
                })
                .to_string()
            }),
        ]
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_word_of_it(text in any_secret()) {
            if let Err(error) = secret(&text) {
                prop_assert!(!error.to_string().contains("hunter2"));
            }
        }
    }
}
