//! The secret of a source's webhook.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;

/// The JSON of a webhook secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSecret {
    /// The token for new webhooks.
    pub token: SecretString,
    /// Other tokens that are accepted while they are being replaced.
    #[serde(default)]
    pub also_accepted: Vec<SecretString>,
}

impl WebhookSecret {
    /// Returns whether `offered` is one of the tokens. It is always compared with every token to its end, so that the
    /// time reveals nothing about the tokens except their lengths.
    #[must_use]
    pub fn accepts(&self, offered: &[u8]) -> bool {
        let tokens = std::iter::once(&self.token).chain(&self.also_accepted);
        let mut accepted = subtle::Choice::from(0);
        for token in tokens {
            let token = token.expose_secret().as_bytes();
            // An empty token in the secret would let everyone in.
            if !token.is_empty() {
                accepted |= token.ct_eq(offered);
            }
        }
        accepted.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(json: &str) -> WebhookSecret {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn each_token_of_the_secret_is_accepted_and_nothing_else() {
        let secret = secret(r#"{"token":"new","also_accepted":["old"]}"#);
        assert!(secret.accepts(b"new"));
        assert!(secret.accepts(b"old"));
        for wrong in [&b""[..], b"ne", b"newer", b"NEW", b"newold"] {
            assert!(!secret.accepts(wrong));
        }
    }

    #[test]
    fn the_documentation_shows_the_secret_as_it_is_read() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/operations.md");
        let text = std::fs::read_to_string(page).unwrap();
        let (_, rest) = text.split_once("**webhook secret**").unwrap();
        let (_, rest) = rest.split_once("```json\n").unwrap();
        let secret = secret(rest.split_once("```").unwrap().0);
        assert!(secret.accepts(b"what new webhooks send"));
        assert!(secret.accepts(b"what old ones still send"));
    }

    #[test]
    fn an_empty_token_is_never_accepted() {
        assert!(!secret(r#"{"token":"","also_accepted":[""]}"#).accepts(b""));
    }
}
