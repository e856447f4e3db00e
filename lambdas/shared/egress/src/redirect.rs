//! Redirects. A client follows none by itself, because only the caller knows which headers may be sent to another URL.

use http::HeaderMap;
use url::Url;

/// Returns the target of a redirect, or `None` if there is none or it is not a URL.
#[must_use]
pub fn location(url: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = headers.get(http::header::LOCATION)?.to_str().ok()?;
    url.join(location).ok()
}

/// Checks that an HTTPS server refers only to HTTPS URLs.
///
/// # Errors
/// Returns why `server` must not refer to `to`.
pub fn check_scheme(server: &Url, to: &Url) -> Result<(), &'static str> {
    match (server.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") if to.has_host() => Ok(()),
        (_, "http") => Err("an HTTPS server may refer only to HTTPS URLs"),
        _ => Err("only https and http are supported"),
    }
}
