//! What a source is, without any secret text.

use aws::failure::chain;
use credentials::{GitSecretJson, Login};
use domain::push::SourceName;
use domain::source::{Provider, SourceSettings};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use webhook::WebhookSecret;

use crate::store::{Kind, Stored};
use crate::{Error, Store, deploy_key, list};

/// A source.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Its settings, or why nothing is delivered by them.
    pub settings: Result<SourceSettings, String>,
    /// The URL that its git host calls.
    pub webhook_url: String,
    /// Its webhook secret.
    pub webhook_secret: Secret<WebhookShown>,
    /// Its git secret.
    pub git_secret: Secret<GitSecretShown>,
}

/// What is known of a secret.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Secret<T> {
    /// There is no such secret.
    Missing,
    /// It was deleted.
    Deleted,
    /// It does not have the form of such a secret.
    Malformed {
        /// Why not. The secret is not quoted.
        reason: String,
    },
    /// It is there.
    There(T),
}

/// What can be shown of a webhook secret.
#[derive(Debug, Serialize)]
pub struct WebhookShown {
    /// The kind of the git host.
    pub provider: Provider,
    /// How many previous secrets are accepted until a rotation is finished.
    pub also_accepted: usize,
}

/// What can be shown of a git secret.
#[derive(Debug, Serialize)]
pub struct GitSecretShown {
    /// The logins.
    pub logins: Vec<LoginShown>,
    /// The hosts of the APIs that it has tokens for.
    pub api_tokens: Vec<String>,
    /// Whether it has certificates of authorities.
    pub ca_certificates: bool,
    /// Whether it has keys that may sign.
    pub signers: bool,
}

/// What can be shown of a login.
#[derive(Debug, Serialize)]
pub struct LoginShown {
    /// The host.
    pub host: String,
    /// How to log in there.
    #[serde(flatten)]
    pub by: LoginBy,
}

/// How to log in at a host.
#[derive(Debug, Serialize)]
#[serde(tag = "by", rename_all = "lowercase")]
pub enum LoginBy {
    /// By a password or token.
    Password {
        /// The user name.
        username: String,
    },
    /// By a key.
    Key {
        /// The public key, as a line of `authorized_keys`. `None` if it cannot be read from the private one.
        public_key: Option<String>,
        /// The pinned host keys.
        known_hosts: String,
    },
    /// By the tokens of a GitHub App.
    GitHubApp {
        /// The app's id or client id.
        app_id: String,
    },
    /// By the role of the function, at CodeCommit.
    CodeCommit,
}

/// Shows a source.
///
/// # Errors
/// Returns [`Error::Missing`] if there is no such source, or an error if it cannot be read.
pub async fn show(store: &Store, name: &SourceName) -> Result<Shown, Error> {
    let text = store.settings(name).await?;
    let text = text.ok_or_else(|| Error::Missing(name.to_string()))?;
    Ok(Shown {
        settings: list::read_settings(&text),
        webhook_url: store.webhook_url(name),
        webhook_secret: Secret::of(store.secret(name, Kind::Webhook).await?, |text| {
            let secret: WebhookSecret = serde_json::from_str(text.expose_secret())
                // The message may quote the secret.
                .map_err(|error| format!("see line {}, column {}", error.line(), error.column()))?;
            Ok(WebhookShown {
                provider: secret.provider,
                also_accepted: secret.also_accepted.len(),
            })
        }),
        git_secret: Secret::of(store.secret(name, Kind::Git).await?, |text| {
            let secret = GitSecretJson::parse(name, text).map_err(|error| chain(&error))?;
            Ok(GitSecretShown::of(&secret))
        }),
    })
}

impl<T> Secret<T> {
    fn of(stored: Stored, read: impl FnOnce(&secrecy::SecretString) -> Result<T, String>) -> Self {
        match stored {
            Stored::Missing => Self::Missing,
            Stored::Deleted => Self::Deleted,
            Stored::Text(text) => match read(&text) {
                Ok(shown) => Self::There(shown),
                Err(reason) => Self::Malformed { reason },
            },
        }
    }
}

impl GitSecretShown {
    fn of(secret: &GitSecretJson) -> Self {
        let login = |credential: &credentials::Credential| LoginShown {
            host: credential.host.to_string(),
            by: match &credential.login {
                Login::Password { username, .. } => LoginBy::Password {
                    username: username.clone(),
                },
                Login::GitHubApp { app_id, .. } => LoginBy::GitHubApp {
                    app_id: app_id.clone(),
                },
                Login::CodeCommit(_) => LoginBy::CodeCommit,
                Login::Key {
                    private_key,
                    known_hosts,
                    ..
                } => LoginBy::Key {
                    public_key: deploy_key::public(private_key),
                    known_hosts: known_hosts.clone(),
                },
            },
        };
        Self {
            logins: secret.credentials.iter().map(login).collect(),
            api_tokens: secret
                .api_tokens
                .iter()
                .map(|token| token.host.to_string())
                .collect(),
            ca_certificates: secret.ca_certificates.is_some(),
            signers: secret.allowed_signers.is_some() || secret.openpgp_keys.is_some(),
        }
    }
}
