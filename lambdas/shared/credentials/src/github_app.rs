//! The installation tokens of GitHub Apps, which may read one repository for an hour
//! (<https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app>).

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::commit_status::ApiUrl;
use domain::remote_url::{Origin, RemoteUrl};
use egress::{Client, Response, location, named};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::X509;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use url::Url;

use crate::error::TokenError;
use crate::jwt;

const GITHUB: &str = "https://api.github.com";
const GITHUB_JSON: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const VERSION: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-github-api-version"),
    HeaderValue::from_static("2022-11-28"),
);
const REMAINING_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

/// How long the API may take for a token, all requests together.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The most bytes of a response. A token that is for one repository comes with a description of it, of about 8 KiB.
const MAX_BODY: usize = 256 << 10;
/// The most characters of the API's message that are shown.
const MAX_MESSAGE: usize = 200;
/// The longest token, in characters. GitHub's have 40, and may get longer.
const MAX_TOKEN: usize = 1024;
/// The least bits of a key. GitHub makes keys of 2048.
const MIN_BITS: u32 = 2048;

/// A GitHub App, as the git secret has it.
pub struct App {
    id: String,
    private_key: SecretString,
    key: PKey<Private>,
    installation_id: Option<String>,
    api: ApiUrl,
}

/// What a token is for. The digest of the key is part of it, so that nobody gets the token of an app without its key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    api: String,
    app_id: String,
    key: [u8; 32],
    installation_id: Option<String>,
    owner: String,
    repository: String,
}

/// An installation token.
#[derive(Clone)]
pub struct Token {
    /// The token.
    pub text: SecretString,
    /// When GitHub refuses it.
    pub expires_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct InstallationToken {
    token: SecretString,
    expires_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl App {
    /// Creates the app that logs in at `host`, or says what is wrong with it.
    pub fn new(
        host: &Url,
        id: &str,
        private_key: &SecretString,
        installation_id: Option<String>,
        api: Option<ApiUrl>,
    ) -> Result<Self, &'static str> {
        // Without the callback, OpenSSL would ask on the terminal for a passphrase.
        let pem = private_key.expose_secret().as_bytes();
        let key = Rsa::private_key_from_pem_callback(pem, |_| Ok(0));
        let key = key.and_then(PKey::from_rsa);
        let key =
            key.map_err(|_| "the private_key of an app_id is no RSA key in PEM form without a passphrase")?;
        if key.bits() < MIN_BITS {
            return Err("the private_key of an app_id has less than 2048 bits");
        }
        Ok(Self {
            id: id.to_owned(),
            private_key: private_key.clone(),
            key,
            installation_id,
            api: match api {
                Some(api) => api,
                None => api_of(host).ok_or("the host of an app_id has no API, so it needs an api_url")?,
            },
        })
    }

    /// Returns its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns its key in PEM form.
    pub fn private_key(&self) -> &SecretString {
        &self.private_key
    }

    /// Returns what a token for the repository at `url` is for.
    pub fn grant(&self, url: &RemoteUrl) -> Result<Grant, TokenError> {
        let path = url.repository();
        let path = path.as_ref().and_then(|path| path.as_str().split_once('/'));
        let (owner, repository) = path
            .filter(|(_, name)| !name.contains('/'))
            .ok_or(TokenError::Path)?;
        Ok(Grant {
            api: self.api.as_str().to_owned(),
            app_id: self.id.clone(),
            key: openssl::sha::sha256(self.private_key.expose_secret().as_bytes()),
            installation_id: self.installation_id.clone(),
            owner: owner.to_owned(),
            repository: repository.to_owned(),
        })
    }
}

/// Returns the API of the GitHub at `host`: that of github.com, of GitHub Enterprise Cloud with data residency, or of a
/// GitHub Enterprise Server.
fn api_of(host: &Url) -> Option<ApiUrl> {
    let origin = Origin::of(host).filter(|origin| matches!(origin.scheme(), "https" | "http"))?;
    let url = match origin.host() {
        "github.com" => GITHUB.to_owned(),
        name if name.ends_with(".ghe.com") => format!("https://api.{name}"),
        _ => format!("{origin}/api/v3"),
    };
    ApiUrl::try_from(url).ok()
}

/// Gets a token from the API. `authorities` are trusted besides the system's.
pub async fn issue(app: &App, grant: &Grant, authorities: &[X509]) -> Result<Token, TokenError> {
    let api = Api::new(app, authorities)?;
    let id = match &grant.installation_id {
        Some(id) => id.clone(),
        None => {
            let url = api.url(&["repos", &grant.owner, &grant.repository, "installation"])?;
            let installation: Installation = api.ask(Method::GET, &url, Vec::new()).await?;
            installation.id.to_string()
        }
    };
    let url = api.url(&["app", "installations", &id, "access_tokens"])?;
    let wanted = json!({"repositories": [grant.repository], "permissions": {"contents": "read"}});
    let issued: InstallationToken = api
        .ask(Method::POST, &url, wanted.to_string().into_bytes())
        .await?;
    let invalid = |reason: &str| {
        Err(TokenError::Invalid {
            url: named(&url),
            reason: reason.to_owned(),
        })
    };
    let text = issued.token.expose_secret();
    if text.is_empty() || text.len() > MAX_TOKEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return invalid("its token is not one that can be sent");
    }
    if issued.expires_at <= Utc::now() {
        return invalid("its token has expired");
    }
    Ok(Token {
        text: issued.token,
        expires_at: issued.expires_at,
    })
}

/// The API of a GitHub, for the requests of one app.
struct Api<'a> {
    app: &'a App,
    client: Client,
    proof: SecretString,
}

impl<'a> Api<'a> {
    fn new(app: &'a App, authorities: &[X509]) -> Result<Self, TokenError> {
        let deadline = Instant::now() + TIME_LIMIT;
        let server = url_of(&app.api, &[])?;
        // The git secret names it, so it may be inside the network.
        let client = Client::new(&server, Vec::new(), authorities, TIME_LIMIT, deadline);
        Ok(Self {
            app,
            client: client.map_err(|error| failed(&server, error))?,
            proof: jwt::sign(&app.id, &app.key, Utc::now().timestamp())?,
        })
    }

    fn url(&self, parts: &[&str]) -> Result<Url, TokenError> {
        url_of(&self.app.api, parts)
    }

    /// Sends a request, and reads the JSON of its response.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &Url,
        body: Vec<u8>,
    ) -> Result<T, TokenError> {
        let response = self.client.send(method, url, self.headers(url)?, body).await;
        let mut response = response.map_err(|error| failed(url, error))?;
        let status = response.status();
        if status.is_redirection() {
            let to = location(url, response.headers());
            return Err(TokenError::Redirected {
                url: named(url),
                to: to.map_or_else(|| "nowhere".to_owned(), |to| self.redact(&named(&to))),
            });
        }
        if is_busy(status, response.headers()) {
            return Err(TokenError::Busy {
                url: named(url),
                status,
            });
        }
        let body = self.body(url, &mut response).await?;
        if !status.is_success() {
            let said =
                serde_json::from_slice(&body).map_or_else(|_| String::new(), |said: Refusal| said.message);
            return Err(TokenError::Refused {
                url: named(url),
                status,
                said: domain::plain(&self.redact(&said), MAX_MESSAGE),
            });
        }
        serde_json::from_slice(&body).map_err(|error| TokenError::Invalid {
            url: named(url),
            // serde's own message may quote a token.
            reason: format!(
                "it is not the documented JSON, see line {}, column {}",
                error.line(),
                error.column()
            ),
        })
    }

    fn headers(&self, url: &Url) -> Result<HeaderMap, TokenError> {
        let proof = HeaderValue::try_from(format!("Bearer {}", self.proof.expose_secret()));
        // Base64 is always valid in a header.
        let mut proof = proof.map_err(|error| TokenError::Unreachable {
            url: named(url),
            source: error.into(),
        })?;
        proof.set_sensitive(true);
        Ok(HeaderMap::from_iter([
            (ACCEPT, GITHUB_JSON),
            (CONTENT_TYPE, JSON),
            VERSION,
            (AUTHORIZATION, proof),
        ]))
    }

    async fn body(&self, url: &Url, response: &mut Response) -> Result<Vec<u8>, TokenError> {
        let mut body = Vec::new();
        loop {
            let next = self.client.next(url, response.body_mut()).await;
            match next.map_err(|error| failed(url, error))? {
                None => return Ok(body),
                Some(bytes) if body.len() + bytes.len() <= MAX_BODY => body.extend_from_slice(&bytes),
                Some(_) => {
                    return Err(TokenError::Invalid {
                        url: named(url),
                        reason: format!("it has more than {MAX_BODY} bytes"),
                    });
                }
            }
        }
    }

    /// Replaces the proof, which the API may send back.
    fn redact(&self, text: &str) -> String {
        text.replace(self.proof.expose_secret(), "***")
    }
}

fn url_of(api: &ApiUrl, parts: &[&str]) -> Result<Url, TokenError> {
    api.at(parts).map_err(|error| TokenError::Invalid {
        url: api.as_str().to_owned(),
        reason: error.to_string(),
    })
}

/// Returns whether the same request may succeed later. GitHub also refuses by 403 what comes too often.
fn is_busy(status: StatusCode, headers: &HeaderMap) -> bool {
    let comes_too_often = headers.get(REMAINING_REQUESTS).is_some_and(|left| left == "0");
    let is_limited =
        status == StatusCode::FORBIDDEN && (headers.contains_key(RETRY_AFTER) || comes_too_often);
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || is_limited
}

fn failed(url: &Url, error: egress::Error) -> TokenError {
    use egress::Error as Egress;
    match error {
        Egress::AddressNotAllowed { url, address, reach } => {
            TokenError::AddressNotAllowed { url, address, reach }
        }
        Egress::Certificate { url, reason } => TokenError::Certificate { url, reason },
        Egress::Unreachable { url, source } => TokenError::Unreachable { url, source },
        Egress::Silent { url, seconds } => TokenError::Silent { url, seconds },
        Egress::Invalid { url, reason } => TokenError::Invalid {
            url,
            reason: reason.to_owned(),
        },
        Egress::Late | Egress::Stopped => TokenError::Silent {
            url: named(url),
            seconds: TIME_LIMIT.as_secs(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_own_api() {
        for (host, expected) in [
            ("https://github.com", Some("https://api.github.com")),
            ("https://GitHub.com/", Some("https://api.github.com")),
            ("https://octocorp.ghe.com", Some("https://api.octocorp.ghe.com")),
            (
                "https://github.example.com",
                Some("https://github.example.com/api/v3"),
            ),
            (
                "https://github.example.com:8443",
                Some("https://github.example.com:8443/api/v3"),
            ),
            ("http://127.0.0.1:80", Some("http://127.0.0.1/api/v3")),
            (
                "https://github.com.evil.example",
                Some("https://github.com.evil.example/api/v3"),
            ),
            ("https://ghe.com", Some("https://ghe.com/api/v3")),
            ("ssh://github.com", None),
            ("file:///etc", None),
        ] {
            let api = api_of(&Url::parse(host).unwrap());
            assert_eq!(api.as_ref().map(ApiUrl::as_str), expected, "{host}");
        }
    }
}
