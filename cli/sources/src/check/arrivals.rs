//! Whether the webhook of a source arrives, by what has started its last pushes.

use std::cmp::Reverse;

use audit::Filter;
use aws::failure::chain;
use chrono::{TimeDelta, Utc};
use deployed_stack::{Error, Stack, trail};
use domain::push::{SourceName, Trigger};
use domain::state::PushState;

use crate::check::outcome::Check;

const SUBJECT: &str = "arrival of webhooks";

/// How many of the last pushes are looked at.
const LAST: usize = 50;

/// How many pushes in a row the sweep has to find before that is taken for a rule: hosts do not send a webhook for each
/// of many refs that are pushed at once.
const MIN_IN_A_ROW: usize = 3;

/// Returns the last pushes of seven days, the newest first.
///
/// # Errors
/// As of [`trail::list`].
pub async fn last_pushes(stack: &Stack, name: &SourceName) -> Result<Vec<PushState>, Error> {
    let filter = Filter {
        source: Some(name.clone()),
        ..Filter::since(Utc::now() - TimeDelta::days(7))
    };
    let mut pushes = trail::list(stack, &filter, LAST).await?.pushes;
    pushes.sort_by_key(|push| Reverse(push.received_at));
    Ok(pushes)
}

/// Looks at the last pushes, the newest first.
pub fn check(pushes: &Result<Vec<PushState>, Error>) -> Check {
    match pushes {
        Ok(pushes) => {
            // Of those, the git host says by its own rules why it has sent no webhook, such as for many tags at once.
            let explained = pushes.iter().filter(|push| push.push.missed.is_none());
            let triggers: Vec<_> = explained.map(|push| push.push.trigger).collect();
            judge(&triggers)
        }
        Err(error) => Check::not_checked(SUBJECT, chain(error)),
    }
}

/// Judges by what has started the last pushes, the newest first.
fn judge(triggers: &[Trigger]) -> Check {
    let is_of_sweep = |trigger: &&Trigger| **trigger == Trigger::Sweep;
    match triggers.iter().take_while(is_of_sweep).count() {
        _ if triggers.is_empty() => {
            Check::not_checked(SUBJECT, "there is no push of the last seven days to judge by")
        }
        swept if swept >= MIN_IN_A_ROW => Check::wrong(
            SUBJECT,
            format!("the last {swept} pushes were found by the sweep: no webhook came"),
            "In the git host, see whether the webhook is enabled, and what its last deliveries were answered \
             (push-code docs guides/git-hosts#answers).",
        ),
        0 => Check::ok(SUBJECT, "the last push came by a webhook, or was a rollback"),
        swept => Check::ok(
            SUBJECT,
            format!("of the last pushes, {swept} came by the sweep: webhooks came before"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::outcome::Outcome;

    #[test]
    fn a_webhook_that_does_not_arrive_shows_by_pushes_that_the_sweep_has_found() {
        use Trigger::{Rollback, Sweep, Webhook};
        assert!(matches!(judge(&[]).outcome, Outcome::NotChecked { .. }));
        assert!(judge(&[Sweep, Sweep, Sweep]).is_failed());
        assert!(judge(&[Sweep, Sweep, Sweep, Sweep, Webhook]).is_failed());
        // As after a push of several tags.
        assert!(!judge(&[Sweep, Sweep]).is_failed());
        assert!(!judge(&[Webhook, Sweep, Sweep, Sweep]).is_failed());
        assert!(!judge(&[Rollback, Sweep, Sweep, Sweep]).is_failed());
    }
}
