//! Adds a source.
//!
//! The secrets are written before the settings, because there is a source once it has settings. If that is interrupted
//! there are secrets without a source, which let nothing in: the state machine finds no settings. They are replaced
//! when the source is added again, since nobody has seen them.

use aws::failure::chain;
use credentials::{Credential, GitSecretJson, Login};
use domain::push::SourceName;
use domain::source::{Provider, SourceSettings};
use rand_core::{OsRng, RngCore as _};
use secrecy::SecretString;
use webhook::WebhookSecret;

use crate::host_keys::is_at;
use crate::store::Kind;
use crate::{Error, Store, list};

/// A source that is to be added.
pub struct NewSource {
    name: SourceName,
    text: String,
    settings: SourceSettings,
    git_secret: GitSecretJson,
}

/// What the git host has to be told of a new source. This is the only time that the webhook's secret is shown.
#[derive(Debug)]
pub struct Added {
    /// The webhook's URL.
    pub webhook_url: String,
    /// The webhook's secret.
    pub webhook_secret: SecretString,
    /// The kind of the git host.
    pub provider: Provider,
}

impl NewSource {
    /// Checks the JSON text of the settings as the functions do. The source has no logins yet.
    ///
    /// # Errors
    /// Returns [`Error::Settings`] if the functions would refuse them.
    pub fn new(name: SourceName, text: String) -> Result<Self, Error> {
        Ok(Self {
            settings: list::read_settings(&text).map_err(Error::Settings)?,
            git_secret: GitSecretJson::of(Vec::new()),
            name,
            text,
        })
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &SourceSettings {
        &self.settings
    }

    /// Sets the whole git secret, by its JSON text.
    ///
    /// # Errors
    /// Returns [`Error::Settings`] if it is malformed. The message does not quote it.
    pub fn with_git_secret(self, text: &SecretString) -> Result<Self, Error> {
        let git_secret = GitSecretJson::parse(&self.name, text);
        let git_secret = git_secret.map_err(|error| Error::Settings(chain(&error)))?;
        Ok(Self { git_secret, ..self })
    }

    /// Adds a login by a password or token for each host that is reached by HTTP.
    #[must_use]
    pub fn with_password(mut self, username: &str, password: &SecretString) -> Self {
        for host in &self.settings.git_hosts {
            if host.origin().scheme() != "ssh" {
                let login = Login::Password {
                    username: username.to_owned(),
                    password: password.clone(),
                };
                let host = host.url().with_path("").as_url().clone();
                self.git_secret.credentials.push(Credential::of(host, login));
            }
        }
        self
    }

    /// Adds a login by a key at a host whose key is pinned.
    #[must_use]
    pub fn with_key(mut self, pinned: &crate::PinnedHost, private_key: &SecretString) -> Self {
        let login = Login::Key {
            private_key: private_key.clone(),
            passphrase: None,
            known_hosts: pinned.known_hosts.clone(),
        };
        let host = pinned.host.url().with_path("").as_url().clone();
        self.git_secret.credentials.push(Credential::of(host, login));
        self
    }

    fn check_keys(&self) -> Result<(), Error> {
        let ssh = self.settings.git_hosts.iter();
        for host in ssh.filter(|host| host.origin().scheme() == "ssh") {
            let mut logins = self.git_secret.credentials.iter();
            if !logins.any(|login| is_at(host.origin(), &login.host)) {
                return Err(Error::NoKey(host.to_string()));
            }
        }
        Ok(())
    }
}

/// Fails if there is a source of this name.
///
/// # Errors
/// Returns [`Error::Exists`] if there is.
pub async fn check_is_new(store: &Store, name: &SourceName) -> Result<(), Error> {
    match store.settings(name).await? {
        None => Ok(()),
        Some(_) => Err(Error::Exists(name.to_string())),
    }
}

/// Adds a source, with a new secret for its webhook.
///
/// # Errors
/// Returns [`Error::Exists`] if there is a source of this name, and an error if something cannot be written. Then there
/// is no source, and it can be added again.
pub async fn add(store: &Store, source: &NewSource) -> Result<Added, Error> {
    let name = &source.name;
    source.check_keys()?;
    check_is_new(store, name).await?;
    let provider = source.settings.provider;
    let webhook_secret = random_secret()?;
    let webhook = WebhookSecret::new(provider, webhook_secret.clone()).expose()?;
    store.write_secret(name, Kind::Webhook, &webhook).await?;
    let git = source.git_secret.expose()?;
    store.write_secret(name, Kind::Git, &git).await?;
    if !store.create_settings(name, &source.text).await? {
        return Err(Error::AddedMeanwhile(name.to_string()));
    }
    Ok(Added {
        webhook_url: store.webhook_url(name),
        webhook_secret,
        provider,
    })
}

/// Makes a secret for a webhook: 32 random bytes in hexadecimal digits, which every host takes as a token or a key.
pub fn random_secret() -> Result<SecretString, Error> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(Error::Random)?;
    Ok(hex::encode(bytes).into())
}
