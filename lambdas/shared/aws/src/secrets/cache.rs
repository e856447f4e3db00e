//! Secrets that are read again only after some minutes, or if what somebody offers is refused by them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::push::SourceName;
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use super::{SecretError, Secrets};

/// How long a secret is used before it is read again. What was removed from it works at most this long.
const CACHE_TTL: Duration = Duration::from_secs(300);
/// How old a cached secret must be for a refusal to make it be read again. So what is new in it works after at most
/// this time, and a flood of refusals does not become a flood of calls to Secrets Manager.
const CACHE_TTL_WHEN_REFUSED: Duration = Duration::from_secs(10);
/// How many sources that do not exist are remembered. Anyone can send names of them, which must not fill the memory.
const MAX_UNKNOWN: usize = 1_000;

/// What Secrets Manager responds about a secret that does not exist, and about one that was deleted and can be
/// restored.
const IS_GONE: [&str; 2] = ["ResourceNotFoundException", "InvalidRequestException"];

#[derive(Clone)]
struct Cached<T> {
    read_at: Instant,
    /// `None` if the source does not exist.
    secret: Option<T>,
}

/// The secrets of one kind of all sources, which are JSON, with a cache.
pub struct SecretCache<S, T> {
    secrets: S,
    kind: &'static str,
    cache: Mutex<HashMap<SourceName, Cached<T>>>,
}

impl<S: Secrets, T: DeserializeOwned + Clone> SecretCache<S, T> {
    /// Creates an empty cache over the secrets of this kind (`webhook` or `git`).
    pub fn new(secrets: S, kind: &'static str) -> Self {
        Self {
            secrets,
            kind,
            cache: Mutex::default(),
        }
    }

    /// Returns what `check` returns for the secret of `source`, or `None` if there is no such source. A refusal by an
    /// old secret is checked by the one that is there now.
    ///
    /// # Errors
    /// Returns a [`SecretError`] if the secret may exist but cannot be read.
    pub async fn check<R, E>(
        &self,
        source: &SourceName,
        check: impl Fn(&T) -> Result<R, E>,
    ) -> Result<Option<Result<R, E>>, SecretError> {
        let check = |cached: &Cached<T>| cached.secret.as_ref().map(&check);
        let cached = {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.get(source).cloned()
        };
        if let Some(cached) = cached {
            let age = cached.read_at.elapsed();
            let checked = check(&cached);
            if age < CACHE_TTL_WHEN_REFUSED || (matches!(checked, Some(Ok(_))) && age < CACHE_TTL) {
                return Ok(checked);
            }
        }
        let read = Cached {
            read_at: Instant::now(),
            secret: self.read(source).await?,
        };
        let checked = check(&read);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if read.secret.is_some() || cache.len() < MAX_UNKNOWN {
            cache.insert(source.clone(), read);
        }
        Ok(checked)
    }

    async fn read(&self, source: &SourceName) -> Result<Option<T>, SecretError> {
        match self.secrets.read(source, self.kind).await {
            Ok(text) => match serde_json::from_str(text.expose_secret()) {
                Ok(secret) => Ok(Some(secret)),
                // The message of the error may quote the secret.
                Err(error) => Err(SecretError::Invalid {
                    name: format!("{source}/{}", self.kind),
                    reason: format!("see line {}, column {}", error.line(), error.column()),
                }),
            },
            Err(SecretError::Refused { source: failure, .. })
                if IS_GONE.iter().any(|code| failure.is(code)) =>
            {
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
    use crate::AwsFailure;

    /// A secret that can be changed, and counts how often it is read.
    struct Changing(Mutex<(Option<&'static str>, u32)>);

    impl Changing {
        fn new(text: Option<&'static str>) -> Self {
            Self(Mutex::new((text, 0)))
        }

        fn reads(&self) -> u32 {
            self.0.lock().unwrap().1
        }
    }

    impl Secrets for &Changing {
        async fn read(&self, _: &SourceName, kind: &'static str) -> Result<SecretString, SecretError> {
            assert_eq!(kind, "webhook");
            let mut state = self.0.lock().unwrap();
            state.1 += 1;
            state
                .0
                .map(SecretString::from)
                .ok_or_else(|| SecretError::Refused {
                    name: "webhook".to_owned(),
                    source: AwsFailure::of_item("GetSecretValue", Some("ResourceNotFoundException"), None),
                })
        }
    }

    fn is(offered: &str) -> impl Fn(&String) -> Result<(), ()> {
        move |secret| (secret == offered).then_some(()).ok_or(())
    }

    #[tokio::test]
    async fn the_secret_is_read_once_for_many_requests_right_or_wrong() {
        let secret = Changing::new(Some("\"right\""));
        let secrets = SecretCache::new(&secret, "webhook");
        let source = "gitlab".parse().unwrap();
        for _ in 0..10 {
            assert_eq!(secrets.check(&source, is("right")).await.unwrap(), Some(Ok(())));
            assert_eq!(secrets.check(&source, is("wrong")).await.unwrap(), Some(Err(())));
        }
        assert_eq!(secret.reads(), 1);
    }

    #[tokio::test]
    async fn a_source_that_does_not_exist_has_no_secret_and_is_remembered() {
        let secret = Changing::new(None);
        let secrets = SecretCache::new(&secret, "webhook");
        for _ in 0..10 {
            let checked = secrets.check(&"gitlab".parse().unwrap(), is("any")).await;
            assert_eq!(checked.unwrap(), None);
        }
        assert_eq!(secret.reads(), 1);
    }

    /// A source whose secret Secrets Manager does not return, for this reason.
    struct Gone(&'static str);

    impl Secrets for Gone {
        async fn read(&self, _: &SourceName, _: &'static str) -> Result<SecretString, SecretError> {
            Err(SecretError::Refused {
                name: "webhook".to_owned(),
                source: AwsFailure::of_item("GetSecretValue", Some(self.0), None),
            })
        }
    }

    #[tokio::test]
    async fn a_source_that_was_removed_does_not_exist_though_its_secret_can_be_restored() {
        let check = async |code| {
            let secrets = SecretCache::new(Gone(code), "webhook");
            secrets.check(&"gitlab".parse().unwrap(), is("any")).await
        };
        for code in ["ResourceNotFoundException", "InvalidRequestException"] {
            assert_eq!(check(code).await.unwrap(), None);
        }
        assert!(check("AccessDeniedException").await.is_err());
    }

    #[tokio::test]
    async fn an_old_secret_is_read_again_and_one_that_refuses_sooner() {
        let secret = Changing::new(Some("\"old\""));
        let secrets = SecretCache::new(&secret, "webhook");
        let source: SourceName = "gitlab".parse().unwrap();
        assert_eq!(secrets.check(&source, is("old")).await.unwrap(), Some(Ok(())));
        secret.0.lock().unwrap().0 = Some("\"new\"");
        let pass = |time: Duration| {
            let mut cache = secrets.cache.lock().unwrap();
            let cached = cache.get_mut(&source).unwrap();
            cached.read_at = Instant::now().checked_sub(time).unwrap();
        };
        assert_eq!(secrets.check(&source, is("new")).await.unwrap(), Some(Err(())));
        pass(CACHE_TTL_WHEN_REFUSED);
        assert_eq!(secrets.check(&source, is("old")).await.unwrap(), Some(Ok(())));
        assert_eq!(secrets.check(&source, is("new")).await.unwrap(), Some(Ok(())));
        secret.0.lock().unwrap().0 = Some("\"newest\"");
        pass(CACHE_TTL);
        assert_eq!(secrets.check(&source, is("new")).await.unwrap(), Some(Err(())));
        assert_eq!(secret.reads(), 3);
    }

    #[tokio::test]
    async fn a_malformed_secret_is_an_error_and_not_a_refusal() {
        let secret = Changing::new(Some("hunter2"));
        let error = SecretCache::new(&secret, "webhook")
            .check(&"gitlab".parse().unwrap(), is("hunter2"))
            .await
            .unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
