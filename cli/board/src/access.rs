//! Who may use the board: whoever has the URL that the command prints, and no page of another origin.
//!
//! Other programs of this machine reach the port too, and so do pages of other origins that the browser shows. So the
//! URL has a token, whose place a cookie takes, and each request has to name the board's own address, lest a foreign
//! name that leads to the loopback is served (DNS rebinding). What changes something also has to come from a page of
//! the board.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;
use uuid::Uuid;

use crate::page;

/// The headers of each response. The browser loads and runs nothing but what this server has in files of its own.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // With `no-referrer` the browser would name no origin with a form either.
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// The token of a board, and the addresses that it is reached at.
#[derive(Debug)]
pub struct Access {
    token: String,
    hosts: [String; 2],
    cookie: String,
}

impl Access {
    /// Creates a token for the board at this port.
    pub fn new(port: u16) -> Self {
        // Each has 122 random bits.
        let random = [Uuid::new_v4(), Uuid::new_v4()];
        Self {
            token: random.map(|half| half.simple().to_string()).concat(),
            hosts: ["127.0.0.1", "localhost"].map(|host| format!("{host}:{port}")),
            // Cookies belong to a host, whatever the port. Another board has one of another name.
            cookie: format!("push-code-board-{port}"),
        }
    }

    /// Returns the URL that opens the board.
    pub fn url(&self) -> String {
        format!("http://{}/?token={}", self.hosts[0], self.token)
    }

    /// Returns the response to a request that is not served, or `None` if it is.
    fn refuse(&self, request: &Request) -> Option<Response> {
        let Some(host) = self.host(request.headers()) else {
            let text = format!("This board answers at http://{} alone.", self.hosts[0]);
            return Some(page::refused(StatusCode::FORBIDDEN, &text));
        };
        let is_read = [Method::GET, Method::HEAD].contains(request.method());
        if !is_read && !is_only(request.headers(), &header::ORIGIN, &format!("http://{host}")) {
            let text = "Only a page of this board may ask for that.";
            return Some(page::refused(StatusCode::FORBIDDEN, text));
        }
        if is_read && let Some(token) = token_of(request) {
            return Some(self.enter(&token));
        }
        if self.has_cookie(request.headers()) {
            return None;
        }
        let text = "Open the URL that push-code board has printed. If the board was started again, it has printed a new one.";
        Some(page::refused(StatusCode::UNAUTHORIZED, text))
    }

    /// Responds to a token: with the cookie, and a URL that does not show the token.
    fn enter(&self, token: &str) -> Response {
        if !self.is_token(token) {
            let text = "This is the URL of another board, or of one that has ended. Open the URL that push-code board has printed last.";
            return page::refused(StatusCode::FORBIDDEN, text);
        }
        let cookie = format!(
            "{}={}; Path=/; HttpOnly; SameSite=Strict",
            self.cookie, self.token
        );
        ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
    }

    fn is_token(&self, token: &str) -> bool {
        token.as_bytes().ct_eq(self.token.as_bytes()).into()
    }

    /// Returns the address that the request is for, if it is one of this board's.
    fn host(&self, headers: &HeaderMap) -> Option<&str> {
        let is_asked = |host: &&String| is_only(headers, &header::HOST, host);
        self.hosts.iter().find(is_asked).map(String::as_str)
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(name, token)| name == self.cookie && self.is_token(token))
    }
}

/// Serves a request, if it may be.
pub async fn check(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let mut response = match access.refuse(&request) {
        Some(refused) => refused,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Returns whether a request has this header once, with this value.
fn is_only(headers: &HeaderMap, name: &HeaderName, value: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    values.next().is_some_and(|first| first == value) && values.next().is_none()
}

fn token_of(request: &Request) -> Option<String> {
    if request.uri().path() != "/" {
        return None;
    }
    let query = request.uri().query()?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(name, _)| name == "token")
        .map(|(_, token)| token.into_owned())
}
