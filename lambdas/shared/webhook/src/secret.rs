//! The secret of a source's webhook.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;

/// The webhook secret's JSON.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSecret {
    /// The token that new webhooks are given.
    pub token: SecretString,
    /// Tokens that are accepted too, while they are being replaced.
    #[serde(default)]
    pub also_accepted: Vec<SecretString>,
}

impl WebhookSecret {
    /// Whether `offered` is one of the tokens. Compares with every token, and each time all of it, so that the time it takes
    /// tells nothing about them but their lengths.
    #[must_use]
    pub fn accepts(&self, offered: &[u8]) -> bool {
        let tokens = std::iter::once(&self.token).chain(&self.also_accepted);
        let mut accepted = subtle::Choice::from(0);
        for token in tokens {
            let token = token.expose_secret().as_bytes();
            // An empty token in the secret would let everybody in.
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
    fn an_empty_token_lets_nobody_in() {
        assert!(!secret(r#"{"token":"","also_accepted":[""]}"#).accepts(b""));
    }
}
