//! What the git host shows of a push.

use crate::commit_status::CommitStatus;
use crate::contract::{Failure, IgnoreReason};
use crate::git::{CommitId, ObjectId};
use crate::plain;
use crate::state::{PushState, Status};

/// The longest description, in characters, which is GitHub's limit. GitLab allows 255.
const MAX_DESCRIPTION: usize = 140;

/// The refs whose objects may be annotated tags.
const TAGS: &str = "refs/tags/";

/// Returns what the commit of a push has to show, with a description, or `None` if it shows nothing. `failure` is what
/// has ended the execution, if it has failed.
#[must_use]
pub fn status(state: &PushState, failure: Option<&Failure>) -> Option<(CommitStatus, String)> {
    let text = |status, description: &str| Some((status, description.to_owned()));
    match (state.status, failure) {
        (Status::Delivered, _) => text(CommitStatus::Success, "The zip is at its destination."),
        (Status::Superseded, _) => text(CommitStatus::Canceled, "Superseded: a newer push was delivered."),
        // No commit was pushed.
        (Status::Expired, _) => None,
        (Status::Ignored, _) => match state.ignored.as_ref().map(|ignored| ignored.reason) {
            Some(IgnoreReason::Duplicate) => text(
                CommitStatus::Success,
                "The zip is at its destination, by an earlier push of the same.",
            ),
            Some(IgnoreReason::PathsUnchanged) => text(
                CommitStatus::Success,
                "The zip at the destination stays: nothing that concerns it has changed.",
            ),
            _ => None,
        },
        (_, Some(failure)) => Some((CommitStatus::Failed, failed(failure))),
        (Status::Failed, None) => state
            .failure
            .as_ref()
            .map(|failed_push| (CommitStatus::Failed, failed(&failed_push.failure))),
        _ => text(CommitStatus::Pending, "The push is being delivered."),
    }
}

/// Describes a failure by its name alone, because whoever can see the commit is not who may see its cause.
fn failed(failure: &Failure) -> String {
    let text = format!("{} failed: {}", failure.stage, failure.error);
    plain(&text, MAX_DESCRIPTION)
}

/// Returns the commit of a push, or `None` if it is not known. A tag may be an object of its own, whose commit is known
/// once it was fetched.
#[must_use]
pub fn commit(state: &PushState) -> Option<CommitId> {
    let fetched = state.fetched.as_ref().map(|fetched| fetched.commit.clone());
    let is_tag = state.push.ref_name.as_str().starts_with(TAGS);
    let pushed = || state.push.after.clone().filter(|_| !is_tag);
    fetched.or_else(|| pushed().map(ObjectId::into_commit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PushEvent;
    use crate::samples::{self, failure, folded, push, received};

    fn status_of(events: Vec<PushEvent>, failure: Option<&Failure>) -> Option<CommitStatus> {
        status(&folded(events), failure).map(|(status, _)| status)
    }

    #[test]
    fn the_status_says_what_the_trail_says() {
        let push = push("d1", "refs/heads/main");
        let delivered = samples::delivered_trail(&push);
        let until = |events: usize| delivered[..events].to_vec();
        let and = |events: usize, last: PushEvent| [until(events), vec![last]].concat();
        let failed = failure("Publish", "EventBridge.InternalException");
        for events in 1..=5 {
            assert_eq!(status_of(until(events), None), Some(CommitStatus::Pending));
            assert_eq!(
                status_of(until(events), Some(&failed)),
                Some(CommitStatus::Failed)
            );
        }
        // A push that fails after it was delivered is delivered.
        for failure in [None, Some(&failed)] {
            assert_eq!(status_of(until(6), failure), Some(CommitStatus::Success));
        }
        let superseded = and(4, PushEvent::PushSuperseded(samples::superseded()));
        assert_eq!(status_of(superseded, None), Some(CommitStatus::Canceled));
        assert_eq!(
            status_of(and(3, samples::push_failed("e1")), None),
            Some(CommitStatus::Failed)
        );
        let mut ignored = samples::ignored();
        assert_eq!(
            status_of(and(1, PushEvent::PushIgnored(ignored.clone())), None),
            None
        );
        ignored.reason = IgnoreReason::Duplicate;
        let duplicate = and(4, PushEvent::PushIgnored(ignored));
        assert_eq!(status_of(duplicate, None), Some(CommitStatus::Success));
    }

    #[test]
    fn every_description_is_short_and_has_no_cause() {
        let state = folded([received(&push("d1", "refs/heads/main"), "e1")]);
        let failure = Failure {
            stage: "Fetch".to_owned(),
            error: "E\n".repeat(200),
            cause: "s3cret".to_owned(),
        };
        let (_, description) = status(&state, Some(&failure)).unwrap();
        assert!(description.starts_with("Fetch failed: E"), "{description}");
        assert!(description.chars().count() <= MAX_DESCRIPTION, "{description}");
        assert!(
            !description.contains("s3cret") && !description.contains('\n'),
            "{description}"
        );
    }

    #[test]
    fn the_commit_of_a_tag_is_known_once_it_was_fetched() {
        let state = |ref_name: &str, events: usize| {
            folded(samples::delivered_trail(&push("d1", ref_name))[..events].to_vec())
        };
        let pushed = samples::object_id('a').into_commit();
        assert_eq!(commit(&state("refs/heads/main", 2)), Some(pushed.clone()));
        assert_eq!(commit(&state("refs/tags/v1", 2)), None);
        assert_eq!(commit(&state("refs/tags/v1", 3)), Some(pushed));
    }
}
