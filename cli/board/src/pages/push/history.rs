//! The events of a push, as they are in the trail.

use deployed_stack::trail::summary;
use domain::aggregate::RecordedEvent;
use domain::event::PushEvent;
use maud::{Markup, html};

use crate::text::clock;

/// Returns all events, each with what it says as JSON.
pub fn panel(events: &[RecordedEvent<PushEvent>]) -> Markup {
    html! {
        section class="panel" aria-labelledby="history-title" {
            h2 id="history-title" { "Events" }
            ol class="events" {
                @for recorded in events {
                    li {
                        details id={ "event-" (recorded.version) } {
                            summary id={ "event-" (recorded.version) "-summary" } {
                                span class="version" { (recorded.version) }
                                span class="name" { (recorded.event.name()) }
                                (clock(recorded.recorded_at))
                                bdi class="says" { (summary(&recorded.event)) }
                            }
                            pre tabindex="0" { code { (serde_json::to_string_pretty(recorded).unwrap_or_default()) } }
                        }
                    }
                }
            }
        }
    }
}
