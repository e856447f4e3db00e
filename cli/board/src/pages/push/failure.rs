//! What has failed, and what to do.

use deployed_stack::console::Console;
use domain::error::remedy;
use domain::state::PushState;
use maud::{Markup, html};

/// Returns the failure of the execution in charge, or nothing if it has not failed.
pub fn panel(push: &PushState, console: Option<&Console>) -> Markup {
    let Some(failed) = &push.failure else {
        return html! {};
    };
    let failure = &failed.failure;
    let remedy = remedy(&failure.error);
    // The cause of a failed stage ends with the remedy.
    let cause = failure.cause.replace(remedy, "");
    html! {
        section class="panel failure" aria-labelledby="failure-title" {
            h2 id="failure-title" {
                bdi { (failure.stage) } " failed with " code { (failure.error) }
            }
            dl class="facts" {
                dt { "Cause" }
                dd { bdi { (cause.trim()) } }
                dt { "What to do" }
                dd class="remedy" { (remedy) }
                @if let Some(log) = console.and_then(|console| console.log(&failure.stage, push.push_id(), push.received_at)) {
                    dt { "Log" }
                    dd { a id="failure-log" href=(log) { "What the function has logged about the push" } }
                }
                @if push.status.is_complete() {
                    dt { "Before" }
                    dd { "The push was " (push.status) " before, and stays so." }
                }
            }
        }
    }
}
