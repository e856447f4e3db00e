//! Hacker News by HTTP: the search (<https://hn.algolia.com/api>), and single items
//! (<https://github.com/HackerNews/API>).

use std::sync::OnceLock;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use thread::Id;
use url::Url;

use crate::source::{Hit, Item, Kind, Page, Slice, Source};
use crate::{FindError, Tree};

/// The most hits of a page.
const HITS_OF_A_PAGE: usize = 1_000;
/// The most bytes of a page of hits, and of an item. A page has about 120,000.
const MAX_BYTES: usize = 2 << 20;
/// The most bytes of a whole thread, with all its texts.
const MAX_TREE_BYTES: usize = 32 << 20;
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a whole thread may take.
const TREE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a request is sent again after a failure that may pass.
const RETRIES: usize = 2;
/// How long the first retry waits, at least. The next one waits twice as long.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Hacker News by HTTP.
#[derive(Debug)]
pub struct HttpSource {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    search: String,
    items: String,
    timeout: Duration,
}

/// Returns a connector with the system's certificates of authorities, which are read once.
fn connector() -> std::io::Result<HttpsConnector<HttpConnector>> {
    static CONNECTOR: OnceLock<HttpsConnector<HttpConnector>> = OnceLock::new();
    if let Some(connector) = CONNECTOR.get() {
        return Ok(connector.clone());
    }
    let connector = HttpsConnectorBuilder::new()
        .with_native_roots()?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(CONNECTOR.get_or_init(|| connector).clone())
}

/// A request that failed.
#[derive(Debug, thiserror::Error)]
enum HttpError {
    /// The same request may succeed a little later.
    #[error("{0}")]
    Transient(String),
    /// The response is not one that is understood.
    #[error("{0}")]
    Permanent(String),
}

impl HttpSource {
    /// Creates a client of the search and the items below these URLs.
    ///
    /// # Errors
    /// Returns an error if a URL is malformed, or the system has no certificates of authorities.
    pub fn new(search: &str, items: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        for url in [search, items] {
            let url: Url = url.parse()?;
            if !["http", "https"].contains(&url.scheme()) {
                return Err(format!("{url} is neither http nor https").into());
            }
        }
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector()?),
            search: search.trim_end_matches('/').to_owned(),
            items: items.trim_end_matches('/').to_owned(),
            timeout: TIMEOUT,
        })
    }

    /// Sets how long a request for a page of hits or for an item may take.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Returns the body of a response, or `None` if there is no such thing. A failure that may pass is retried.
    async fn get(&self, url: &str, max_bytes: usize, timeout: Duration) -> Result<Option<Bytes>, HttpError> {
        let retries = ExponentialBuilder::new()
            .with_min_delay(RETRY_DELAY)
            .with_max_times(RETRIES)
            .with_jitter();
        let once = || async {
            tokio::time::timeout(timeout, self.get_once(url, max_bytes))
                .await
                .unwrap_or_else(|_| Err(HttpError::Transient(format!("{url} took more than {timeout:?}"))))
        };
        once.retry(retries)
            .when(|error| matches!(error, HttpError::Transient(_)))
            .notify(|error, wait| tracing::warn!(%error, ?wait, "asked again"))
            .await
    }

    async fn get_once(&self, url: &str, max_bytes: usize) -> Result<Option<Bytes>, HttpError> {
        let uri: Uri = url
            .parse()
            .map_err(|error| HttpError::Permanent(format!("{url}: {error}")))?;
        let response = self.client.get(uri).await;
        let response = response.map_err(|error| HttpError::Transient(format!("{url}: {}", chain(&error))))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => {
                return Err(HttpError::Transient(format!("{url}: {status}")));
            }
            status if status.is_server_error() => {
                return Err(HttpError::Transient(format!("{url}: {status}")));
            }
            status => return Err(HttpError::Permanent(format!("{url}: {status}"))),
        }
        let body = Limited::new(response.into_body(), max_bytes).collect().await;
        match body {
            Ok(body) => Ok(Some(body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(HttpError::Permanent(format!(
                "{url} has more than {max_bytes} bytes"
            ))),
            Err(error) => Err(HttpError::Transient(format!("{url}: {}", chain(&*error)))),
        }
    }

    fn search_url(&self, slice: Slice) -> Result<String, FindError> {
        let (tags, attributes) = match slice.kind {
            Kind::Posts => ("(story,poll)", "created_at_i,num_comments"),
            Kind::Comments => ("comment", "created_at_i,parent_id,story_id"),
        };
        let times = format!("created_at_i>={},created_at_i<{}", slice.from, slice.to);
        let query = [
            ("tags", tags),
            ("numericFilters", &times),
            ("hitsPerPage", &HITS_OF_A_PAGE.to_string()),
            ("attributesToRetrieve", attributes),
            ("attributesToHighlight", ""),
            ("attributesToSnippet", ""),
        ];
        let url = Url::parse_with_params(&format!("{}/search_by_date", self.search), query);
        url.map(String::from)
            .map_err(|error| FindError::SearchChanged(format!("{}: {error}", self.search)))
    }
}

impl Source for HttpSource {
    async fn search(&self, slice: Slice) -> Result<Page, FindError> {
        let url = self.search_url(slice)?;
        let body = self.get(&url, MAX_BYTES, self.timeout).await;
        let body = body.map_err(search_failed)?;
        let body = body.ok_or_else(|| FindError::SearchChanged(format!("{url} is not found")))?;
        let page: WirePage = serde_json::from_slice(&body)
            .map_err(|error| FindError::SearchChanged(format!("{url}: {error}")))?;
        let hits = page
            .hits
            .into_iter()
            .map(|hit| hit.read(slice.kind))
            .collect::<Option<_>>();
        Ok(Page {
            total: page.total,
            hits: hits.ok_or_else(|| {
                FindError::SearchChanged(format!(
                    "{url}: a hit without a number, a time, a parent or a post"
                ))
            })?,
        })
    }

    async fn item(&self, id: Id) -> Result<Option<Item>, FindError> {
        let url = format!("{}/item/{id}.json", self.items);
        let body = self
            .get(&url, MAX_BYTES, self.timeout)
            .await
            .map_err(|error| match error {
                HttpError::Transient(what) => FindError::ItemUnavailable(what),
                HttpError::Permanent(what) => FindError::ItemChanged(what),
            })?;
        let changed = |what: &dyn std::fmt::Display| FindError::ItemChanged(format!("{url}: {what}"));
        // An item that is not known is `null`.
        let item: Option<WireItem> = match body {
            Some(body) => serde_json::from_slice(&body).map_err(|error| changed(&error))?,
            None => None,
        };
        let Some(item) = item else { return Ok(None) };
        if item.id != id {
            return Err(changed(&format!("it is {}", item.id)));
        }
        if item.kind.as_deref() == Some("comment") && item.parent.is_none() {
            return Err(changed(&"a comment without a parent"));
        }
        Ok(Some(Item { parent: item.parent }))
    }

    async fn tree(&self, post: Id, as_of: i64) -> Result<Option<Tree>, FindError> {
        let url = format!("{}/items/{post}", self.search);
        let body = self.get(&url, MAX_TREE_BYTES, TREE_TIMEOUT).await;
        let body = body.map_err(search_failed)?;
        body.map(|body| Tree::parse(post, &body, as_of)).transpose()
    }
}

fn search_failed(error: HttpError) -> FindError {
    match error {
        HttpError::Transient(what) => FindError::SearchUnavailable(what),
        HttpError::Permanent(what) => FindError::SearchChanged(what),
    }
}

/// Returns an error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[derive(Deserialize)]
struct WirePage {
    #[serde(rename = "nbHits")]
    total: usize,
    hits: Vec<WireHit>,
}

#[derive(Deserialize)]
struct WireHit {
    #[serde(rename = "objectID")]
    id: String,
    created_at_i: Option<i64>,
    parent_id: Option<Id>,
    story_id: Option<Id>,
    num_comments: Option<u32>,
}

impl WireHit {
    /// Returns the hit, or `None` if something is missing.
    fn read(self, kind: Kind) -> Option<Hit> {
        let (id, time) = (self.id.parse().ok()?, self.created_at_i?);
        Some(match kind {
            Kind::Posts => Hit::Post {
                id,
                time,
                comments: self.num_comments.unwrap_or_default(),
            },
            Kind::Comments => Hit::Comment {
                id,
                time,
                parent: self.parent_id?,
                post: self.story_id?,
            },
        })
    }
}

#[derive(Deserialize)]
struct WireItem {
    id: Id,
    parent: Option<Id>,
    #[serde(rename = "type")]
    kind: Option<String>,
}
