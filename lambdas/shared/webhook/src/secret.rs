//! The secret of a source's webhook.

use chrono::{DateTime, Utc};
use domain::source::Provider;
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{Refusal, proof};

/// The JSON of a webhook secret. It says how the webhooks of its source are proven, because nothing in a request can be
/// trusted to say that.
///
/// `S` is a secret text. A [`SecretString`] can be read and not written: [`WebhookSecret::expose`] is the only way to
/// write one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSecret<S = SecretString> {
    /// The kind of the git host that calls the webhook.
    #[serde(default = "gitlab")]
    pub provider: Provider,
    /// The secret of new webhooks, which GitLab calls their token.
    #[serde(alias = "token")]
    pub secret: S,
    /// Other secrets that are accepted while they are being replaced.
    #[serde(default = "Vec::new")]
    pub also_accepted: Vec<S>,
}

/// The kind of host of a secret that does not name it, as none did when there was no other.
fn gitlab() -> Provider {
    Provider::GitLab
}

impl WebhookSecret {
    /// Creates the secret of a new webhook.
    #[must_use]
    pub fn new(provider: Provider, secret: SecretString) -> Self {
        Self {
            provider,
            secret,
            also_accepted: Vec::new(),
        }
    }

    /// Returns the secret whose webhooks are sent with `secret` from now on. What was accepted before still is.
    #[must_use]
    pub fn rotated(self, secret: SecretString) -> Self {
        let mut also_accepted = vec![self.secret];
        also_accepted.extend(self.also_accepted);
        Self {
            also_accepted,
            ..Self::new(self.provider, secret)
        }
    }

    /// Returns the secret after its rotation, when only what new webhooks are sent with is accepted.
    #[must_use]
    pub fn finished(self) -> Self {
        Self::new(self.provider, self.secret)
    }

    /// Returns the JSON text, with the secrets in it, as Secrets Manager stores it.
    ///
    /// # Errors
    /// Returns an error if the text cannot be written as JSON, which does not happen to texts.
    pub fn expose(&self) -> serde_json::Result<SecretString> {
        let exposed = WebhookSecret {
            provider: self.provider,
            secret: self.secret.expose_secret(),
            also_accepted: self
                .also_accepted
                .iter()
                .map(ExposeSecret::expose_secret)
                .collect(),
        };
        serde_json::to_string(&exposed).map(SecretString::from)
    }

    /// Checks what the headers of a request can tell by themselves: the token or password if the host sends one, or
    /// else that there is a signature that can be one. The body is not known yet.
    ///
    /// # Errors
    /// Returns why the request is refused.
    pub fn check_headers(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Result<(), Refusal> {
        proof(self.provider).check(headers, None, &self.secrets(), now)
    }

    /// Checks that a request is from the git host, and returns the host's kind.
    ///
    /// # Errors
    /// Returns why the request is refused.
    pub fn check(&self, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Result<Provider, Refusal> {
        proof(self.provider).check(headers, Some(body), &self.secrets(), now)?;
        Ok(self.provider)
    }

    /// Returns whether a request that is from the git host is proven by a previous secret alone, so that it is refused
    /// once the rotation is finished.
    #[must_use]
    pub fn is_proven_by_previous(&self, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> bool {
        let by_current = || proof(self.provider).check(headers, Some(body), &[&self.secret], now);
        !self.also_accepted.is_empty() && by_current().is_err()
    }

    fn secrets(&self) -> Vec<&SecretString> {
        std::iter::once(&self.secret).chain(&self.also_accepted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_secret_is_read_as_it_was_written_until_the_rotation_is_finished() {
        let read = |secret: &WebhookSecret| -> WebhookSecret {
            serde_json::from_str(secret.expose().unwrap().expose_secret()).unwrap()
        };
        let texts = |secret: &WebhookSecret| -> Vec<String> {
            let texts = secret.secrets().into_iter();
            texts.map(|text| text.expose_secret().to_owned()).collect()
        };
        let first = WebhookSecret::new(Provider::Gitea, "first".into());
        let third = read(&read(&first).rotated("second".into())).rotated("third".into());
        assert_eq!(third.provider, Provider::Gitea);
        assert_eq!(texts(&third), ["third", "second", "first"]);
        let finished = read(&third.finished());
        assert_eq!(finished.provider, Provider::Gitea);
        assert_eq!(texts(&finished), ["third"]);
    }
}
