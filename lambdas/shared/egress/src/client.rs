//! The HTTP client. It has no proxies, cookies, redirects or decompression.

use std::error::Error as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::remote_url::Origin;
use domain::source::CONNECT_SECONDS;
use http::header::{ACCEPT_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use openssl::x509::X509;
use url::Url;

use crate::connector::{ConnectError, Connector};
use crate::error::{Error, named};
use crate::timeouts::{TimeoutError, Timeouts};

/// The body of a response.
pub type Body = hyper::body::Incoming;
/// The response to a request.
pub type Response = http::Response<Body>;

/// A client of one server, and of the URLs that it refers to.
pub struct Client {
    server: Url,
    http: legacy::Client<Connector, Full<Bytes>>,
    timeouts: Timeouts,
}

impl Client {
    /// Creates a client of `server`. `server` and the `named` hosts may be inside the network. `authorities` are
    /// trusted besides the system's. A server may be silent for the time `silence`.
    ///
    /// # Errors
    /// Returns [`Error::Unreachable`] if TLS cannot be set up.
    pub fn new(
        server: &Url,
        named: Vec<Origin>,
        authorities: &[X509],
        silence: Duration,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let connector =
            Connector::new(server, named, authorities).map_err(|error| unreachable(server, error))?;
        Ok(Self {
            server: server.clone(),
            http: legacy::Client::builder(TokioExecutor::new()).build(connector),
            timeouts: Timeouts::new(silence, deadline),
        })
    }

    /// Returns the server's URL.
    #[must_use]
    pub fn server(&self) -> &Url {
        &self.server
    }

    /// Returns whether `url` is on the server itself.
    #[must_use]
    pub fn is_server(&self, url: &Url) -> bool {
        Origin::of(url) == Origin::of(&self.server)
    }

    /// Sends a request, and waits for the header of the response.
    ///
    /// # Errors
    /// Returns an [`Error`] if there is no response.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response, Error> {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = url[..url::Position::AfterQuery]
            .parse()
            .map_err(|_| invalid(url, "its URL cannot be requested"))?;
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
        self.timeouts
            .for_server(self.http.request(request))
            .await
            .map_err(|error| self.timed_out(url, error))?
            .map_err(|error| failed(url, error))
    }

    /// Returns the next bytes of a response's body, or `None` at its end.
    ///
    /// # Errors
    /// Returns an [`Error`] if the body breaks off.
    pub async fn next(&self, url: &Url, body: &mut Body) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = self.timeouts.for_server(body.frame()).await;
            match frame.map_err(|error| self.timed_out(url, error))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(unreachable(url, error)),
                // A frame without data has trailers, which are ignored.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(_) => continue,
                },
            }
        }
    }

    /// Waits until the deadline for something other than the server, such as the receiver of the bytes.
    ///
    /// # Errors
    /// Returns [`Error::Late`] at the deadline, and [`Error::Stopped`] if the client is stopped.
    pub async fn until_deadline<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        let waited = self.timeouts.until_deadline(future).await;
        waited.map_err(|error| self.timed_out(&self.server, error))
    }

    /// Ends all current and future requests with [`Error::Stopped`].
    pub fn stop(&self) {
        self.timeouts.stop();
    }

    fn timed_out(&self, url: &Url, error: TimeoutError) -> Error {
        match error {
            TimeoutError::Silent => silent(url, self.timeouts.silence().as_secs()),
            TimeoutError::Late => Error::Late,
            TimeoutError::Stopped => Error::Stopped,
        }
    }
}

fn failed(url: &Url, error: legacy::Error) -> Error {
    let source = error.source();
    if source
        .and_then(|source| source.downcast_ref())
        .is_some_and(hyper::Error::is_parse)
    {
        return invalid(url, "it does not speak HTTP");
    }
    match source.and_then(|source| source.downcast_ref()) {
        Some(ConnectError::Address { address, reach }) => Error::AddressNotAllowed {
            url: named(url),
            address: *address,
            reach: *reach,
        },
        Some(ConnectError::Certificate(reason)) => Error::Certificate {
            url: named(url),
            reason: reason.clone(),
        },
        Some(ConnectError::TimedOut) => silent(url, CONNECT_SECONDS),
        Some(ConnectError::Tls(_) | ConnectError::Io(_)) | None => unreachable(url, error),
    }
}

fn silent(url: &Url, seconds: u64) -> Error {
    let url = named(url);
    Error::Silent { url, seconds }
}

fn invalid(url: &Url, reason: &'static str) -> Error {
    let url = named(url);
    Error::Invalid { url, reason }
}

fn unreachable(url: &Url, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unreachable {
        url: named(url),
        source: source.into(),
    }
}
