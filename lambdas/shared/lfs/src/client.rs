//! The client of an LFS server: the guarded HTTP client, with the login of the git secret.

use bytes::Bytes;
use credentials::{Access, AccessError};
use domain::remote_url::RemoteUrl;
use domain::source::GitHost;
use egress::{Body, Response, named};
use http::{HeaderMap, HeaderValue, Method};
use secrecy::ExposeSecret;
use url::Url;

use crate::LfsRequest;
use crate::endpoint;
use crate::error::Error;

/// The client of one fetch.
pub struct Client<'a> {
    request: &'a LfsRequest<'a>,
    /// The repository of the LFS server, which alone is sent the login.
    repository: RemoteUrl,
    http: egress::Client,
}

impl<'a> Client<'a> {
    /// Creates a client of the LFS server at `server`.
    pub fn new(request: &'a LfsRequest<'a>, server: &RemoteUrl) -> Result<Self, Error> {
        let repository = endpoint::repository(server);
        let server = server.as_url();
        let hosts = request.git_hosts.iter().map(GitHost::origin).cloned();
        let http = egress::Client::new(
            server,
            hosts.collect(),
            request.credentials.authorities(),
            request.silence(),
            request.deadline,
        );
        Ok(Self {
            request,
            repository,
            http: http.map_err(|error| failed(request, server, error))?,
        })
    }

    /// Returns the LFS server's URL.
    pub fn server(&self) -> &Url {
        self.http.server()
    }

    /// Returns whether `url` is on the LFS server itself.
    pub fn is_server(&self, url: &Url) -> bool {
        self.http.is_server(url)
    }

    /// Why a server that asks for a login gets none.
    pub fn missing_credentials(&self) -> AccessError {
        AccessError::missing(&self.repository)
    }

    /// The `Authorization` that the git secret has for the server. `None` if it has none.
    pub async fn login(&self) -> Result<Option<HeaderValue>, Error> {
        let access = self.request.credentials.access(&self.repository).await?;
        let Access::Password { username, password } = access else {
            return Ok(None);
        };
        let pair = format!("{username}:{}", password.expose_secret());
        let basic = format!("Basic {}", openssl::base64::encode_block(pair.as_bytes()));
        // Base64 is always valid in a header.
        let mut value = HeaderValue::try_from(basic).map_err(|error| Error::Unreachable {
            url: named(self.server()),
            source: error.into(),
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Sends a request, and waits for the header of the response.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response, Error> {
        let sent = self.http.send(method, url, headers, body).await;
        sent.map_err(|error| self.failed(error))
    }

    /// Returns the next bytes of a response's body, or `None` at its end.
    pub async fn next(&self, url: &Url, body: &mut Body) -> Result<Option<Bytes>, Error> {
        let next = self.http.next(url, body).await;
        next.map_err(|error| self.failed(error))
    }

    /// Waits for the staging area, until the deadline.
    pub async fn for_staging<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        let waited = self.http.until_deadline(future).await;
        waited.map_err(|error| self.failed(error))
    }

    /// Ends all current requests.
    pub fn stop(&self) {
        self.http.stop();
    }

    fn failed(&self, error: egress::Error) -> Error {
        failed(self.request, self.server(), error)
    }
}

/// Converts the error of a request to one of a fetch from `server`.
fn failed(request: &LfsRequest<'_>, server: &Url, error: egress::Error) -> Error {
    use egress::Error as Egress;
    match error {
        Egress::AddressNotAllowed { url, address, reach } => Error::AddressNotAllowed {
            url,
            address,
            reason: reach.describe(),
        },
        Egress::Certificate { url, reason } => Error::Certificate { url, reason },
        Egress::Unreachable { url, source } => Error::Unreachable { url, source },
        Egress::Silent { url, seconds } => Error::Silent { url, seconds },
        Egress::Invalid { url, reason } => Error::Invalid {
            url,
            reason: reason.to_owned(),
        },
        Egress::Late => Error::Limit {
            url: named(server),
            limit: "fetch_seconds",
            reason: format!("the fetch takes more than {} s", request.limits.fetch_seconds),
        },
        Egress::Stopped => Error::Stopped,
    }
}

/// Returns the error of a response from `url` that cannot be used.
pub fn invalid(url: &Url, reason: impl Into<String>) -> Error {
    Error::Invalid {
        url: named(url),
        reason: reason.into(),
    }
}
