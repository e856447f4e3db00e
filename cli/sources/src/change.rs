//! Changes a source that is there.

use domain::push::SourceName;
use domain::source::Provider;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use webhook::WebhookSecret;

use crate::add::random_secret;
use crate::store::{Kind, Stored};
use crate::{Error, Store, list};

/// What the git host has to be told of a rotated webhook secret. This is the only time that it is shown.
#[derive(Debug)]
pub struct Rotated {
    /// The webhook's URL, which stays the same.
    pub webhook_url: String,
    /// The new secret.
    pub webhook_secret: SecretString,
    /// The kind of the git host.
    pub provider: Provider,
    /// How many previous secrets are accepted until the rotation is finished.
    pub also_accepted: usize,
}

/// Makes a new secret for a source's webhook. The previous one is accepted until the rotation is finished.
///
/// # Errors
/// Returns an error if there is no such source, or if its secret cannot be used.
pub async fn rotate(store: &Store, name: &SourceName) -> Result<Rotated, Error> {
    let webhook_secret = random_secret()?;
    let rotated = read(store, name).await?.rotated(webhook_secret.clone());
    store.put_secret(name, Kind::Webhook, &rotated.expose()?).await?;
    Ok(Rotated {
        webhook_url: store.webhook_url(name),
        webhook_secret,
        provider: rotated.provider,
        also_accepted: rotated.also_accepted.len(),
    })
}

/// Ends the rotation of a source's webhook secret: only the last one is accepted from now on. Returns how many others
/// were.
///
/// # Errors
/// Returns an error if there is no such source, or if its secret cannot be used.
pub async fn finish_rotation(store: &Store, name: &SourceName) -> Result<usize, Error> {
    let secret = read(store, name).await?;
    let others = secret.also_accepted.len();
    let finished = secret.finished().expose()?;
    store.put_secret(name, Kind::Webhook, &finished).await?;
    Ok(others)
}

/// Reads the webhook secret of a source.
async fn read(store: &Store, name: &SourceName) -> Result<WebhookSecret, Error> {
    settings(store, name).await?;
    let unusable = |reason| Error::WebhookSecret {
        name: name.to_string(),
        reason,
    };
    match store.secret(name, Kind::Webhook).await? {
        Stored::Missing => Err(unusable("does not exist")),
        Stored::Deleted => Err(unusable("was deleted")),
        // The message of the error may quote the secret.
        Stored::Text(text) => {
            serde_json::from_str(text.expose_secret()).map_err(|_| unusable("is malformed"))
        }
    }
}

async fn settings(store: &Store, name: &SourceName) -> Result<String, Error> {
    let settings = store.settings(name).await?;
    settings.ok_or_else(|| Error::Missing(name.to_string()))
}

/// Disables or enables a source. Returns `false` if it was so before.
///
/// # Errors
/// Returns an error if there is no such source, or if its settings cannot be used.
pub async fn set_disabled(store: &Store, name: &SourceName, disabled: bool) -> Result<bool, Error> {
    let text = settings(store, name).await?;
    let parsed = list::read_settings(&text).map_err(Error::Settings)?;
    if parsed.disabled == disabled {
        return Ok(false);
    }
    // The text is changed and not written anew, because that would pin the defaults of today.
    let mut document: Value = serde_json::from_str(&text)?;
    document["disabled"] = json!(disabled);
    store.replace_settings(name, &document.to_string()).await?;
    Ok(true)
}
