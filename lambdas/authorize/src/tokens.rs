//! The tokens of the sources' webhook secrets, cached for some minutes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws::secrets::{SecretError, Secrets};
use domain::push::SourceName;
use secrecy::ExposeSecret;
use webhook::WebhookSecret;

/// How long a secret is used before it is read again. A token that was removed from the secret works at most this long.
const CACHE_TTL: Duration = Duration::from_secs(300);
/// How old a cached secret must be for a wrong token to make it be read again. So a new token works after at most this
/// time, and a flood of wrong tokens does not become a flood of calls to Secrets Manager.
const CACHE_TTL_WHEN_REFUSED: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Cached {
    read_at: Instant,
    /// `None` if the source does not exist.
    secret: Option<WebhookSecret>,
}

/// The tokens of all sources, with a cache.
pub struct Tokens<S> {
    secrets: S,
    cache: Mutex<HashMap<SourceName, Cached>>,
}

impl<S: Secrets> Tokens<S> {
    /// Creates an empty cache over `secrets`.
    pub fn new(secrets: S) -> Self {
        Self {
            secrets,
            cache: Mutex::default(),
        }
    }

    /// Returns whether `offered` is one of the source's tokens.
    ///
    /// # Errors
    /// Returns a [`SecretError`] if the secret may exist but cannot be read.
    pub async fn accept(&self, source: &SourceName, offered: &[u8]) -> Result<bool, SecretError> {
        let accepts = |cached: &Cached| {
            cached
                .secret
                .as_ref()
                .is_some_and(|secret| secret.accepts(offered))
        };
        let cached = {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.get(source).cloned()
        };
        if let Some(cached) = cached {
            let age = cached.read_at.elapsed();
            let accepted = accepts(&cached);
            if age < CACHE_TTL_WHEN_REFUSED || (accepted && age < CACHE_TTL) {
                return Ok(accepted);
            }
        }
        let read = Cached {
            read_at: Instant::now(),
            secret: self.read(source).await?,
        };
        let accepted = accepts(&read);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        // Anyone can send names that do not exist, which must not fill the memory.
        if read.secret.is_some() || cache.len() < 1_000 {
            cache.insert(source.clone(), read);
        }
        Ok(accepted)
    }

    async fn read(&self, source: &SourceName) -> Result<Option<WebhookSecret>, SecretError> {
        match self.secrets.read(source, "webhook").await {
            Ok(text) => match serde_json::from_str(text.expose_secret()) {
                Ok(secret) => Ok(Some(secret)),
                Err(error) => Err(SecretError::Invalid {
                    name: format!("{source}/webhook"),
                    reason: format!("see line {}, column {}", error.line(), error.column()),
                }),
            },
            Err(SecretError::Refused { source: failure, .. }) if failure.is("ResourceNotFoundException") => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    /// A secret that can be changed, and counts how often it is read.
    struct Changing(Mutex<(String, u32)>);

    impl Secrets for &Changing {
        async fn read(&self, _: &SourceName, _: &'static str) -> Result<SecretString, SecretError> {
            let mut state = self.0.lock().unwrap();
            state.1 += 1;
            Ok(state.0.clone().into())
        }
    }

    #[tokio::test]
    async fn the_secret_is_read_once_for_many_requests_right_or_wrong() {
        let secret = Changing(Mutex::new((r#"{"token":"right"}"#.into(), 0)));
        let tokens = Tokens::new(&secret);
        let source = "gitlab".parse().unwrap();
        for _ in 0..10 {
            assert!(tokens.accept(&source, b"right").await.unwrap());
            assert!(!tokens.accept(&source, b"wrong").await.unwrap());
        }
        assert_eq!(secret.0.lock().unwrap().1, 1);
    }

    #[tokio::test]
    async fn a_malformed_secret_is_an_error_and_not_a_refusal() {
        let secret = Changing(Mutex::new(("hunter2".into(), 0)));
        let error = Tokens::new(&secret)
            .accept(&"gitlab".parse().unwrap(), b"hunter2")
            .await
            .unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
