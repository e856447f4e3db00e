//! The question whether a push is to be replayed. Nothing is replayed without the answer.

use domain::index::Category;
use domain::push::PushId;
use maud::html;

use super::{message, parts};
use crate::Pushes;
use crate::page::{Block, Page};
use crate::text::time;

/// Returns the page.
///
/// # Errors
/// Returns an error if the push cannot be read.
pub async fn page(pushes: &impl Pushes, id: PushId) -> Result<Page, local_aws::Error> {
    let Some(push) = pushes.trail(id).await?.state else {
        return Ok(message::unknown_push(&id.to_string(), pushes.stack()));
    };
    let is_closed = push.delivered.is_some() || push.superseded.is_some();
    let is_open = Category::of(&push) == Category::Open;
    let content = html! {
        section class="message" {
            h1 { "Replay this push?" }
            p { (parts::badge(&push)) " " bdi { (parts::title(&push)) } }
            p class="place" { (parts::place(&push)) " " (parts::commit(&push)) ", received " (time(push.received_at)) " UTC" }
            p {
                "Another execution takes the push over, as it is in the trail, by the settings that the source has now. \
                 It is as if the webhook was sent again."
            }
            @if is_closed {
                p { "The push was delivered or superseded already: only its event is sent once more." }
            } @else if is_open {
                p { "The push is open. If its execution is still running, it is not replayed." }
            }
            form class="actions" method="post" action={ "/pushes/" (id) "/replay" } {
                input type="hidden" name="version" value=(push.version);
                button class="primary" { "Replay" }
                a href={ "/pushes/" (id) } { "Cancel" }
            }
        }
    };
    Ok(Page::new("Replay this push?", vec![Block::Fixed(content)]))
}
