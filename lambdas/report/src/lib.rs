//! `ReportPending`, `Report` and `ReportFailure`: show at the commit on the git host what has become of a push.
//!
//! What is shown follows from the trail. A function may be slower than the states that follow it, or than another
//! execution of the push, so the trail is read again after a status was set, and what it says by then is set too.

mod api;
mod error;
mod host;
mod stopped;

use std::time::{Duration, Instant};

use audit::EventStore;
use aws::secrets::Secrets;
use credentials::GitSecretJson;
use domain::commit_status::{CommitStatusSet, CommitStatusTarget};
use domain::contract::{Envelope, Failure, ReportInput, Reported};
use domain::execution::Execution;
use domain::push::Push;
use domain::reporting;
use domain::state::PushState;
use workflow::ExecutionOver;

pub use error::Error;
pub use stopped::parse;

use api::StatusUpdate;
use host::Host;

/// How long all requests for one push may take. A host that hangs must not hold up the push for longer.
const TIME_LIMIT: Duration = Duration::from_secs(6);

/// How often a status is set in one call, if the trail has changed meanwhile.
const MAX_UPDATES: usize = 2;

/// The longest link, in characters, which is GitLab's limit. A longer one is left out.
const MAX_LINK: usize = 255;

/// What [`handle`] needs besides its input.
#[derive(Debug)]
pub struct Deps<'a, T, S> {
    /// The audit trail.
    pub trail: &'a T,
    /// The store of the git secrets.
    pub secrets: &'a S,
    /// The URL of an execution in the console, without the execution's ARN.
    pub executions_url: &'a str,
}

/// Sets the status of a push's commit on the git host, unless it is set already.
///
/// # Errors
/// Returns an [`Error`] if the status cannot be set, or if the execution is over.
pub async fn handle(
    deps: &Deps<'_, impl EventStore<Push>, impl Secrets>,
    envelope: &Envelope<ReportInput>,
) -> Result<Reported, Error> {
    let (push, execution_id) = (&envelope.push, &envelope.execution.id);
    let failure = envelope.input.failure.as_ref();
    let load = async || deps.trail.load(push.push_id).await;
    let Some(state) = load().await? else {
        return Ok(skipped("the push has no trail"));
    };
    if failure.is_some() && !state.is_in_charge(execution_id) {
        return Ok(skipped("another execution has taken over the push"));
    }
    if failure.is_none() && state.is_over_for(execution_id) {
        return Err(ExecutionOver::new::<Push>(execution_id, &state).into());
    }
    let mut due = match DueStatus::of(&state, execution_id, failure) {
        Ok(due) if state.commit_status.as_ref() == Some(&due.set) => {
            return Ok(skipped("the status was set before"));
        }
        Ok(due) => due,
        Err(reason) => return Ok(skipped(reason)),
    };
    let secret = deps.secrets.read(&push.source, "git").await?;
    let secret = GitSecretJson::parse(&push.source, &secret)?;
    let authorities = secret.authorities(&push.source)?;
    let deadline = Instant::now() + TIME_LIMIT;
    let mut updates = 0;
    loop {
        let host = Host::new(push, &due.target, &secret, &authorities, deadline)?;
        host.set(&due.update(push, deps.executions_url)).await?;
        updates += 1;
        let now = load().await?;
        match now.map(|state| DueStatus::of(&state, execution_id, failure)) {
            Some(Ok(now)) if now != due && updates < MAX_UPDATES => due = now,
            _ => return Ok(Reported::Set(due.set)),
        }
    }
}

fn skipped(detail: &str) -> Reported {
    Reported::Skipped {
        detail: detail.to_owned(),
    }
}

/// What a commit has to show.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DueStatus {
    target: CommitStatusTarget,
    set: CommitStatusSet,
    description: String,
}

impl DueStatus {
    /// Returns what the commit of a push has to show, if `failure` has ended the execution that has called, or why it
    /// has nothing to show.
    fn of(state: &PushState, execution_id: &str, failure: Option<&Failure>) -> Result<Self, &'static str> {
        let failure = failure.filter(|_| state.is_in_charge(execution_id));
        let deliver = state.deliver.as_ref().or(state.decided_before.as_ref());
        let target = deliver.and_then(|deliver| deliver.commit_status.clone());
        let target = target.ok_or("the source shows no status of commits")?;
        let commit = reporting::commit(state);
        let commit = commit.ok_or("the commit of a tag is known once it was fetched")?;
        let (status, description) = reporting::status(state, failure).ok_or("nothing was to be delivered")?;
        Ok(Self {
            set: CommitStatusSet {
                status,
                commit,
                url: target.url.clone(),
                // The last one is in charge.
                execution_id: state.executions.last().cloned().unwrap_or_default(),
            },
            target,
            description,
        })
    }

    fn update<'a>(&'a self, push: &'a Push, executions_url: &str) -> StatusUpdate<'a> {
        let link = format!("{executions_url}{}", Execution::arn(&self.set.execution_id));
        StatusUpdate {
            repository: &push.repository,
            ref_name: &push.ref_name,
            commit: &self.set.commit,
            status: self.set.status,
            context: &self.target.context,
            description: &self.description,
            link: (link.len() <= MAX_LINK).then_some(link),
        }
    }
}

#[cfg(test)]
mod tests;
