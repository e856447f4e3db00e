//! A push: how far it is, what has failed, its timeline, its facts and its events.

mod failure;
mod history;
mod spans;

use chrono::Utc;
use delivery::state::DeploymentState;
use deployed_stack::trail::status;
use domain::push::PushId;
use domain::push_index::Category;
use domain::state::PushState;
use maud::{Markup, html};

use super::{message, parts};
use crate::Pushes;
use crate::page::{Block, Page, Part};
use crate::text::{bytes, time};
use crate::timeline::{self, Outcome, Run};

/// Returns the page.
///
/// # Errors
/// Returns an error if the push cannot be read.
pub async fn page(pushes: &impl Pushes, id: PushId) -> Result<Page, deployed_stack::Error> {
    let (trail, deployments) = futures::try_join!(pushes.trail(id), pushes.deployments(id))?;
    let Some(push) = trail.state else {
        return Ok(message::unknown_push(&id.to_string(), pushes.stack()));
    };
    let now = Utc::now();
    let runs = timeline::of(&trail.events, &push, now);
    let console = pushes.console();
    let title = parts::title(&push);
    let mut page = Page::new(
        title.clone(),
        vec![
            message::notice(None),
            Block::Live(Part::new("head", &head(&push, &title, &parts::took(&push, now)))),
            Block::Live(Part::new("failure", &failure::panel(&push, console.as_ref()))),
            Block::Live(Part::new("timeline", &spans::panel(&runs, console.as_ref()))),
            Block::Live(Part::new("facts", &facts(&push))),
            Block::Live(Part::new("deployments", &deployed(&deployments))),
            Block::Live(Part::new("history", &history::panel(&trail.events))),
        ],
    );
    page.summary = summary(&push, &runs);
    Ok(page)
}

fn summary(push: &PushState, runs: &[Run]) -> String {
    let running = runs.last().and_then(|run| run.spans.last());
    match running.filter(|span| span.outcome == Outcome::Running) {
        Some(span) => format!("The push is {}. {} is running.", push.status, span.name),
        None => format!("The push is {}.", status(push)),
    }
}

fn head(push: &PushState, title: &str, took: &str) -> Markup {
    html! {
        nav aria-label="Breadcrumb" class="crumbs" {
            a id="crumb-all" href="/" { "Pushes" }
            " / "
            a id="crumb-repository" href={ "/?repository=" (encoded(push.push.repository.as_str())) } {
                bdi { (push.push.repository) }
            }
        }
        div class="head" {
            div {
                h1 { bdi { (title) } }
                p class="place" {
                    (parts::badge(push)) " " (parts::place(push)) " " (parts::commit(push))
                    @if let Some(pusher) = &push.push.pusher {
                        @if push.push.rollback_to.is_some() { " rolled back by " } @else { " pushed by " }
                        bdi { (pusher) }
                    }
                    ", received " (time(push.received_at)) " UTC, "
                    @if Category::of(push) == Category::Open { "running for " } @else { "took " }
                    (took)
                }
            }
            p class="buttons" {
                @if push.delivered.as_ref().is_some_and(|zip| zip.version_id.is_some()) {
                    a id="rollback" class="button" href={ "/pushes/" (push.push_id()) "/rollback" } { "Roll back to this" }
                }
                a id="replay" class="button" href={ "/pushes/" (push.push_id()) "/replay" } { "Replay" }
            }
        }
        @if Category::of(push) == Category::Open { (parts::steps(push)) }
    }
}

fn facts(push: &PushState) -> Markup {
    html! {
        section class="panel" aria-labelledby="facts-title" {
            h2 id="facts-title" { "Facts" }
            dl class="facts" {
                @if let Some(reason) = push.reason() {
                    dt { "Reason" } dd { bdi { (reason) } }
                }
                @if let Some(superseded) = &push.superseded {
                    dt { "Superseded by" } dd { (link("superseded-by", superseded.by)) }
                }
                @if let Some(duplicate) = push.ignored.as_ref().and_then(|ignored| ignored.duplicate_of) {
                    dt { "Duplicate of" } dd { (link("duplicate-of", duplicate)) }
                }
                @if let Some(to) = push.push.rollback_to {
                    dt { "Rollback to" } dd { (link("rollback-to", to)) }
                }
                @if let Some(delivered) = &push.delivered {
                    dt { "Zip" } dd { bdi { "s3://" (delivered.bucket) "/" (delivered.key) } }
                    dt { "Version" } dd { code { (delivered.version_id.as_deref().unwrap_or("none")) } }
                } @else if let Some(deliver) = &push.deliver {
                    dt { "Destination" } dd { bdi { "s3://" (deliver.destination.bucket) "/" (deliver.destination.key) } }
                }
                @if let Some(archive) = &push.archive {
                    dt { "Size" } dd { (bytes(archive.object.size)) ", " (archive.entries) " entries" }
                    dt { "SHA-256" } dd { code { (archive.sha256) } }
                    @if !archive.warnings.is_empty() {
                        dt { "Warnings" }
                        dd { ul { @for warning in &archive.warnings { li { bdi { (warning) } } } } }
                    }
                }
                @if let Some(fetched) = &push.fetched {
                    dt { "Commit" } dd { code { (fetched.commit) } }
                    dt { "Author" } dd { bdi { (fetched.author.name) " <" (fetched.author.email) ">" } }
                    @if let Some(signature) = &fetched.signature {
                        dt { "Signed by" } dd { bdi { (signature.signer) } " " code { (signature.key) } }
                    }
                }
                dt { "Ref" } dd { bdi { (push.push.ref_name) } }
                dt { "Change" }
                dd {
                    code { (push.push.before.as_ref().map_or("new", |before| before.as_str())) }
                    " → "
                    code { (push.push.after.as_ref().map_or("deleted", |after| after.as_str())) }
                }
                @if let Some(deliver) = &push.deliver { dt { "Number" } dd { (deliver.sequence) } }
                dt { "Source" } dd { (push.push.source) }
                dt { "Delivery" } dd { code { (push.push.delivery_id) } }
                dt { "Push" } dd { code { (push.push_id()) } }
            }
        }
    }
}

fn deployed(deployments: &[DeploymentState]) -> Markup {
    html! {
        @if !deployments.is_empty() {
            section class="panel" aria-labelledby="deployments-title" {
                h2 id="deployments-title" { "Deployments" }
                ul class="places" {
                    @for state in deployments {
                        li {
                            p { strong { (state.status) } " in " (state.deployment.environment) " of " (state.deployment.application) }
                            p class="place" { code { (state.deployment_id) } ", requested " (time(state.requested_at)) " UTC" }
                            @if let Some(failed) = &state.failure {
                                p class="outcome" { bdi { (failed.failure.error) ": " (failed.failure.cause) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn link(element: &str, id: PushId) -> Markup {
    html! { a id=(element) href={ "/pushes/" (id) } { code { (id) } } }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
