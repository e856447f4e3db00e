//! The API of a git host, by the guarded HTTP client.

use std::time::{Duration, Instant};

use credentials::GitSecretJson;
use domain::commit_status::{CommitStatusTarget, StatusApi};
use domain::push::Push;
use domain::remote_url::Origin;
use egress::{Client, location, named};
use http::{HeaderMap, Method};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::api::{self, Meaning, StatusUpdate};
use crate::error::Error;

/// How long a host may be silent.
const SILENCE: Duration = Duration::from_secs(4);
/// The most bytes that are read of a refusal.
const MAX_BODY: usize = 16 << 10;
/// The most characters of a host's message that are shown.
const MAX_MESSAGE: usize = 200;

/// The API of a git host, with the token for it.
pub struct Host<'a> {
    target: &'a CommitStatusTarget,
    token: &'a SecretString,
    headers: HeaderMap,
    client: Client,
}

impl<'a> Host<'a> {
    /// Creates a client that the git secret has a token for.
    pub fn new(
        push: &Push,
        target: &'a CommitStatusTarget,
        secret: &'a GitSecretJson,
        authorities: &[openssl::x509::X509],
        deadline: Instant,
    ) -> Result<Self, Error> {
        let server = target.url.at(&[])?;
        let missing = || Error::TokenMissing { host: named(&server) };
        let origin = Origin::of(&server).ok_or_else(missing)?;
        let token = secret.api_token(&push.source, &origin, &push.repository)?;
        let token = token.ok_or_else(missing)?;
        Ok(Self {
            target,
            token,
            headers: api::headers(target.api, token)
                .map_err(|_| Error::TokenInvalid { host: named(&server) })?,
            // The settings name it, so it may be inside the network.
            client: Client::new(&server, Vec::new(), authorities, SILENCE, deadline)?,
        })
    }

    /// Sets a status.
    pub async fn set(&self, update: &StatusUpdate<'_>) -> Result<(), Error> {
        let api: StatusApi = self.target.api;
        let url = update.url(api, &self.target.url)?;
        let body = update.body(api)?;
        let mut response = self
            .client
            .send(Method::POST, &url, self.headers.clone(), body)
            .await?;
        let code = response.status();
        let said = match code.is_success() {
            true => String::new(),
            false => self.message(&url, response.body_mut()).await,
        };
        match api::meaning(api, update.status, code, response.headers(), &said) {
            Meaning::Set => Ok(()),
            Meaning::Busy => Err(Error::Busy {
                url: named(&url),
                code,
            }),
            Meaning::Redirected => {
                let to = location(&url, response.headers());
                let to = to.map_or_else(|| "nowhere".to_owned(), |to| named(&to));
                Err(Error::Redirected { url: named(&url), to })
            }
            Meaning::Refused => Err(Error::Refused {
                url: named(&url),
                code,
                said,
            }),
        }
    }

    /// Returns what a refusal says. It may be cut off, and the host may send back what it was sent.
    async fn message(&self, url: &Url, body: &mut egress::Body) -> String {
        let mut bytes = Vec::new();
        while let Ok(Some(more)) = self.client.next(url, body).await {
            bytes.extend_from_slice(&more);
            if bytes.len() > MAX_BODY {
                return String::new();
            }
        }
        let said = api::message(&bytes).replace(self.token.expose_secret(), "***");
        domain::plain(&said, MAX_MESSAGE)
    }
}
