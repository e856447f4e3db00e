//! What is running now, and the last pushes.

use audit::Filter;
use chrono::Utc;
use domain::push_index::{Category, Position};
use domain::state::PushState;
use maud::{Markup, html};

use super::{message, parts};
use crate::Pushes;
use crate::page::{Block, Page, Part};
use crate::query::{Query, Wrong, name};

/// How many pushes are listed at most.
const MAX_LISTED: usize = 50;

/// How many open pushes are shown at most.
const MAX_OPEN: usize = 12;

/// Returns the page.
///
/// # Errors
/// Returns an error if the trail cannot be read.
pub async fn page(pushes: &impl Pushes, query: &Query) -> Result<Page, deployed_stack::Error> {
    let filter = match query.filter() {
        Ok(filter) => filter,
        Err(wrong) => return Ok(wrong_query(query, &wrong)),
    };
    let open = Filter {
        categories: vec![Category::Open],
        before: None,
        ..filter.clone()
    };
    let now = Utc::now();
    let (open, mut listed) =
        futures::try_join!(pushes.list(&open, MAX_OPEN), pushes.list(&filter, MAX_LISTED))?;
    listed
        .pushes
        .sort_by_key(|push| std::cmp::Reverse(Position::of(push)));
    let running = html! {
        section class="panel" aria-labelledby="running-title" {
            h2 id="running-title" { "Running now" }
            @if open.pushes.is_empty() {
                p class="empty" { "Nothing is running." }
            } @else {
                ul class="running" {
                    @for push in &open.pushes { (card(push, &parts::took(push, now))) }
                }
                @if open.next.is_some() {
                    p { a id="all-open" href="/?status=open" { "All that are running" } }
                }
            }
        }
    };
    let next = listed.next.map(|next| Query {
        before: next.to_string(),
        ..query.clone()
    });
    let last = html! {
        section class="panel" aria-labelledby="last-title" {
            h2 id="last-title" { @if query.before.is_empty() { "Last pushes" } @else { "Older pushes" } }
            @if listed.pushes.is_empty() {
                p class="empty" {
                    @if query.is_empty() {
                        "No push was received in the last seven days."
                    } @else {
                        "No push is as the filters say. " a id="no-filters" href="/" { "Take them off" }
                    }
                }
            } @else {
                (parts::table("The pushes, the newest first", &listed.pushes, now))
            }
            @if let Some(next) = next {
                p class="more" { a id="older" href={ "/?" (next.write()) } rel="next" { "Older pushes" } }
            }
        }
    };
    let mut page = Page::new(
        "Pushes",
        vec![
            message::notice(None),
            Block::Fixed(html! { h1 class="unseen" { "Pushes" } }),
            Block::Live(Part::new("running", &running)),
            Block::Fixed(filters(query, None)),
            Block::Live(Part::new("last", &last)),
        ],
    );
    page.summary = summary(&open.pushes, &listed.pushes);
    Ok(page)
}

fn summary(open: &[PushState], listed: &[PushState]) -> String {
    let failed = listed
        .iter()
        .filter(|push| Category::of(push) == Category::Failed)
        .count();
    format!(
        "{} running. {} listed, {failed} of them failed.",
        open.len(),
        listed.len()
    )
}

fn wrong_query(query: &Query, wrong: &Wrong) -> Page {
    let mut page = Page::new(
        "Pushes",
        vec![
            message::notice(None),
            Block::Fixed(html! { h1 class="unseen" { "Pushes" } (filters(query, Some(wrong))) }),
        ],
    );
    page.status = axum::http::StatusCode::BAD_REQUEST;
    page
}

/// Returns an open push.
fn card(push: &PushState, took: &str) -> Markup {
    html! {
        li class="card" {
            p class="what" {
                (parts::badge(push)) " "
                a id={ "running-" (push.push_id()) } data-push=(push.push_id()) href={ "/pushes/" (push.push_id()) } {
                    bdi { (parts::title(push)) }
                }
            }
            p class="place" { (parts::place(push)) " " (parts::commit(push)) }
            (parts::steps(push))
            p class="took" {
                (took)
                @match push.failed_attempts {
                    0 => {},
                    1 => { ", 1 attempt has failed" },
                    many => { ", " (many) " attempts have failed" },
                }
            }
        }
    }
}

/// Returns the form of the filters, as `push-code pushes list` has them.
fn filters(query: &Query, wrong: Option<&Wrong>) -> Markup {
    let field = |name: &'static str, label: &str, value: &str, hint: &str| {
        let wrong = wrong.filter(|wrong| wrong.field == name);
        html! {
            div class="field" {
                label for=(name) { (label) }
                input id=(name) name=(name) value=(value) placeholder=(hint) autocomplete="off" spellcheck="false"
                    aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "wrong")] autofocus[wrong.is_some()];
                @if let Some(wrong) = wrong { p id="wrong" class="wrong" { (wrong.rule) } }
            }
        }
    };
    let other = wrong.filter(|wrong| ["status", "before"].contains(&wrong.field));
    html! {
        form class="filters panel" action="/" aria-label="Filters" {
            (field("repository", "Repository", &query.repository, "group/project"))
            (field("ref", "Ref", &query.ref_name, "main, or refs/tags/v1"))
            (field("source", "Source", &query.source, "gitlab"))
            (field("since", "Since", query.since(), "12h, 7d, or 2026-01-31"))
            fieldset {
                legend { "Status" }
                @for category in Category::ALL {
                    @let name = name(category);
                    label class="choice" {
                        input type="checkbox" name="status" value=(name) checked[query.status.contains(&name)];
                        (parts::sign(category)) (format!("{category:?}"))
                    }
                }
            }
            @if let Some(wrong) = other { p id="wrong" class="wrong" { (wrong.rule) } }
            div class="actions" {
                button class="primary" { "Filter" }
                @if !query.is_empty() { a href="/" { "Take filters off" } }
            }
        }
    }
}
