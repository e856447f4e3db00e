//! The changes of a page, as server-sent events.
//!
//! Whoever listens says which versions of the parts are on the page, and gets those that differ. Each event has the
//! versions after it as its id, which the browser sends when it connects again, so that nothing is remembered here.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use serde_json::json;
use tokio::time::Instant;
use url::form_urlencoded;

use crate::page::{Part, seen};
use crate::pages::Target;
use crate::{Board, Pushes};

/// The shortest wait between two reads.
const INTERVAL: Duration = Duration::from_secs(2);

/// The wait is at least this many times as long as the last read took. A list of many days takes long.
const WAIT_FACTOR: u32 = 10;

/// How long the browser waits before it connects again, in milliseconds.
const RETRY: Duration = Duration::from_secs(3);

/// Returns the changes of a page, until the browser closes the connection.
pub fn changes<P: Pushes>(
    board: Arc<Board<P>>,
    target: Target,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Response {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let seen = last
        .map(str::to_owned)
        .or_else(|| seen_in(query.unwrap_or_default()));
    let first = (board, target, seen.unwrap_or_default(), Duration::ZERO);
    let events = stream::unfold(first, async |(board, target, mut seen, mut wait)| {
        loop {
            tokio::time::sleep(wait).await;
            let asked = Instant::now();
            let parts = board.page(&target).await.parts();
            wait = INTERVAL.max(asked.elapsed() * WAIT_FACTOR);
            if let Some(event) = event(&parts, &mut seen) {
                return Some((Ok::<_, Infallible>(event), (board, target, seen, wait)));
            }
        }
    });
    // A comment now and then shows that the browser has gone.
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(10));
    Sse::new(events).keep_alive(keep_alive).into_response()
}

/// Returns the parts that were not seen yet, or `None` if all were. Then all of them were seen.
fn event(parts: &[Part], last: &mut String) -> Option<Event> {
    let known: HashSet<_> = last.split('.').collect();
    let changed: Vec<_> = parts
        .iter()
        .filter(|part| !known.contains(part.version().as_str()))
        .map(|part| json!({ "id": part.id, "html": part.html }))
        .collect();
    if changed.is_empty() {
        return None;
    }
    *last = seen(parts);
    let event = Event::default().id(&*last).retry(RETRY);
    Some(event.data(json!(changed).to_string()))
}

fn seen_in(query: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(name, _)| name == "seen")
        .map(|(_, seen)| seen.into_owned())
}
