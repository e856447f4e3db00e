//! The batch API, by git-lfs's `docs/api/batch.md`, which asks the LFS server where objects are.

use std::collections::BTreeMap;

use egress::{location, named};
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use tree::LfsOid;
use url::Url;

use crate::client::{Client, invalid};
use crate::error::Error;

/// The most objects of one request. git-lfs uses this number, and some servers accept no more.
pub const MAX_BATCH_OBJECTS: usize = 100;
/// The largest response, in bytes. One for 100 objects has about 100 KiB.
const MAX_RESPONSE_BYTES: usize = 8 << 20;
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.git-lfs+json");

/// Where an object can be downloaded.
#[derive(Debug)]
pub struct Download {
    pub oid: LfsOid,
    pub size: u64,
    pub href: Url,
    /// The headers that the server requires for the download.
    pub headers: HeaderMap,
    /// Whether the download needs no login besides these headers.
    pub authenticated: bool,
}

#[derive(Serialize)]
struct BatchRequest<'a> {
    operation: &'static str,
    transfers: [&'static str; 1],
    #[serde(rename = "ref")]
    reference: Reference<'a>,
    objects: Vec<RequestedObject<'a>>,
    hash_algo: &'static str,
}

#[derive(Serialize)]
struct Reference<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct RequestedObject<'a> {
    oid: &'a str,
    size: u64,
}

#[derive(Deserialize)]
struct BatchResponse {
    transfer: Option<String>,
    hash_algo: Option<String>,
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    size: Option<u64>,
    authenticated: Option<bool>,
    actions: Option<Actions>,
    error: Option<ObjectError>,
}

#[derive(Deserialize)]
struct Actions {
    download: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    header: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct ObjectError {
    code: i64,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// Asks where at most [`MAX_BATCH_OBJECTS`] objects are. The result has each of them.
pub async fn ask(
    client: &Client<'_>,
    login: Option<&HeaderValue>,
    ref_name: &str,
    objects: &[(LfsOid, u64)],
) -> Result<Vec<Download>, Error> {
    let mut url = client.server().clone();
    url.set_path(&format!("{}/objects/batch", url.path().trim_end_matches('/')));
    let request = BatchRequest {
        operation: "download",
        transfers: ["basic"],
        reference: Reference { name: ref_name },
        objects: objects
            .iter()
            .map(|(oid, size)| RequestedObject {
                oid: oid.as_str(),
                size: *size,
            })
            .collect(),
        hash_algo: "sha256",
    };
    let body = serde_json::to_vec(&request).map_err(|error| invalid(&url, error.to_string()))?;
    let mut headers = HeaderMap::from_iter([(ACCEPT, MEDIA_TYPE), (CONTENT_TYPE, MEDIA_TYPE)]);
    if let Some(login) = login {
        headers.insert(AUTHORIZATION, login.clone());
    }
    let mut response = client.send(Method::POST, &url, headers, body).await?;
    let status = response.status();
    if let Some(error) = refusal(client, &url, status, response.headers(), login.is_some()) {
        return Err(error);
    }
    let mut body = Vec::new();
    while let Some(bytes) = client.next(&url, response.body_mut()).await? {
        if body.len() + bytes.len() > MAX_RESPONSE_BYTES {
            return Err(invalid(
                &url,
                format!("it has more than {MAX_RESPONSE_BYTES} bytes"),
            ));
        }
        body.extend_from_slice(&bytes);
    }
    if !status.is_success() {
        let said = serde_json::from_slice::<Refusal>(&body).map_or_else(
            |_| String::new(),
            |refusal| format!(": {}", said(&refusal.message)),
        );
        return Err(invalid(&url, format!("the status is {status}{said}")));
    }
    read(&url, &body, objects)
}

/// Returns the error of a status that needs no further text.
fn refusal(
    client: &Client<'_>,
    url: &Url,
    status: StatusCode,
    headers: &HeaderMap,
    logged_in: bool,
) -> Option<Error> {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if logged_in => Some(Error::Authentication {
            url: named(url),
            status,
        }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(client.missing_credentials().into()),
        StatusCode::NOT_FOUND => Some(Error::RepositoryNotFound { url: named(url) }),
        StatusCode::TOO_MANY_REQUESTS => Some(Error::Busy {
            url: named(url),
            status,
        }),
        _ if status.is_server_error() => Some(Error::Busy {
            url: named(url),
            status,
        }),
        _ if status.is_redirection() => Some(Error::Redirected {
            url: named(url),
            to: location(url, headers).map_or_else(|| "nowhere".to_owned(), |to| named(&to)),
            reason: "an LFS server must not",
        }),
        _ => None,
    }
}

/// Parses the response to a request for `objects`.
pub fn read(url: &Url, body: &[u8], objects: &[(LfsOid, u64)]) -> Result<Vec<Download>, Error> {
    let response: BatchResponse = serde_json::from_slice(body).map_err(|error| {
        // serde's own message may quote the response.
        let (line, column) = (error.line(), error.column());
        invalid(
            url,
            format!("it is not a response of the batch API, see line {line}, column {column}"),
        )
    })?;
    for (what, value, expected) in [
        ("transfer", response.transfer, "basic"),
        ("hash_algo", response.hash_algo, "sha256"),
    ] {
        if let Some(value) = value.filter(|value| value != expected) {
            return Err(invalid(url, format!("its {what} is {:?}", said(&value))));
        }
    }
    let mut wanted: BTreeMap<&str, &(LfsOid, u64)> =
        objects.iter().map(|object| (object.0.as_str(), object)).collect();
    let mut downloads = Vec::with_capacity(objects.len());
    for object in response.objects {
        let (oid, size) = wanted
            .remove(object.oid.as_str())
            .ok_or_else(|| invalid(url, "it has an object that was not requested, or has one twice"))?;
        downloads.push(download(url, object, oid, *size)?);
    }
    match wanted.keys().next() {
        Some(oid) => Err(invalid(url, format!("it lacks the object {oid}"))),
        None => Ok(downloads),
    }
}

fn download(url: &Url, object: Object, oid: &LfsOid, size: u64) -> Result<Download, Error> {
    if let Some(error) = object.error {
        if error.code == 404 {
            return Err(Error::ObjectMissing {
                url: named(url),
                oid: oid.to_string(),
            });
        }
        let said = said(&error.message.unwrap_or_default());
        return Err(invalid(
            url,
            format!("the object {oid} has the error {}: {said}", error.code),
        ));
    }
    let action = object
        .actions
        .and_then(|actions| actions.download)
        .ok_or_else(|| invalid(url, format!("it does not say where the object {oid} is")))?;
    if object.size != Some(size) {
        return Err(invalid(
            url,
            format!("the object {oid} does not have the size {size} of its pointer"),
        ));
    }
    let href = Url::parse(&action.href)
        .ok()
        .filter(|href| matches!(href.scheme(), "https" | "http") && href.has_host())
        .ok_or_else(|| invalid(url, format!("the URL of the object {oid} is not an HTTP URL")))?;
    let headers = action_headers(action.header.unwrap_or_default())
        .ok_or_else(|| invalid(url, format!("the object {oid} has headers that cannot be sent")))?;
    Ok(Download {
        oid: oid.clone(),
        size,
        href,
        headers,
        authenticated: object.authenticated == Some(true),
    })
}

/// Returns the headers that a server requires, without those of the connection itself.
fn action_headers(given: BTreeMap<String, String>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name = HeaderName::try_from(name).ok()?;
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        if ![HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
            headers.try_insert(name, value).ok()?;
        }
    }
    Some(headers)
}

/// Formats a server's text for people, as one line and without the queries of URLs. It is not cut here, because half of
/// a secret would not be found in it.
fn said(text: &str) -> String {
    let words = text.split_whitespace().map(|word| match word.split_once('?') {
        Some((before, _)) if before.contains("://") => before,
        _ => word,
    });
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use domain::error::{Code, Coded};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn oid(digit: char) -> LfsOid {
        LfsOid::parse(&digit.to_string().repeat(64)).unwrap()
    }

    fn read_two(response: &Value) -> Result<Vec<Download>, Error> {
        read_bytes(response.to_string().as_bytes())
    }

    fn read_bytes(response: &[u8]) -> Result<Vec<Download>, Error> {
        let url = Url::parse("https://git.example.com/a.git/info/lfs/objects/batch").unwrap();
        read(&url, response, &[(oid('a'), 1), (oid('b'), 2)])
    }

    fn good(digit: char, size: u64) -> Value {
        json!({
            "oid": oid(digit).as_str(), "size": size, "authenticated": true,
            "actions": {"download": {
                "href": "https://store.example.com/x?X-Amz-Signature=s3cret",
                "header": {"X-Key": "value", "Host": "evil", "Transfer-Encoding": "chunked"}, "expires_in": 5,
            }},
        })
    }

    fn with(digit: char, size: u64, change: impl FnOnce(&mut Value)) -> Value {
        let mut object = good(digit, size);
        change(&mut object);
        object
    }

    #[test]
    fn a_valid_response_is_read_in_any_order() {
        let downloads =
            read_two(&json!({"transfer": "basic", "objects": [good('b', 2), good('a', 1)]})).unwrap();
        assert_eq!(downloads.len(), 2);
        assert_eq!((downloads[0].oid.clone(), downloads[0].size), (oid('b'), 2));
        assert!(downloads[0].authenticated);
        assert_eq!(
            downloads[0].href.as_str(),
            "https://store.example.com/x?X-Amz-Signature=s3cret"
        );
        let names: Vec<_> = downloads[0].headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-key"]);
    }

    #[test]
    fn a_response_to_another_request_is_refused() {
        let other = "c".repeat(64);
        let cases = [
            json!([]),
            json!({"objects": 7}),
            json!({"objects": [good('a', 1)]}),
            json!({"objects": [good('a', 1), good('a', 1)]}),
            json!({"objects": [good('a', 1), good('b', 3)]}),
            json!({"objects": [good('a', 1), good('b', 2), good('c', 3)]}),
            json!({"objects": [good('a', 1), with('b', 2, |object| object["oid"] = json!(other))]}),
            json!({"objects": [good('a', 1), with('b', 2, |object| object["size"] = json!(-2))]}),
            json!({"objects": [good('a', 1), with('b', 2, |object| object["size"] = Value::Null)]}),
            json!({"objects": [good('a', 1), with('b', 2, |object| object["actions"] = json!({}))]}),
            json!({"transfer": "tus", "objects": [good('a', 1), good('b', 2)]}),
            json!({"hash_algo": "md5", "objects": [good('a', 1), good('b', 2)]}),
        ];
        for response in cases {
            let error = read_two(&response).unwrap_err();
            assert_eq!(error.code(), Code::LfsInvalid, "{response}: {error}");
        }
        for href in ["file:///etc/passwd", "ftp://a/b", "/relative", "", "javascript:x"] {
            let response = with('b', 2, |object| {
                object["actions"]["download"]["href"] = json!(href);
            });
            let error = read_two(&json!({"objects": [good('a', 1), response]})).unwrap_err();
            assert_eq!(error.code(), Code::LfsInvalid, "{href}");
        }
        for (name, value) in [("X", "a\r\nHost: evil"), ("a b", "x"), ("", "x")] {
            let response = with('b', 2, |object| {
                object["actions"]["download"]["header"] = json!({ name: value });
            });
            let error = read_two(&json!({"objects": [good('a', 1), response]})).unwrap_err();
            assert_eq!(error.code(), Code::LfsInvalid, "{name:?}");
        }
    }

    #[test]
    fn an_object_has_errors_of_its_own() {
        for (code, expected) in [
            (404, Code::LfsObjectMissing),
            (410, Code::LfsInvalid),
            (422, Code::LfsInvalid),
        ] {
            let broken = json!({
                "oid": oid('b').as_str(),
                "error": {"code": code, "message": "No,\n see https://store/x?X-Amz-Signature=s3cret"},
            });
            let error = read_two(&json!({"objects": [good('a', 1), broken]})).unwrap_err();
            assert_eq!(error.code(), expected);
            assert!(error.to_string().contains(oid('b').as_str()), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(read_bytes(&body).unwrap_err().code(), Code::LfsInvalid);
        }
    }
}
