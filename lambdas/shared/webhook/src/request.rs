//! A request as a git host sends it.

use http::{HeaderMap, HeaderName, HeaderValue};

/// A request that tests, benchmarks and the command line send for a git host.
#[derive(Debug, Clone)]
pub struct Request {
    /// The headers, with their names in lower case, as API Gateway passes them on.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Creates a request that sends JSON.
    pub(crate) fn json(body: Vec<u8>, headers: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let mut request = Self {
            headers: vec![("content-type", "application/json".to_owned())],
            body,
        };
        request.headers.extend(headers);
        request
    }

    /// Returns the headers as a server has them. One whose value no client could send is left out.
    #[must_use]
    pub fn header_map(&self) -> HeaderMap {
        let headers = self.headers.iter();
        headers
            .filter_map(|(name, value)| {
                Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
            })
            .collect()
    }

    /// Returns the request without a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(given, _)| *given != name);
        self
    }

    /// Returns the request with another value of a header.
    #[must_use]
    pub fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        let mut request = self.without(name);
        request.headers.push((name, value.into()));
        request
    }
}
