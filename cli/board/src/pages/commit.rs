//! Where a commit was delivered to.

use axum::http::StatusCode;
use chrono::Utc;
use domain::contract::Delivered;
use domain::push_index::CommitPrefix;
use domain::state::PushState;
use maud::{Markup, html};

use super::{message, parts};
use crate::Pushes;
use crate::page::{Block, Page, Part};
use crate::text::time;

/// Returns the page.
///
/// # Errors
/// Returns an error if the trail cannot be read.
pub async fn page(pushes: &impl Pushes, commit: &CommitPrefix) -> Result<Page, deployed_stack::Error> {
    let found = pushes.of_commit(commit).await?;
    let now = Utc::now();
    let (delivered, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|push| push.delivered.is_some());
    let is_known = !delivered.is_empty() || !others.is_empty();
    let places = html! {
        @if !is_known {
            section class="panel" {
                p class="empty" { "No push of this commit is in the trail. " code { "git log" } " shows the ids of commits." }
            }
        } @else if delivered.is_empty() {
            section class="panel" { p class="empty" { "This commit was not delivered." } }
        } @else {
            section class="panel" aria-labelledby="places-title" {
                h2 id="places-title" { "Delivered to" }
                ul class="places" {
                    @for push in &delivered {
                        @if let Some(delivered) = &push.delivered { li { (place(push, delivered)) } }
                    }
                }
            }
        }
    };
    let rest = html! {
        @if !others.is_empty() {
            section class="panel" aria-labelledby="others-title" {
                h2 id="others-title" { "Not delivered" }
                (parts::table("The pushes of the commit that have not delivered it", &others, now))
            }
        }
    };
    let title = format!("Commit {commit}");
    let mut page = Page::new(
        title.clone(),
        vec![
            message::notice(None),
            Block::Fixed(html! { h1 { "Commit " code { (commit) } } }),
            Block::Live(Part::new("places", &places)),
            Block::Live(Part::new("others", &rest)),
        ],
    );
    page.summary = format!(
        "Delivered by {} pushes, not by {} others.",
        delivered.len(),
        others.len()
    );
    if !is_known {
        page.status = StatusCode::NOT_FOUND;
    }
    Ok(page)
}

fn place(push: &PushState, delivered: &Delivered) -> Markup {
    html! {
        p class="object" { bdi { "s3://" (delivered.bucket) "/" (delivered.key) } }
        dl class="facts" {
            dt { "Version" }
            dd { code { (delivered.version_id.as_deref().unwrap_or("none")) } }
            dt { "Commit" }
            dd { code { (push.commit_or_after().unwrap_or_default()) } }
            @if let Some(archive) = &push.archive {
                dt { "SHA-256" }
                dd { code { (archive.sha256) } }
            }
            dt { "Push" }
            dd {
                a id={ "push-" (push.push_id()) } data-push=(push.push_id()) href={ "/pushes/" (push.push_id()) } {
                    bdi { (parts::title(push)) }
                }
                " of " (parts::place(push)) ", " (time(push.updated_at))
            }
        }
    }
}
