//! What several pages show alike.

use chrono::{DateTime, Utc};
use deployed_stack::trail::{outcome, short, status};
use domain::contract::Stage;
use domain::push_index::Category;
use domain::state::PushState;
use maud::{Markup, html};

use crate::text::{bytes, duration, time};
use crate::timeline::stage_after;

/// The stages of a push that is delivered, in order.
const STAGES: &[Stage] = &[
    Stage::Validate,
    Stage::Fetch,
    Stage::Package,
    Stage::Upload,
    Stage::Record,
];

/// The stages of a rollback, in order.
const STAGES_OF_ROLLBACK: &[Stage] = &[Stage::Validate, Stage::FindVersion, Stage::Upload, Stage::Record];

/// The stages of a push that changes nothing of what its destination watches, in order.
const STAGES_OF_UNCHANGED: &[Stage] = &[Stage::Validate, Stage::Fetch, Stage::Keep, Stage::Record];

/// The stages of a deletion that removes a zip, in order.
const STAGES_OF_DELETION: &[Stage] = &[Stage::Validate, Stage::FindRef, Stage::Expire, Stage::Record];

/// Returns the status of a push, with a sign that tells it from others without its colour.
pub fn badge(push: &PushState) -> Markup {
    let category = Category::of(push);
    let kind = crate::query::name(category);
    html! {
        span class={ "badge " (kind) } { (sign(category)) (status(push)) }
    }
}

/// Returns the sign of a category.
pub fn sign(category: Category) -> Markup {
    html! {
        svg class="sign" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" {
            @match category {
                Category::Open => {
                    circle class="track" cx="8" cy="8" r="6" {}
                    path class="turn" d="M8 2a6 6 0 0 1 6 6" {}
                }
                Category::Failed => {
                    circle class="disc" cx="8" cy="8" r="8" {}
                    path class="mark" d="M5 5l6 6M11 5l-6 6" {}
                }
                Category::Delivered => {
                    circle class="disc" cx="8" cy="8" r="8" {}
                    path class="mark" d="M4.5 8.3l2.4 2.4 4.6-5" {}
                }
                Category::Superseded => {
                    circle class="disc" cx="8" cy="8" r="8" {}
                    path class="mark" d="M4.5 5l3 3-3 3M8.5 5l3 3-3 3" {}
                }
                Category::Expired => {
                    circle class="disc" cx="8" cy="8" r="8" {}
                    path class="mark" d="M5 5h6l-.6 7H5.6zM6.5 4h3" {}
                }
                Category::Ignored => {
                    circle class="disc" cx="8" cy="8" r="8" {}
                    path class="mark" d="M4.5 8h7" {}
                }
            }
        }
    }
}

/// Returns what a push is called: what it is about, or else its ref.
pub fn title(push: &PushState) -> String {
    match (&push.fetched, &push.push.after) {
        (Some(fetched), _) if !fetched.subject.trim().is_empty() => fetched.subject.clone(),
        (_, None) => format!("{} was deleted", push.push.ref_name.short()),
        _ => format!("Push of {}", push.push.ref_name.short()),
    }
}

/// Returns the repository and the ref of a push.
pub fn place(push: &PushState) -> Markup {
    html! {
        bdi class="repository" { (push.push.repository) } " "
        bdi class="ref" { (push.push.ref_name.short()) }
        @if let Some(destination) = &push.push.destination { " for " bdi { (destination) } }
    }
}

/// Returns a link to where a push's commit is.
pub fn commit(push: &PushState) -> Markup {
    html! {
        @if let Some(commit) = push.commit_or_after() {
            a class="commit" href={ "/commits?commit=" (commit) } { (short(commit)) }
        } @else {
            span class="none unseen" { "none" }
        }
    }
}

/// Returns how long a push has taken, or has been open.
pub fn took(push: &PushState, now: DateTime<Utc>) -> String {
    let to = if Category::of(push) == Category::Open {
        now
    } else {
        push.updated_at
    };
    duration(to - push.received_at)
}

/// Returns a table of pushes.
pub fn table(caption: &str, pushes: &[PushState], now: DateTime<Utc>) -> Markup {
    html! {
        table class="pushes" {
            caption class="unseen" { (caption) }
            thead {
                tr {
                    th scope="col" { "Status" }
                    th scope="col" { "Push" }
                    th scope="col" { "Commit" }
                    th scope="col" { "Received (UTC)" }
                    th scope="col" class="number" { "Took" }
                    th scope="col" class="number" { "Zip" }
                }
            }
            tbody {
                @for push in pushes {
                    tr {
                        td class="status" { (badge(push)) }
                        th scope="row" class="what" {
                            a id={ "push-" (push.push_id()) } data-push=(push.push_id()) href={ "/pushes/" (push.push_id()) } {
                                bdi { (title(push)) }
                            }
                            @let outcome = outcome(push);
                            @if !outcome.is_empty() && outcome != title(push) {
                                p class="outcome" { bdi { (outcome) } }
                            }
                            p class="place" { (place(push)) }
                        }
                        td data-label="Commit" { (commit(push)) }
                        td data-label="Received" { (time(push.received_at)) }
                        td data-label="Took" class="number" { (took(push, now)) }
                        td data-label="Zip" class="number" {
                            @match &push.archive {
                                Some(archive) => (bytes(archive.object.size)),
                                None => span class="none unseen" { "none" },
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns how far an open push is, as its stages in order.
pub fn steps(push: &PushState) -> Markup {
    let current = stage_after(push);
    let stages = match current {
        Stage::Keep => STAGES_OF_UNCHANGED,
        _ if push.expire.is_some() => STAGES_OF_DELETION,
        _ if push.push.rollback_to.is_some() => STAGES_OF_ROLLBACK,
        _ => STAGES,
    };
    let reached = stages.iter().position(|stage| *stage == current).unwrap_or(0);
    html! {
        ol class="steps" {
            @for (index, stage) in stages.iter().enumerate() {
                @if index < reached {
                    li class="done" { (stage) span class="unseen" { ": done" } }
                } @else if index == reached {
                    li class="running" aria-current="step" { (stage) span class="unseen" { ": running" } }
                } @else {
                    li { (stage) }
                }
            }
        }
    }
}
