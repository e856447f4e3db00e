//! The two APIs of a world, on the loopback: the search, with its limit of a thousand hits and without items that are
//! gone, and single items.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Id;
use crate::world::{Item, Kind, State, World};

/// The most hits that a search gives.
const MAX_HITS: usize = 1_000;

/// A status and a body.
pub type Response = (u16, String);

/// How the APIs behave, besides what the world is.
#[derive(Clone, Default)]
pub struct Weather {
    /// How long a search takes.
    pub search_delay: Duration,
    /// How long an item, or a whole thread, takes.
    pub item_delay: Duration,
    /// Answers instead of the world, if it returns something. It gets the target of the request, and how many requests
    /// there were before.
    #[expect(clippy::type_complexity, reason = "it is one function")]
    pub answer: Option<Arc<dyn Fn(&str, usize) -> Option<Response> + Send + Sync>>,
}

/// How many requests there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Searches.
    pub searches: usize,
    /// Single items.
    pub items: usize,
    /// Whole threads.
    pub trees: usize,
}

/// A server of a world, until it is dropped.
#[derive(Debug)]
pub struct Fake {
    address: SocketAddr,
    served: Arc<Served>,
    server: JoinHandle<()>,
}

struct Served {
    world: World,
    replies: std::collections::HashMap<Id, Vec<Id>>,
    /// The live posts and comments by time.
    posts: Vec<(i64, Id)>,
    comments: Vec<(i64, Id)>,
    /// How many live comments each post has.
    sizes: std::collections::HashMap<Id, u32>,
    weather: Weather,
    requests: AtomicUsize,
    searches: AtomicUsize,
    items: AtomicUsize,
    trees: AtomicUsize,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Served").finish_non_exhaustive()
    }
}

impl Fake {
    /// Serves a world at a port of the loopback, or at a free one if it is 0.
    ///
    /// # Errors
    /// Returns an error if the port is in use.
    pub async fn serve(world: World, weather: Weather, port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let served = Arc::new(Served::new(world, weather));
        let router = Router::new().fallback(respond).with_state(Arc::clone(&served));
        let server = tokio::spawn(async move {
            // It ends when it is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            served,
            server,
        })
    }

    /// Returns the URL of the search.
    #[must_use]
    pub fn search_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// Returns the URL of the items.
    #[must_use]
    pub fn items_url(&self) -> String {
        format!("http://{}/v0", self.address)
    }

    /// Returns how many requests there were.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        Counts {
            searches: count(&self.served.searches),
            items: count(&self.served.items),
            trees: count(&self.served.trees),
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn respond(Shared(served): Shared<Arc<Served>>, request: Request) -> axum::http::Response<Body> {
    let uri = request.uri();
    let (status, body) = served.respond(uri.path(), uri.query().unwrap_or_default()).await;
    let response = axum::http::Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(body));
    response.unwrap_or_default()
}

impl Served {
    fn new(world: World, weather: Weather) -> Self {
        let live = |posts: bool| {
            let items = world.items().filter(move |(_, item)| {
                item.is_live()
                    && if posts {
                        item.is_post()
                    } else {
                        item.kind == Kind::Comment
                    }
            });
            let mut items: Vec<_> = items.map(|(id, item)| (item.time, id)).collect();
            items.sort_unstable();
            items
        };
        let (posts, comments) = (live(true), live(false));
        let mut sizes = std::collections::HashMap::new();
        for (_, comment) in &comments {
            *sizes.entry(world.root(*comment)).or_default() += 1;
        }
        Self {
            replies: world.replies(),
            world,
            posts,
            comments,
            sizes,
            weather,
            requests: AtomicUsize::new(0),
            searches: AtomicUsize::new(0),
            items: AtomicUsize::new(0),
            trees: AtomicUsize::new(0),
        }
    }

    async fn respond(&self, path: &str, query: &str) -> Response {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        let target = format!("{path}?{query}");
        let (counter, delay) = if path == "/api/v1/search_by_date" {
            (&self.searches, self.weather.search_delay)
        } else if path.starts_with("/api/v1/items/") {
            (&self.trees, self.weather.item_delay)
        } else {
            (&self.items, self.weather.item_delay)
        };
        counter.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(delay).await;
        if let Some(answer) = &self.weather.answer
            && let Some(response) = answer(&target, before)
        {
            return response;
        }
        let response = if path == "/api/v1/search_by_date" {
            self.search(query)
        } else if let Some(id) = path.strip_prefix("/api/v1/items/") {
            id.parse().ok().and_then(|id| self.tree(id))
        } else {
            let id = path
                .strip_prefix("/v0/item/")
                .and_then(|id| id.strip_suffix(".json"));
            id.and_then(|id| id.parse().ok()).map(|id| self.item(id))
        };
        match response {
            Some(body) => (200, body),
            None => (404, json!({ "status": 404, "error": "Not Found" }).to_string()),
        }
    }

    /// Returns the newest hits of a slice, or `None` if the query is not one that is known.
    fn search(&self, query: &str) -> Option<String> {
        let decoded = decode(query);
        let parameter = |name: &str| {
            decoded
                .split('&')
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        };
        // Of the second filter, `=` and `<` are not separators.
        let (from, to) = parameter("numericFilters")?.split_once(',')?;
        let from: i64 = from.strip_prefix("created_at_i>=")?.parse().ok()?;
        let to: i64 = to.strip_prefix("created_at_i<")?.parse().ok()?;
        let limit: usize = parameter("hitsPerPage")?.parse().ok()?;
        let all = match parameter("tags")? {
            "(story,poll)" => &self.posts,
            "comment" => &self.comments,
            _ => return None,
        };
        let begin = all.partition_point(|(time, _)| *time < from);
        let end = all.partition_point(|(time, _)| *time < to).max(begin);
        let hits = all[begin..end].iter().rev().take(limit.min(MAX_HITS));
        let hits: Vec<Value> = hits.filter_map(|(_, id)| self.hit(*id)).collect();
        Some(json!({ "hits": hits, "nbHits": end - begin, "page": 0, "exhaustiveNbHits": true }).to_string())
    }

    fn hit(&self, id: Id) -> Option<Value> {
        let item = self.world.item(id)?;
        Some(match item.parent {
            Some(parent) => json!({
                "objectID": id.to_string(),
                "created_at_i": item.time,
                "parent_id": parent,
                "story_id": item.written_for,
            }),
            None => json!({
                "objectID": id.to_string(),
                "created_at_i": item.time,
                "num_comments": self.sizes.get(&id).copied().unwrap_or_default(),
            }),
        })
    }

    fn tree(&self, id: Id) -> Option<String> {
        let item = self.world.item(id).filter(|item| item.is_live())?;
        let mut text = String::new();
        self.write_tree(&mut text, id, item);
        Some(text)
    }

    fn write_tree(&self, text: &mut String, id: Id, item: &Item) {
        let mut fields = if item.is_live() {
            described(id, item)
        } else {
            json!({ "id": id })
        };
        if item.is_live() {
            fields["created_at_i"] = json!(item.time);
            fields["author"] = json!(format!("user{}", id % 997));
        }
        let fields = fields.to_string();
        let _ = write!(text, "{},\"children\":[", fields.trim_end_matches('}'));
        for (number, reply) in self.replies.get(&id).into_iter().flatten().enumerate() {
            if number > 0 {
                text.push(',');
            }
            if let Some(item) = self.world.item(*reply) {
                self.write_tree(text, *reply, item);
            }
        }
        text.push_str("]}");
    }

    fn item(&self, id: Id) -> String {
        let Some(item) = self.world.item(id) else {
            return "null".to_owned();
        };
        let mut fields = match item.state {
            State::Unknown => return "null".to_owned(),
            State::Deleted => json!({ "id": id, "deleted": true }),
            State::Dead => {
                let mut fields = described(id, item);
                fields["dead"] = json!(true);
                fields["text"] = json!("[dead]");
                fields
            }
            State::Live => described(id, item),
        };
        fields["time"] = json!(item.time);
        fields["type"] = json!(kind(item.kind));
        if let Some(parent) = item.parent {
            fields["parent"] = json!(parent);
        }
        fields.to_string()
    }
}

/// Returns what both APIs say of an item under the same names.
fn described(id: Id, item: &Item) -> Value {
    match item.kind {
        Kind::Comment => {
            json!({ "id": id, "type": "comment", "text": format!("<p>Comment {id} &amp; its <i>reasons</i>") })
        }
        other => json!({
            "id": id,
            "type": kind(other),
            "title": format!("Post {id}"),
            "url": format!("https://example.com/{id}"),
        }),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Story => "story",
        Kind::Poll => "poll",
        Kind::Job => "job",
        Kind::Comment => "comment",
    }
}

/// Decodes `%xx` and `+`.
fn decode(query: &str) -> String {
    let mut bytes = Vec::with_capacity(query.len());
    let mut rest = query.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    rest.next()
                        .and_then(|digit| char::from(digit).to_digit(16))
                        .unwrap_or(0)
                };
                (digit() * 16 + digit()) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
