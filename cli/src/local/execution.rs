//! One push into the local stack: its repository is served, its webhook is sent, and its execution is followed.

use std::cell::RefCell;
use std::io::Write;
use std::time::Duration;

use aws_sdk_sfn::types::ExecutionStatus;
use credentials::Credential;
use deployed_stack::Stack;
use deployed_stack::follow::{self, Ended, Moment};
use deployed_stack::trail::{self, Trail};
use deployed_stack::webhook_client::{Accepted, AcceptedPush, Webhook};
use domain::contract::Delivered;
use domain::push::PushId;
use local_aws::aws::LocalAws;
use local_aws::function_log::FunctionLog;
use serde_json::json;
use shell::progress::Progress;
use webhook::gitlab::{Commit, Person, PushHook};

use crate::Error;
use crate::origin::{self, GIT_USER, Origin, Served};
use crate::repository::Tip;
use crate::results::Results;
use crate::states::States;

/// How often the progress of a function is read.
const WATCHED_EVERY: Duration = Duration::from_millis(250);

/// Sends the webhook by `send`, follows the push to its end, and shows its trail.
pub async fn deliver(
    local: &mut LocalAws,
    origin: &Origin,
    tip: &Tip,
    git_port: u16,
    results: &mut Results<impl Write>,
    progress: Progress,
    send: impl AsyncFnOnce(&Webhook, &PushHook) -> Result<Accepted, Error>,
) -> Result<(Trail, Delivered), Error> {
    let served = serve(local, origin, tip, git_port).await?;
    let stack = local.stack()?;
    stack
        .put_git_secret(logins(local, origin, git_port).await?)
        .await?;
    let last = local.last_pushed(&origin.repository(), &tip.ref_name);
    let hook = hook(origin, tip, last, served.as_ref().map(Served::origin)).await?;
    let push = start(&stack, &hook, progress, send).await?;
    local.set_last_pushed(&origin.repository(), &tip.ref_name, &tip.object)?;
    let push = follow_to_end(local, &push, results, progress).await?;
    let delivered = outcome(&push)?;
    Ok((push.trail, delivered))
}

/// A push whose execution has ended.
#[derive(Debug)]
pub struct EndedPush {
    pub push_id: PushId,
    pub ended: Ended,
    pub trail: Trail,
}

/// Serves the ref of a folder, until the returned value is dropped. Returns `None` if the repository is on a git host.
pub async fn serve(
    local: &LocalAws,
    origin: &Origin,
    tip: &Tip,
    git_port: u16,
) -> Result<Option<Served>, Error> {
    let Origin::Folder(folder) = origin else {
        return Ok(None);
    };
    let password = local.record.git_password.clone();
    let log = Some(local.folder().join("git-host.log"));
    Ok(Some(folder.serve(tip, git_port, password, log).await?))
}

/// Returns the logins of the git secret: that of the local git host, and that of the repository's own host if it has
/// one.
pub async fn logins(local: &LocalAws, origin: &Origin, git_port: u16) -> Result<Vec<Credential>, Error> {
    let url = origin::served_url(&format!("http://127.0.0.1:{git_port}"), &origin.repository())?;
    let mut logins = vec![origin::served_login(&url, &local.record.git_password)];
    logins.extend(origin.login().await?);
    Ok(logins)
}

/// Sends the webhook by `send`, and returns the push that it has started.
pub async fn start(
    stack: &Stack,
    hook: &PushHook,
    progress: Progress,
    send: impl AsyncFnOnce(&Webhook, &PushHook) -> Result<Accepted, Error>,
) -> Result<AcceptedPush, Error> {
    let webhook = stack.webhook().await?;
    let step = progress.step(format!("Sending the webhook to {}", webhook.url));
    let accepted = send(&webhook, hook).await?;
    let push = accepted
        .first()
        .map_err(|reason| Error::NothingStarted { reason })?;
    step.done(&format!("Sent the webhook; it started push {}", push.push_id));
    Ok(push)
}

/// Follows a push to its end, and shows its trail.
pub async fn follow_to_end(
    local: &LocalAws,
    push: &AcceptedPush,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<EndedPush, Error> {
    results.put(json!({ "push_id": push.push_id }));
    let stack = local.stack()?;
    let log = FunctionLog::of(local.folder());
    let ended = follow(&stack, &push.push_id, &log, progress).await?;
    let push_id = push.id()?;
    let trail = trail::read(&stack.trail()?, push_id).await?;
    results.put(json!({ "trail": trail.events }));
    let lines = trail.lines();
    results.text(format!("Audit trail of push {push_id}\n{}", lines.trim_end()))?;
    Ok(EndedPush {
        push_id,
        ended,
        trail,
    })
}

/// Returns the webhook that the git host would send. It moves the ref from `last`, where the last push left it. An
/// unchanged ref moves nowhere, which is how a repeated delivery looks.
pub async fn hook(
    origin: &Origin,
    tip: &Tip,
    last: Option<String>,
    served: Option<String>,
) -> Result<PushHook, Error> {
    let repository = origin.repository();
    let nobody = Person {
        name: GIT_USER.to_owned(),
        email: String::new(),
    };
    let (before, (commits, total_commits), user) = match origin {
        Origin::Folder(folder) => {
            let before = match last {
                Some(last) => Some(last),
                None => folder.parent(&tip.commit).await,
            };
            let commits = folder.commits(before.as_deref(), &tip.commit).await?;
            (before, commits, folder.author(&tip.commit).await?)
        }
        Origin::Remote { .. } => (last, (Vec::<Commit>::new(), 0), nobody),
    };
    let (git_http_url, git_ssh_url) = match origin {
        Origin::Folder(_) => {
            let host = served.unwrap_or_default();
            (
                format!("{host}/{repository}.git"),
                format!("git@127.0.0.1:{repository}.git"),
            )
        }
        Origin::Remote { url, .. } if url.scheme() == "ssh" => {
            let (host, path) = (url.host(), url.path_without_git());
            (format!("https://{host}{path}.git"), url.to_string())
        }
        Origin::Remote { url, .. } => {
            let (host, path) = (url.host(), url.path_without_git().trim_start_matches('/'));
            (url.to_string(), format!("git@{host}:{path}.git"))
        }
    };
    Ok(PushHook {
        repository,
        git_http_url,
        git_ssh_url,
        ref_name: tip.ref_name.clone(),
        before,
        after: Some(tip.object.clone()),
        commit: Some(tip.commit.clone()),
        commits,
        total_commits,
        user,
    })
}

async fn follow(stack: &Stack, push_id: &str, log: &FunctionLog, progress: Progress) -> Result<Ended, Error> {
    let arn = stack.execution_arn(push_id)?;
    let client = stack.step_functions();
    let step = progress.step("Following the execution");
    let states = RefCell::new((States::new(progress), log.now()));
    let follow = follow::follow(&client, &arn, |moment| {
        let (states, since) = &mut *states.borrow_mut();
        if let Moment::Entered { .. } = moment {
            *since = log.now();
        }
        states.show(moment);
    });
    let watch = async {
        loop {
            tokio::time::sleep(WATCHED_EVERY).await;
            let (states, since) = &*states.borrow();
            states.report(|| log.news(since));
        }
    };
    let ended = tokio::select! {
        ended = follow => ended?,
        () = watch => unreachable!("it watches as long as it is let"),
    };
    let text = format!("The execution ended: {}", ended.status);
    if ended.status == ExecutionStatus::Succeeded {
        step.done(&text);
    } else {
        step.failed(&text);
    }
    Ok(ended)
}

/// Returns where the zip is, or the reason why there is none as an error.
fn outcome(push: &EndedPush) -> Result<Delivered, Error> {
    let push_id = push.push_id.to_string();
    check_succeeded(&push_id, &push.ended)?;
    let state = push.trail.state.as_ref();
    if let Some(delivered) = state.and_then(|state| state.delivered.clone()) {
        return Ok(delivered);
    }
    Err(Error::NotDelivered {
        push_id,
        status: state.map_or_else(|| "unknown".to_owned(), |state| state.status.to_string()),
        reason: state
            .and_then(domain::state::PushState::reason)
            .unwrap_or_default(),
    })
}

/// Returns an error if the execution of a push has not succeeded.
pub fn check_succeeded(push_id: &str, ended: &Ended) -> Result<(), Error> {
    if ended.status == ExecutionStatus::Succeeded {
        return Ok(());
    }
    let (error, cause) = failure(ended);
    Err(Error::ExecutionFailed {
        push_id: push_id.to_owned(),
        error,
        cause,
    })
}

/// Returns the error's name and what happened, of an execution that has not succeeded.
pub fn failure(ended: &Ended) -> (String, String) {
    let error = ended.error.clone();
    (
        error.unwrap_or_else(|| ended.status.to_string()),
        ended.cause.clone().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_execution_says_error_cause_and_remedy() {
        let ended = Ended {
            status: ExecutionStatus::Failed,
            output: None,
            error: Some("CommitNotFound".to_owned()),
            cause: Some("the commit is gone".to_owned()),
            took: std::time::Duration::ZERO,
        };
        let trail = Trail {
            events: vec![],
            state: None,
        };
        let push_id = domain::samples::push("1", "refs/heads/main").push_id;
        let push = EndedPush {
            push_id,
            ended,
            trail,
        };
        let message = outcome(&push).unwrap_err().to_string();
        for part in [
            "CommitNotFound",
            "the commit is gone",
            domain::error::Code::CommitNotFound.remedy(),
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}
