//! Where an answer leads. A client follows nothing by itself: only who knows what was sent can say what of it may be sent
//! on.

use http::HeaderMap;
use url::Url;

/// Where a redirect leads. `None` if it does not say, or says what is no URL.
#[must_use]
pub fn location(url: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = headers.get(http::header::LOCATION)?.to_str().ok()?;
    url.join(location).ok()
}

/// What an HTTPS server gives has to come by HTTPS.
///
/// # Errors
/// Why `server` must not lead to `to`.
pub fn check_scheme(server: &Url, to: &Url) -> Result<(), &'static str> {
    match (server.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") if to.has_host() => Ok(()),
        (_, "http") => Err("what an HTTPS server gives has to come by HTTPS"),
        _ => Err("only https and http are supported"),
    }
}
