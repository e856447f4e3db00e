//! A GitHub on the loopback: git's own host, and of the API what a GitHub App needs. Only a token that the API has
//! issued for a repository, to an app that has proven itself, may read it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, Utc};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Verifier;
use serde_json::{Value, json};

use crate::Request;
use crate::http::{Host, Response};

/// The id of the app.
pub const APP_ID: &str = "12345";
/// Where the app is installed.
pub const INSTALLATION_ID: u64 = 42;
/// The longest time from now to the end of an app's proof, in seconds.
const MAX_PROOF: i64 = 600;
const API: &str = "/api/v3/";

/// A GitHub that serves until it is dropped.
#[derive(Debug)]
pub struct GitHub {
    /// The host, whose API is below `/api/v3`.
    pub host: Host,
    /// The app's key, in PEM form.
    pub private_key: String,
    issued: Arc<Mutex<Vec<Issued>>>,
}

/// A token that was issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// The `owner/name` that it may read.
    pub repository: String,
    /// When it expires, in seconds since 1970.
    pub expires_at: i64,
}

impl GitHub {
    /// Serves the repositories below `root`. A token is valid for `lifetime`, in seconds.
    pub async fn of(root: impl AsRef<Path>, lifetime: i64) -> Self {
        Self::guarded(root, lifetime, |_| None).await
    }

    /// Serves the repositories below `root`. If `guard` returns a response to a request that may read its repository,
    /// it is sent instead of git's.
    pub async fn guarded<F>(root: impl AsRef<Path>, lifetime: i64, guard: F) -> Self
    where
        F: Fn(&Request) -> Option<Response> + Send + Sync + 'static,
    {
        let private_key = make_key();
        let key = PKey::private_key_from_pem(private_key.as_bytes()).unwrap();
        let issued = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&issued);
        let host = Host::guarded(root, move |request| {
            let mut issued = all.lock().unwrap();
            match request.target.strip_prefix(API) {
                Some(path) => Some(answer(request, path, &key, lifetime, &mut issued)),
                None if may_read(request, &issued) => guard(request),
                None => Some(Response::unauthorized()),
            }
        })
        .await;
        Self {
            host,
            private_key,
            issued,
        }
    }

    /// Returns the app's entry of a git secret.
    #[must_use]
    pub fn credential(&self) -> Value {
        json!({"host": self.host.origin(), "app_id": APP_ID, "private_key": self.private_key})
    }

    /// Returns the tokens that were issued.
    #[must_use]
    pub fn issued(&self) -> Vec<Issued> {
        self.issued.lock().unwrap().clone()
    }

    /// Makes all previous tokens expire now.
    pub fn expire_all(&self) {
        for issued in self.issued.lock().unwrap().iter_mut() {
            issued.expires_at = now() - 1;
        }
    }

    /// Returns how many requests the API has had.
    #[must_use]
    pub fn api_requests(&self) -> usize {
        let requests = self.host.requests();
        requests
            .iter()
            .filter(|request| request.target.starts_with(API))
            .count()
    }
}

/// Makes the private key of an app, as GitHub does.
#[must_use]
pub fn make_key() -> String {
    let key = Rsa::generate(2048).unwrap().private_key_to_pem().unwrap();
    String::from_utf8(key).unwrap()
}

/// Returns the time in seconds since 1970.
fn now() -> i64 {
    Utc::now().timestamp()
}

fn may_read(request: &Request, issued: &[Issued]) -> bool {
    let given = request.headers.get("authorization");
    issued.iter().any(|issued| {
        let basic = STANDARD.encode(format!("x-access-token:{}", issued.token));
        given.is_some_and(|given| *given == format!("Basic {basic}"))
            && request
                .target
                .starts_with(&format!("/{}.git/", issued.repository))
            && issued.expires_at > now()
    })
}

fn answer(
    request: &Request,
    path: &str,
    key: &PKey<Private>,
    lifetime: i64,
    issued: &mut Vec<Issued>,
) -> Response {
    let refuse = |status, message: &str| respond(status, &json!({ "message": message }));
    if let Err(reason) = check_proof(request, key) {
        return refuse(401, reason);
    }
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method.as_str(), &parts[..]) {
        ("GET", ["repos", _, _, "installation"]) => respond(200, &json!({ "id": INSTALLATION_ID })),
        ("POST", ["app", "installations", id, "access_tokens"]) if **id == INSTALLATION_ID.to_string() => {
            let wanted: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let [Value::String(name)] = wanted["repositories"].as_array().map_or(&[][..], Vec::as_slice)
            else {
                return refuse(422, "a token is for one repository");
            };
            if wanted["permissions"] != json!({"contents": "read"}) {
                return refuse(422, "a token may read contents, and nothing else");
            }
            let expires_at = now() + lifetime;
            let token = format!("ghs_{:036}", issued.len());
            issued.push(Issued {
                token: token.clone(),
                repository: format!("group/{name}"),
                expires_at,
            });
            respond(201, &json!({"token": token, "expires_at": time(expires_at)}))
        }
        _ => refuse(404, "Not Found"),
    }
}

fn respond(status: u16, body: &Value) -> Response {
    Response::new(status, &["Content-Type: application/json"], body.to_string())
}

/// Formats a time, in seconds since 1970, as GitHub does.
#[must_use]
pub fn time(seconds: i64) -> String {
    let time = DateTime::from_timestamp(seconds, 0).unwrap();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Checks the proof of an app as GitHub does.
fn check_proof(request: &Request, key: &PKey<Private>) -> Result<(), &'static str> {
    let given = request.headers.get("authorization").map_or("", String::as_str);
    let proof = given
        .strip_prefix("Bearer ")
        .ok_or("A JSON web token is needed")?;
    let (signed, signature) = proof.rsplit_once('.').ok_or("It is no JSON web token")?;
    let (header, claims) = signed.split_once('.').ok_or("It is no JSON web token")?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| "It is not in base64url");
    let read = |text: &str| -> Result<Value, &'static str> {
        serde_json::from_slice(&decode(text)?).map_err(|_| "It is not in JSON")
    };
    let public = PKey::public_key_from_pem(&key.public_key_to_pem().unwrap()).unwrap();
    let mut verifier = Verifier::new(MessageDigest::sha256(), &public).unwrap();
    let signature = decode(signature)?;
    if !verifier
        .verify_oneshot(&signature, signed.as_bytes())
        .unwrap_or(false)
    {
        return Err("A JSON web token could not be decoded");
    }
    if read(header)? != json!({"alg": "RS256", "typ": "JWT"}) {
        return Err("Its algorithm is not RS256");
    }
    let claims = read(claims)?;
    let claim = |name: &str| claims[name].as_i64().ok_or("A claim is missing");
    let (issued, expires, now) = (claim("iat")?, claim("exp")?, now());
    if claims["iss"] != APP_ID {
        return Err("Integration not found");
    }
    if issued > now || expires <= now || expires > now + MAX_PROOF || expires <= issued {
        return Err("'Expiration time' claim ('exp') is not in time");
    }
    Ok(())
}
