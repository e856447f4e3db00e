//! The question whether a push is to be replayed, or its destination to be rolled back to it. Nothing is done without
//! the answer.

use domain::push::PushId;
use domain::push_index::Category;
use domain::state::PushState;
use maud::{Markup, html};

use super::{message, parts};
use crate::Pushes;
use crate::actions::Action;
use crate::page::{Block, Page};
use crate::text::time;

/// Returns the page.
///
/// # Errors
/// Returns an error if the push cannot be read.
pub async fn page(pushes: &impl Pushes, action: Action, id: PushId) -> Result<Page, deployed_stack::Error> {
    let Some(push) = pushes.trail(id).await?.state else {
        return Ok(message::unknown_push(&id.to_string(), pushes.stack()));
    };
    let (question, answer) = match action {
        Action::Replay => ("Replay this push?", "Replay"),
        Action::RollBack => ("Roll back to this push?", "Roll back"),
    };
    let content = html! {
        section class="message" {
            h1 { (question) }
            p { (parts::badge(&push)) " " bdi { (parts::title(&push)) } }
            p class="place" { (parts::place(&push)) " " (parts::commit(&push)) ", received " (time(push.received_at)) " UTC" }
            (consequences(action, &push))
            form class="actions" method="post" action={ "/pushes/" (id) "/" (action.path()) } {
                input type="hidden" name="version" value=(push.version);
                button class="primary" { (answer) }
                a href={ "/pushes/" (id) } { "Cancel" }
            }
        }
    };
    Ok(Page::new(question, vec![Block::Fixed(content)]))
}

fn consequences(action: Action, push: &PushState) -> Markup {
    let is_closed = push.delivered.is_some() || push.superseded.is_some() || push.expired.is_some();
    let is_open = Category::of(push) == Category::Open;
    match action {
        Action::Replay => html! {
            p {
                "Another execution takes the push over, as it is in the trail, by the settings that the source has now. \
                 It is as if the webhook was sent again."
            }
            @if is_closed {
                p { "The push was delivered or superseded, or has removed a zip, already: only its event is sent once more." }
            } @else if is_open {
                p { "The push is open. If its execution is still running, it is not replayed." }
            }
        },
        Action::RollBack => html! {
            p {
                "The zip of this push is delivered again, as a push of its own, to the destination that " bdi { (push.push.ref_name) }
                " has now. Whatever listens to deliveries is told, as of any push."
            }
            p { "Earlier pushes do not replace it, even if their webhooks are late. The next push that moves the ref does." }
        },
    }
}
