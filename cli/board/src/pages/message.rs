//! Pages that say why there is nothing else to see.

use axum::http::StatusCode;
use domain::push::PushId;
use maud::html;
use shell::report::causes;

use crate::page::{Block, Page, Part};

/// Returns a page with a title and a text.
pub fn page(status: StatusCode, title: &str, text: &str) -> Page {
    let content = html! {
        section class="message" {
            h1 { (title) }
            p { (text) }
            p { a href="/" { "All pushes" } }
        }
    };
    let mut page = Page::new(title, vec![Block::Fixed(content)]);
    page.status = status;
    page
}

/// Returns a page with a title and a text about a push, which it links to.
pub fn of_push(status: StatusCode, title: &str, text: &str, id: PushId) -> Page {
    let content = html! {
        section class="message" {
            h1 { (title) }
            p { (text) }
            p { a href={ "/pushes/" (id) } { "The push" } }
        }
    };
    let mut page = Page::new(title, vec![Block::Fixed(content)]);
    page.status = status;
    page
}

/// Returns the page of a push that the trail does not have. It may come to have it.
pub fn unknown_push(id: &str, stack: &str) -> Page {
    let text = format!(
        "There is no push {id:?} in the stack {stack}. The webhook's response and the name of its execution have the id."
    );
    page(StatusCode::NOT_FOUND, "No such push", &text)
}

/// Returns the page for a trail that cannot be read. Where a page is open already, it stays, with this above it.
pub fn unreadable(error: &deployed_stack::Error) -> Page {
    let text = of(error);
    let mut page = Page::new("The trail cannot be read", vec![notice(Some(&text))]);
    page.status = StatusCode::BAD_GATEWAY;
    page.summary = "The trail cannot be read.".to_owned();
    page
}

/// Returns the place of what is wrong with the page as a whole, which all pages that change have.
pub fn notice(text: Option<&str>) -> Block {
    let content = html! {
        @if let Some(text) = text {
            section class="notice" aria-labelledby="notice-title" {
                h2 id="notice-title" { "The trail cannot be read" }
                p { (text) }
                p { "The board asks again by itself." }
            }
        }
    };
    Block::Live(Part::new("notice", &content))
}

/// Returns that a push was replayed, which its trail says a moment later.
pub fn replayed() -> Block {
    Block::Fixed(html! {
        p class="flash" { "The replay was started. It is below as soon as it has written its first event." }
    })
}

/// Returns that a rollback was started, which has a trail a moment later.
pub fn rolled_back(rollback: PushId) -> Block {
    Block::Fixed(html! {
        p class="flash" { "The rollback was started, as push " a id="rollback-push" href={ "/pushes/" (rollback) } { (rollback) } ", which has a page as soon as it has written its first event." }
    })
}

/// Returns an error with its causes.
pub fn of(error: &deployed_stack::Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        text.push_str(&format!("; because: {cause}"));
    }
    text
}
