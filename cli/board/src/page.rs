//! A page of the board, and the parts of it that are replaced when the trail changes.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use domain::digest::Digest;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use shell::output::plain;

/// A page.
#[derive(Debug)]
pub struct Page {
    /// What the page is about, which is its title too.
    pub title: String,
    /// The status of the response.
    pub status: StatusCode,
    /// What is on it, from the top.
    pub blocks: Vec<Block>,
    /// What is said to those who do not see that the page has changed.
    pub summary: String,
    /// The URL of its changes, or `None` if it stays as it is.
    pub live: Option<String>,
}

/// A piece of a page.
#[derive(Debug)]
pub enum Block {
    /// It stays as it is while the page is open, as a form that is being filled in.
    Fixed(Markup),
    /// It is replaced when it has changed.
    Live(Part),
}

/// A piece of a page that is replaced when it has changed.
#[derive(Debug, Clone)]
pub struct Part {
    /// The id of its element.
    pub id: &'static str,
    /// Its element.
    pub html: String,
}

impl Part {
    /// Creates a part whose element has this content.
    pub fn new(id: &'static str, content: &Markup) -> Self {
        let element = html! { div id=(id) class="part" { (content) } };
        Self {
            id,
            html: safe(element),
        }
    }

    /// Returns what tells the part from an earlier one of the same id.
    pub fn version(&self) -> String {
        let digest = Digest::of(&self.html);
        format!("{}:{}", self.id, &digest.as_str()[..16])
    }
}

impl Page {
    /// Creates a page that is served with the status 200 and stays as it is.
    pub fn new(title: impl Into<String>, blocks: Vec<Block>) -> Self {
        Self {
            title: title.into(),
            status: StatusCode::OK,
            blocks,
            summary: String::new(),
            live: None,
        }
    }

    /// Returns the parts, with the summary.
    pub fn parts(&self) -> Vec<Part> {
        let parts = self.blocks.iter().filter_map(|block| match block {
            Block::Live(part) => Some(part.clone()),
            Block::Fixed(_) => None,
        });
        parts.chain([self.summary()]).collect()
    }

    fn summary(&self) -> Part {
        Part::new("summary", &html! { (self.summary) })
    }

    /// Returns the response with the whole page, as that of a stack.
    pub fn response(&self, stack: &str) -> Response {
        let live = self.live.as_ref().map(|live| {
            let separator = if live.contains('?') { '&' } else { '?' };
            format!("{live}{separator}seen={}", seen(&self.parts()))
        });
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · " (stack) }
                    link rel="icon" type="image/svg+xml" href="/icon.svg";
                    link rel="stylesheet" href="/board.css";
                    script src="/board.js" defer {}
                }
                body data-live=[live] {
                    a class="skip" href="#main" { "Skip to the content" }
                    header class="top" {
                        a class="brand" href="/" {
                            img src="/icon.svg" alt="" width="24" height="24";
                            span { "Push Code" }
                            bdi class="stack" { (stack) }
                        }
                        form class="find" role="search" action="/commits" {
                            label for="commit" class="unseen" { "Commit, or id of a push" }
                            input id="commit" name="commit" placeholder="Commit, or id of a push" required
                                autocomplete="off" spellcheck="false";
                            button { "Find" }
                        }
                        @if self.live.is_some() {
                            p id="connection" class="connection" { "Reload for what is new" }
                        }
                    }
                    main id="main" tabindex="-1" {
                        @for block in &self.blocks {
                            @match block {
                                Block::Fixed(markup) => (markup),
                                Block::Live(part) => (PreEscaped(&part.html)),
                            }
                        }
                    }
                    div class="unseen" role="status" { (PreEscaped(self.summary().html)) }
                }
            }
        };
        (self.status, Html(safe(page))).into_response()
    }
}

/// Returns the versions of parts as one text.
pub fn seen(parts: &[Part]) -> String {
    let versions: Vec<_> = parts.iter().map(Part::version).collect();
    versions.join(".")
}

/// Returns the response to a request that is not served. It says nothing of the stack, and has no style, as nothing
/// else is served either.
pub fn refused(status: StatusCode, text: &str) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Push Code" }
            }
            body { main { h1 { "Not served" } p { (text) } } }
        }
    };
    (status, Html(page.into_string())).into_response()
}

/// Returns markup without control characters and marks that would turn the direction of text, wherever they come from.
/// What was put into the markup as text is escaped already.
fn safe(markup: Markup) -> String {
    plain(&markup.into_string())
}
