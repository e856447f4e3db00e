//! The JSON of a git secret.
//!
//! An error names what is missing, and never what is there.

use aws::secrets::SecretError;
use chrono::NaiveDate;
use domain::commit_status::ApiUrl;
use domain::git::RepositoryPath;
use domain::glob::Globs;
use domain::push::SourceName;
use domain::remote_url::Origin;
use openssl::x509::X509;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

/// The git secret of a source: how to log in at its git hosts, whom to trust besides the public authorities, who may
/// sign, and the tokens of its git hosts' APIs.
///
/// A [`SecretString`] can be read and not written: [`expose`](Self::expose) is the only way to write the secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitSecretJson {
    /// The logins. That of a repository is the first one of its host that is for it.
    pub credentials: Vec<Credential>,
    /// Certificates of authorities, in PEM form.
    pub ca_certificates: Option<String>,
    /// SSH keys, in the form of OpenSSH's `allowed_signers`.
    pub allowed_signers: Option<String>,
    /// OpenPGP keys, as ASCII armour.
    pub openpgp_keys: Option<String>,
    /// The tokens of APIs. That of a repository is the first one of its host that is for it.
    #[serde(default)]
    pub api_tokens: Vec<ApiToken>,
}

/// The token of the API of one host.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiToken {
    /// `scheme://host[:port]`.
    pub host: Url,
    /// Globs of the repositories that it is for, or `None` for all.
    pub repositories: Option<Vec<String>>,
    /// The token.
    pub token: SecretString,
    /// The day on which it ends, or `None` if that is not known.
    pub expires: Option<NaiveDate>,
}

/// The login at one host.
#[derive(Clone, Deserialize)]
#[serde(try_from = "CredentialJson<SecretString>")]
pub struct Credential {
    /// `scheme://host[:port]`.
    pub host: Url,
    /// Globs of the repositories that it is for, or `None` for all.
    pub repositories: Option<Vec<String>>,
    /// How to log in there.
    pub login: Login,
    /// The day on which the login ends, or `None` if that is not known.
    pub expires: Option<NaiveDate>,
}

/// How to log in at a host.
#[derive(Clone)]
pub enum Login {
    /// Over HTTP(S).
    Password {
        /// The user name.
        username: String,
        /// The password or token.
        password: SecretString,
    },
    /// Over SSH.
    Key {
        /// The private key, in OpenSSH's or PEM form.
        private_key: SecretString,
        /// Its passphrase.
        passphrase: Option<SecretString>,
        /// The pinned host keys, in the form of OpenSSH's `known_hosts`.
        known_hosts: String,
    },
    /// Over HTTP(S), as a GitHub App.
    GitHubApp {
        /// The app's id or client id.
        app_id: String,
        /// Its private key, in PEM form.
        private_key: SecretString,
        /// Where it is installed, or `None` if GitHub is to be asked where.
        installation_id: Option<String>,
        /// The API, or `None` for that of the host.
        api_url: Option<ApiUrl>,
    },
    /// Over HTTPS, at CodeCommit, with this program's own credentials of AWS.
    CodeCommit(CodeCommitJson),
}

/// What may be said of a host of CodeCommit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeCommitJson {
    /// Its region, or `None` if the host's name says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// A git secret as it is written.
#[derive(Serialize)]
struct Exposed<'a> {
    credentials: Vec<CredentialJson<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_certificates: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_signers: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openpgp_keys: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    api_tokens: Vec<ExposedToken<'a>>,
}

#[derive(Serialize)]
struct ExposedToken<'a> {
    host: &'a Url,
    #[serde(skip_serializing_if = "Option::is_none")]
    repositories: Option<&'a [String]>,
    token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<NaiveDate>,
}

/// The fields of all kinds of logins. `S` is a secret text.
///
/// serde would choose the first kind whose fields are there and ignore the others, such as a misspelt `repositories`,
/// without which a login is for all repositories.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialJson<S> {
    host: Url,
    #[serde(skip_serializing_if = "Option::is_none")]
    repositories: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<S>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<S>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passphrase: Option<S>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known_hosts: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "text_or_number")]
    app_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "text_or_number")]
    installation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_url: Option<ApiUrl>,
    #[serde(skip_serializing_if = "Option::is_none")]
    codecommit: Option<CodeCommitJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<NaiveDate>,
}

/// Reads an id, which GitHub shows as a number.
fn text_or_number<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(u64),
    }
    let id = Option::<Id>::deserialize(deserializer)?;
    Ok(id.map(|id| match id {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    }))
}

impl TryFrom<CredentialJson<SecretString>> for Credential {
    type Error = &'static str;

    fn try_from(json: CredentialJson<SecretString>) -> Result<Self, &'static str> {
        let fields = (
            (json.username, json.password),
            (json.private_key, json.passphrase, json.known_hosts),
            (json.app_id, json.installation_id, json.api_url),
            json.codecommit,
        );
        let login = match fields {
            ((Some(username), Some(password)), (None, None, None), (None, None, None), None) => {
                Login::Password { username, password }
            }
            ((None, None), (Some(private_key), passphrase, Some(known_hosts)), (None, None, None), None) => {
                Login::Key {
                    private_key,
                    passphrase,
                    known_hosts,
                }
            }
            (
                (None, None),
                (Some(private_key), None, None),
                (Some(app_id), installation_id, api_url),
                None,
            ) => Login::GitHubApp {
                app_id,
                private_key,
                installation_id,
                api_url,
            },
            ((None, None), (None, None, None), (None, None, None), Some(codecommit)) => {
                Login::CodeCommit(codecommit)
            }
            _ => return Err("its fields are not those of one kind of login"),
        };
        Ok(Self {
            host: json.host,
            repositories: json.repositories,
            login,
            expires: json.expires,
        })
    }
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
            api_tokens: Vec::new(),
        }
    }

    /// Parses the JSON of the git secret of `source`.
    ///
    /// # Errors
    /// Returns [`SecretError::Invalid`].
    pub fn parse(source: &SourceName, secret: &SecretString) -> Result<Self, SecretError> {
        serde_json::from_str(secret.expose_secret()).map_err(|error| {
            // serde's own message may quote what it met.
            let (line, column) = (error.line(), error.column());
            invalid(source, format!("see line {line}, column {column}"))
        })
    }

    /// Returns the certificates of authorities that are trusted besides the system's.
    ///
    /// # Errors
    /// Returns [`SecretError::Invalid`] if they are not in PEM form.
    pub fn authorities(&self, source: &SourceName) -> Result<Vec<X509>, SecretError> {
        let pem = self.ca_certificates.as_deref().unwrap_or_default();
        let authorities = X509::stack_from_pem(pem.as_bytes()).unwrap_or_default();
        if authorities.is_empty() && !pem.trim().is_empty() {
            let reason = "ca_certificates is not certificates in PEM form".to_owned();
            return Err(invalid(source, reason));
        }
        Ok(authorities)
    }

    /// Returns the token of the API at `origin` for `repository`. That of one host is never used for another host or
    /// port.
    ///
    /// # Errors
    /// Returns [`SecretError::Invalid`] if a glob of an entry for this host is malformed.
    pub fn api_token(
        &self,
        source: &SourceName,
        origin: &Origin,
        repository: &RepositoryPath,
    ) -> Result<Option<&SecretString>, SecretError> {
        let is_for = |entry: &&ApiToken| Origin::of(&entry.host).as_ref() == Some(origin);
        for entry in self.api_tokens.iter().filter(is_for) {
            let globs = globs(source, entry.repositories.as_deref())?;
            if globs.is_none_or(|globs| globs.match_any(repository.as_str())) {
                return Ok(Some(&entry.token));
            }
        }
        Ok(None)
    }

    /// Returns the JSON text, with the secrets in it, as Secrets Manager stores it.
    ///
    /// # Errors
    /// Returns an error if the text cannot be written as JSON, which does not happen to texts.
    pub fn expose(&self) -> serde_json::Result<SecretString> {
        let exposed = Exposed {
            credentials: self.credentials.iter().map(Credential::exposed).collect(),
            ca_certificates: self.ca_certificates.as_deref(),
            allowed_signers: self.allowed_signers.as_deref(),
            openpgp_keys: self.openpgp_keys.as_deref(),
            api_tokens: self.api_tokens.iter().map(ApiToken::exposed).collect(),
        };
        serde_json::to_string(&exposed).map(SecretString::from)
    }
}

/// Compiles the globs of an entry. Returns `None` if it has none, which is for all repositories.
pub(crate) fn globs(source: &SourceName, globs: Option<&[String]>) -> Result<Option<Globs>, SecretError> {
    let globs = globs.map(|globs| Globs::new("repositories", globs)).transpose();
    globs.map_err(|_| invalid(source, "repositories has a malformed glob".to_owned()))
}

/// Creates the error of the git secret of `source`.
pub(crate) fn invalid(source: &SourceName, reason: String) -> SecretError {
    SecretError::Invalid {
        name: format!("{source}/git"),
        reason,
    }
}

impl ApiToken {
    fn exposed(&self) -> ExposedToken<'_> {
        ExposedToken {
            host: &self.host,
            repositories: self.repositories.as_deref(),
            token: self.token.expose_secret(),
            expires: self.expires,
        }
    }
}

impl Credential {
    /// Creates the login at a host for all of its repositories.
    #[must_use]
    pub fn of(host: Url, login: Login) -> Self {
        Self {
            host,
            repositories: None,
            login,
            expires: None,
        }
    }

    fn exposed(&self) -> CredentialJson<&str> {
        let mut json = CredentialJson {
            host: self.host.clone(),
            repositories: self.repositories.clone(),
            username: None,
            password: None,
            private_key: None,
            passphrase: None,
            known_hosts: None,
            app_id: None,
            installation_id: None,
            api_url: None,
            codecommit: None,
            expires: self.expires,
        };
        match &self.login {
            Login::Password { username, password } => {
                json.username = Some(username.clone());
                json.password = Some(password.expose_secret());
            }
            Login::Key {
                private_key,
                passphrase,
                known_hosts,
            } => {
                json.private_key = Some(private_key.expose_secret());
                json.passphrase = passphrase.as_ref().map(ExposeSecret::expose_secret);
                json.known_hosts = Some(known_hosts.clone());
            }
            Login::GitHubApp {
                app_id,
                private_key,
                installation_id,
                api_url,
            } => {
                json.app_id = Some(app_id.clone());
                json.private_key = Some(private_key.expose_secret());
                json.installation_id = installation_id.clone();
                json.api_url = api_url.clone();
            }
            Login::CodeCommit(codecommit) => json.codecommit = Some(codecommit.clone()),
        }
        json
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
        let all = read(&documented("docs/reference/secrets.md", "**git secret**"));
        let kinds: Vec<_> = all.credentials.iter().map(|entry| kind(&entry.login)).collect();
        assert_eq!(kinds, ["password", "key", "app", "codecommit"]);
        assert!(all.credentials[0].repositories.is_some());
        assert!(all.allowed_signers.is_some() && all.openpgp_keys.is_some());
        assert_eq!(all.api_tokens.len(), 1);
        assert!(all.credentials[0].expires.is_some());
    }

    fn kind(login: &Login) -> &'static str {
        match login {
            Login::Password { .. } => "password",
            Login::Key { .. } => "key",
            Login::GitHubApp { .. } => "app",
            Login::CodeCommit(_) => "codecommit",
        }
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let text = r#"{"credentials":[
                {"host":"https://a","repositories":["a/*"],"username":"user-a","password":"pass-a","expires":"2027-01-31"},
                {"host":"ssh://b","private_key":"key-b","passphrase":"phrase-b","known_hosts":"hosts-b"},
                {"host":"https://c","app_id":123,"private_key":"key-c","installation_id":456,"api_url":"https://api.c"},
                {"host":"https://d","codecommit":{"region":"region-d"}}],
            "ca_certificates":"certificates","allowed_signers":"signers","openpgp_keys":"openpgp",
            "api_tokens":[{"host":"https://e","repositories":["e/*"],"token":"token-e","expires":"2027-02-28"}]}"#;
        let secret: GitSecretJson = serde_json::from_str(text).unwrap();
        let written = secret.expose().unwrap();
        let written: serde_json::Value = serde_json::from_str(written.expose_secret()).unwrap();
        let mut expected: serde_json::Value = serde_json::from_str(text).unwrap();
        for (index, host) in ["https://a/", "ssh://b", "https://c/", "https://d/"]
            .into_iter()
            .enumerate()
        {
            expected["credentials"][index]["host"] = host.into();
        }
        expected["credentials"][2]["app_id"] = "123".into();
        expected["credentials"][2]["installation_id"] = "456".into();
        expected["api_tokens"][0]["host"] = "https://e/".into();
        assert_eq!(written, expected);
        let again: GitSecretJson = serde_json::from_value(written).unwrap();
        assert_eq!(again.credentials.len(), 4);
    }

    #[test]
    fn each_host_port_and_repository_has_its_own_token() {
        let json = r#"{"credentials":[],"api_tokens":[
            {"host":"https://git.example.com","repositories":["other/*"],"token":"other"},
            {"host":"https://git.example.com","repositories":["group/*"],"token":"group"},
            {"host":"https://all.example.com","token":"all"}]}"#;
        let secret: GitSecretJson = serde_json::from_str(json).unwrap();
        for (url, repository, expected) in [
            ("https://git.example.com/api/v4", "group/project", Some("group")),
            ("https://git.example.com/api/v4", "other/project", Some("other")),
            ("https://git.example.com/api/v4", "secret/project", None),
            ("https://all.example.com/api/v4", "secret/project", Some("all")),
            ("https://git.example.com:8443/api/v4", "group/project", None),
            ("http://git.example.com/api/v4", "group/project", None),
            (
                "https://git.example.com.evil.example/api/v4",
                "group/project",
                None,
            ),
        ] {
            let origin = Origin::of(&Url::parse(url).unwrap()).unwrap();
            let source = "gitlab".parse().unwrap();
            let token = secret.api_token(&source, &origin, &repository.parse().unwrap());
            let token = token.unwrap().map(ExposeSecret::expose_secret);
            assert_eq!(token, expected, "{url} {repository}");
        }
    }

    /// Otherwise a login might be for more repositories than was meant.
    #[test]
    fn what_is_misspelt_or_mixed_is_refused_and_not_quoted() {
        for json in [
            r#"{"credentials":[],"api_tokens":[{"host":"https://h","tokn":"hunter2"}]}"#,
            r#"{"credentials":[],"api_tokens":[{"host":"https://h","token":"hunter2","repository":["a/*"]}]}"#,
            r#"{"credentials":[{"host":"https://h","username":"u","password":"hunter2","repository":["a/*"]}]}"#,
            r#"{"credentials":[{"host":"https://h","username":"u","password":"hunter2","app_id":"1"}]}"#,
            r#"{"credentials":[{"host":"https://h","username":"u","password":"hunter2","codecommit":{}}]}"#,
            r#"{"credentials":[{"host":"https://h","private_key":"hunter2","known_hosts":"","app_id":"1"}]}"#,
            r#"{"credentials":[{"host":"https://h","private_key":"hunter2"}]}"#,
            r#"{"credentials":[{"host":"https://h","password":"hunter2"}]}"#,
            r#"{"credentials":[{"host":"https://h","codecommit":{"regio":"hunter2"}}]}"#,
            r#"{"credentials":[{"host":"https://h","codecommit":true}]}"#,
            r#"{"credentials":[{"host":"https://h","app_id":"1","private_key":"k","api_url":"https://u:hunter2@h"}]}"#,
            r#"{"credentials":[{"host":"https://h"}]}"#,
        ] {
            let error = GitSecretJson::parse(&"gitlab".parse().unwrap(), &json.to_owned().into());
            let error = error.err().unwrap_or_else(|| panic!("{json}")).to_string();
            assert!(
                error.contains("gitlab/git") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
