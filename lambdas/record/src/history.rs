//! Failed attempts that no function could record: of states that call none, and of functions that have died or could
//! not be called. The history of the execution has them.

use std::collections::HashMap;

use audit::{AuditError, EventStore, MAX_ATTEMPTS, backoff};
use aws::AwsFailure;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType};
use chrono::{TimeDelta, Utc};
use domain::aggregate::Aggregate as _;
use domain::contract::Stage;
use domain::cost::Attempt;
use domain::event::PushEvent;
use domain::execution::Execution;
use domain::flow::AttemptFailed;
use domain::push::{Push, PushId};

/// The histories of executions.
pub trait Histories: Send + Sync {
    /// Returns the history of the execution with this ARN, oldest first.
    fn read(&self, arn: &str) -> impl Future<Output = Result<Vec<HistoryEvent>, AwsFailure>> + Send;
}

/// The histories in Step Functions.
#[derive(Debug, Clone)]
pub struct StepFunctions(Client);

impl StepFunctions {
    /// Creates a client.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self(Client::new(config))
    }
}

impl Histories for StepFunctions {
    async fn read(&self, arn: &str) -> Result<Vec<HistoryEvent>, AwsFailure> {
        let pages = self.0.get_execution_history().execution_arn(arn);
        // The inputs and outputs of all states are not needed.
        let pages = pages.include_execution_data(false).into_paginator();
        let events = pages.items().send().collect::<Result<Vec<_>, _>>().await;
        events.map_err(|error| AwsFailure::new("states:GetExecutionHistory", &error))
    }
}

/// The histories where the stages run without a state machine: there are none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHistories;

impl Histories for NoHistories {
    async fn read(&self, _: &str) -> Result<Vec<HistoryEvent>, AwsFailure> {
        Ok(Vec::new())
    }
}

/// A failed attempt, and how long it has taken.
type Failed = (AttemptFailed<String>, Attempt);

/// Records the failed attempts of an execution that its history has and the trail lacks.
///
/// # Errors
/// Returns an error if the trail fails.
pub async fn record_attempts(
    trail: &impl EventStore<Push>,
    push_id: PushId,
    history: &[HistoryEvent],
    arn: &str,
) -> Result<(), AuditError> {
    let failed = attempts(history, arn);
    for attempt in 0..MAX_ATTEMPTS {
        let events = trail.events(push_id).await?;
        let mut state = Push::fold(&events)?;
        for (event, used) in missing(&failed, events.iter().map(|recorded| &recorded.event)) {
            let event = PushEvent::AttemptFailed(event.clone());
            state = trail.try_append_measured(state, event, Some(*used)).await?;
            if state.is_none() {
                break;
            }
        }
        if state.is_some() {
            return Ok(());
        }
        // Another writer was first, such as another copy of this function, which records the same attempts.
        tokio::time::sleep(backoff(attempt)).await;
    }
    Err(AuditError::contended::<Push>(push_id))
}

/// Returns the attempts that the trail lacks. A state that was entered twice has two of the same number, so they are
/// counted.
fn missing<'a>(failed: &'a [Failed], events: impl Iterator<Item = &'a PushEvent>) -> Vec<&'a Failed> {
    let mut recorded: HashMap<_, usize> = HashMap::new();
    for event in events {
        if let PushEvent::AttemptFailed(failed) = event {
            *recorded.entry(name(failed)).or_default() += 1;
        }
    }
    let mut missing = Vec::new();
    for one in failed {
        match recorded.get_mut(&name(&one.0)) {
            Some(left) if *left > 0 => *left -= 1,
            _ => missing.push(one),
        }
    }
    missing
}

fn name(failed: &AttemptFailed<String>) -> (&str, &str, u32, &str) {
    (&failed.execution_id, &failed.stage, failed.attempt, &failed.error)
}

/// Returns the failed attempts that a history has.
fn attempts(history: &[HistoryEvent], arn: &str) -> Vec<Failed> {
    // A stage has recorded its attempts under its own name.
    let (mut state, mut attempt, mut redrives) = (String::new(), 0, 0);
    let mut began = None;
    let mut failed = Vec::new();
    for event in history {
        match event.r#type {
            HistoryEventType::ExecutionRedriven => {
                redrives += 1;
                attempt = 0;
            }
            HistoryEventType::TaskStateEntered => {
                let entered = event.state_entered_event_details.as_ref();
                let entered = entered.map_or("", |entered| &entered.name);
                state =
                    Stage::of_state(entered).map_or_else(|| entered.to_owned(), |stage| stage.to_string());
                attempt = 0;
            }
            HistoryEventType::TaskScheduled => began = Some(event.timestamp),
            _ => {}
        }
        let Some((error, cause)) = failure(event) else {
            continue;
        };
        let failed_at = to_time(event.timestamp);
        let milliseconds = began
            .take()
            .map_or(0, |began| (failed_at - to_time(began)).num_milliseconds());
        let event = AttemptFailed {
            stage: state.clone(),
            attempt,
            execution_id: Execution::redriven(arn.to_owned(), redrives),
            error,
            cause,
            failed_at: Some(failed_at),
        };
        let used = Attempt {
            milliseconds: u64::try_from(milliseconds).unwrap_or_default(),
            memory_mib: 0,
        };
        failed.push((event, used));
        attempt += 1;
    }
    failed
}

/// Returns the error of an attempt and its cause, or `None` if the event is another one.
fn failure(event: &HistoryEvent) -> Option<(String, String)> {
    let (error, cause) = if let Some(failed) = &event.task_failed_event_details {
        (&failed.error, &failed.cause)
    } else if let Some(failed) = &event.task_timed_out_event_details {
        (&failed.error, &failed.cause)
    } else if let Some(failed) = &event.task_submit_failed_event_details {
        (&failed.error, &failed.cause)
    } else if let Some(failed) = &event.task_start_failed_event_details {
        (&failed.error, &failed.cause)
    } else {
        return None;
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Some((text(error), text(cause)))
}

fn to_time(time: DateTime) -> chrono::DateTime<Utc> {
    let since = TimeDelta::milliseconds(time.to_millis().unwrap_or_default());
    chrono::DateTime::UNIX_EPOCH + since
}

#[cfg(test)]
mod tests;
