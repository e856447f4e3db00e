//! HTTP for LFS: no proxies, no cookies, no redirects and no decompression, for the client has none of them.

use std::error::Error as _;

use bytes::Bytes;
use credentials::Access;
use domain::source::{GitHost, origin};
use http::header::{ACCEPT_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use secrecy::ExposeSecret;
use url::Url;

use super::LfsOrder;
use super::connector::{ConnectError, Connector};
use super::error::{LfsError, named};
use super::patience::{Over, Patience};
use crate::error::Error;
use crate::transfer::CONNECT_SECONDS;

/// The client of one fetch.
pub struct Client<'a> {
    order: &'a LfsOrder<'a>,
    /// The LFS server's URL.
    pub server: Url,
    http: legacy::Client<Connector, Full<Bytes>>,
    pub patience: Patience,
}

impl<'a> Client<'a> {
    pub fn new(order: &'a LfsOrder<'a>, server: Url) -> Result<Self, Error> {
        let hosts = order.git_hosts.iter().filter_map(GitHost::origin);
        let connector = Connector::new(&server, hosts.collect(), order.secret.authorities())
            .map_err(|error| unreachable(&server, error))?;
        Ok(Self {
            order,
            server,
            http: legacy::Client::builder(TokioExecutor::new()).build(connector),
            patience: Patience::new(order.silence(), order.deadline),
        })
    }

    /// The `Authorization` that the git secret has for the server; none where the server does not ask.
    pub fn login(&self) -> Result<Option<HeaderValue>, Error> {
        let Access::Password { username, password } = self.order.secret.credentials().access(&self.server)?
        else {
            return Ok(None);
        };
        let pair = format!("{username}:{}", password.expose_secret());
        let basic = format!("Basic {}", openssl::base64::encode_block(pair.as_bytes()));
        // Base64 is what a header may have.
        let mut value = HeaderValue::try_from(basic).map_err(|error| unreachable(&self.server, error))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Whether `url` is on the LFS server itself.
    pub fn is_server(&self, url: &Url) -> bool {
        origin(url) == origin(&self.server)
    }

    /// Sends a request, and waits for the head of the answer.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, Error> {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = url[..url::Position::AfterQuery]
            .parse()
            .map_err(|_| invalid(url, "its URL cannot be asked for"))?;
        *request.headers_mut() = headers;
        let own = [
            (USER_AGENT, concat!("push-code/", env!("CARGO_PKG_VERSION"))),
            (ACCEPT_ENCODING, "identity"),
        ];
        for (name, value) in own {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        self.patience
            .for_server(self.http.request(request))
            .await
            .map_err(|over| self.over(url, over))?
            .map_err(|error| self.failed(url, error))
    }

    /// The next bytes of an answer's body; none at its end.
    pub async fn next(&self, url: &Url, body: &mut Incoming) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = self.patience.for_server(body.frame()).await;
            match frame.map_err(|over| self.over(url, over))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(unreachable(url, error)),
                // What is no data is trailers.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(_) => continue,
                },
            }
        }
    }

    /// What it means that waiting was given up.
    pub fn over(&self, url: &Url, over: Over) -> Error {
        match over {
            Over::Silent => self.silent(url, self.order.limits.silence_seconds),
            Over::Late => Error::Limit {
                url: named(&self.server),
                limit: "fetch_seconds",
                met: format!("the fetch takes more than {} s", self.order.limits.fetch_seconds),
            },
            Over::Stopped => LfsError::Stopped.into(),
        }
    }

    fn silent(&self, url: &Url, seconds: u64) -> Error {
        let url = named(url);
        LfsError::Silent { url, seconds }.into()
    }

    fn failed(&self, url: &Url, error: legacy::Error) -> Error {
        let source = error.source();
        if source
            .and_then(|source| source.downcast_ref())
            .is_some_and(hyper::Error::is_parse)
        {
            return invalid(url, "it does not speak HTTP");
        }
        match source.and_then(|source| source.downcast_ref()) {
            Some(ConnectError::Address { address, reach }) => LfsError::AddressNotAllowed {
                url: named(url),
                address: *address,
                reason: reach.describe(),
            }
            .into(),
            Some(ConnectError::Certificate(reason)) => Error::Certificate {
                url: named(url),
                reason: reason.clone(),
            },
            Some(ConnectError::TimedOut) => self.silent(url, CONNECT_SECONDS),
            Some(ConnectError::Tls(_) | ConnectError::Io(_)) | None => unreachable(url, error),
        }
    }
}

/// Nothing that `url` sent is of use.
pub fn invalid(url: &Url, reason: impl Into<String>) -> Error {
    LfsError::Invalid {
        url: named(url),
        reason: reason.into(),
    }
    .into()
}

fn unreachable(url: &Url, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    LfsError::Unreachable {
        url: named(url),
        source: source.into(),
    }
    .into()
}
