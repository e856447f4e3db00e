//! Follows an execution of the state machine, state by state.

use std::time::{Duration, SystemTime};

use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent, HistoryEventType};

use crate::Error;

const POLL: Duration = Duration::from_millis(200);

/// Something that happened in an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// A task's state was entered.
    Entered {
        /// The state.
        state: String,
    },
    /// An attempt of the state's task failed. It may be retried.
    AttemptFailed {
        /// The state.
        state: String,
        /// The error's name.
        error: String,
    },
    /// The state's task is retried after an attempt that failed.
    TriedAgain {
        /// The state.
        state: String,
        /// How long after the attempt failed.
        after: Duration,
    },
    /// A task's state was left.
    Exited {
        /// The state.
        state: String,
        /// How long it took, with all its attempts.
        took: Duration,
        /// Whether its last attempt failed.
        failed: bool,
    },
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whether it succeeded.
    pub status: ExecutionStatus,
    /// Its output.
    pub output: Option<String>,
    /// The error's name. `None` if it succeeded.
    pub error: Option<String>,
    /// What happened. `None` if it succeeded.
    pub cause: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// Follows the execution until it ends, and calls `on` with each moment.
///
/// # Errors
/// Returns an error if Step Functions does not know the execution, or does not answer.
pub async fn follow(
    client: &aws_sdk_sfn::Client,
    execution_arn: &str,
    mut on: impl FnMut(Moment),
) -> Result<Ended, Error> {
    let mut reader = Reader::default();
    loop {
        // The status is read before the history, so that the history of an execution that has ended is read to its end.
        let execution = client
            .describe_execution()
            .execution_arn(execution_arn)
            .send()
            .await;
        let execution = execution.map_err(Error::aws(format!("read the execution {execution_arn}")))?;
        let mut pages = client
            .get_execution_history()
            .execution_arn(execution_arn)
            .include_execution_data(false)
            .into_paginator()
            .items()
            .send();
        while let Some(event) = pages.next().await {
            let event = event.map_err(Error::aws(format!("read the history of {execution_arn}")))?;
            if let Some(moment) = reader.read(&event) {
                on(moment);
            }
        }
        if execution.status != ExecutionStatus::Running {
            let stopped = execution.stop_date.as_ref().map(to_time);
            return Ok(Ended {
                took: between(Some(to_time(&execution.start_date)), stopped),
                status: execution.status,
                output: execution.output,
                error: execution.error,
                cause: execution.cause,
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Turns history events into moments, each event once.
#[derive(Default)]
struct Reader {
    last_id: i64,
    state: Option<(String, SystemTime)>,
    /// When the last attempt of the state's task failed. `None` if none has failed, or another has begun since.
    failed_at: Option<SystemTime>,
}

impl Reader {
    fn read(&mut self, event: &HistoryEvent) -> Option<Moment> {
        if event.id <= self.last_id {
            return None;
        }
        self.last_id = event.id;
        match &event.r#type {
            HistoryEventType::TaskStateEntered => {
                let state = event.state_entered_event_details.as_ref()?.name.clone();
                self.state = Some((state.clone(), to_time(&event.timestamp)));
                self.failed_at = None;
                Some(Moment::Entered { state })
            }
            HistoryEventType::TaskStateExited => {
                let state = event.state_exited_event_details.as_ref()?.name.clone();
                let since = self.state.take().map(|(_, since)| since);
                let took = between(since, Some(to_time(&event.timestamp)));
                let failed = self.failed_at.take().is_some();
                Some(Moment::Exited { state, took, failed })
            }
            HistoryEventType::TaskScheduled | HistoryEventType::LambdaFunctionScheduled => {
                let failed_at = self.failed_at.take()?;
                Some(Moment::TriedAgain {
                    state: self.state.as_ref()?.0.clone(),
                    after: between(Some(failed_at), Some(to_time(&event.timestamp))),
                })
            }
            _ => {
                let error = failed_attempt(event)?;
                self.failed_at = Some(to_time(&event.timestamp));
                Some(Moment::AttemptFailed {
                    state: self.state.as_ref()?.0.clone(),
                    error,
                })
            }
        }
    }
}

/// Returns the error of an attempt that failed or timed out, or `None` for any other event.
fn failed_attempt(event: &HistoryEvent) -> Option<String> {
    let failed = event
        .task_failed_event_details
        .as_ref()
        .map(|details| &details.error);
    let timed_out = event
        .task_timed_out_event_details
        .as_ref()
        .map(|details| &details.error);
    let lambda = event
        .lambda_function_failed_event_details
        .as_ref()
        .map(|details| &details.error);
    failed
        .or(timed_out)
        .or(lambda)
        .map(|error| error.clone().unwrap_or_default())
}

fn to_time(time: &aws_sdk_sfn::primitives::DateTime) -> SystemTime {
    let millis = u64::try_from(time.to_millis().unwrap_or_default()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn between(from: Option<SystemTime>, to: Option<SystemTime>) -> Duration {
    from.zip(to)
        .and_then(|(from, to)| to.duration_since(from).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime;
    use aws_sdk_sfn::types::{StateEnteredEventDetails, StateExitedEventDetails, TaskFailedEventDetails};

    use super::*;

    fn event(id: i64, kind: HistoryEventType) -> aws_sdk_sfn::types::builders::HistoryEventBuilder {
        HistoryEvent::builder()
            .id(id)
            .r#type(kind)
            .timestamp(DateTime::from_millis(id * 1_000))
    }

    #[test]
    fn a_state_whose_last_attempt_failed_has_failed() {
        let failed = TaskFailedEventDetails::builder()
            .resource_type("lambda")
            .resource("invoke")
            .error("PathUnsafe")
            .build()
            .unwrap();
        let entered = StateEnteredEventDetails::builder()
            .name("Package")
            .build()
            .unwrap();
        let exited = StateExitedEventDetails::builder()
            .name("Package")
            .build()
            .unwrap();
        let mut reader = Reader::default();
        let moments = [
            event(1, HistoryEventType::TaskStateEntered).state_entered_event_details(entered),
            event(2, HistoryEventType::TaskScheduled),
            event(3, HistoryEventType::TaskFailed).task_failed_event_details(failed),
            event(4, HistoryEventType::TaskStateExited).state_exited_event_details(exited),
        ]
        .map(|event| reader.read(&event.build().unwrap()));
        assert_eq!(moments[1], None);
        assert!(matches!(moments[3], Some(Moment::Exited { failed: true, .. })));
    }

    #[test]
    fn each_event_is_told_once_with_its_state_and_time() {
        let entered = StateEnteredEventDetails::builder().name("Fetch").build().unwrap();
        let exited = StateExitedEventDetails::builder().name("Fetch").build().unwrap();
        let failed = TaskFailedEventDetails::builder()
            .resource_type("lambda")
            .resource("invoke")
            .error("GitHostUnreachable")
            .build()
            .unwrap();
        let history = [
            event(1, HistoryEventType::ExecutionStarted),
            event(2, HistoryEventType::TaskStateEntered).state_entered_event_details(entered),
            event(3, HistoryEventType::TaskFailed).task_failed_event_details(failed),
            event(5, HistoryEventType::TaskScheduled),
            event(6, HistoryEventType::TaskStateExited).state_exited_event_details(exited),
        ]
        .map(|event| event.build().unwrap());
        let mut reader = Reader::default();
        let mut moments: Vec<Moment> = history[..3]
            .iter()
            .filter_map(|event| reader.read(event))
            .collect();
        moments.extend(history.iter().filter_map(|event| reader.read(event)));
        let state = || "Fetch".to_owned();
        assert_eq!(
            moments,
            [
                Moment::Entered { state: state() },
                Moment::AttemptFailed {
                    state: state(),
                    error: "GitHostUnreachable".to_owned()
                },
                Moment::TriedAgain {
                    state: state(),
                    after: Duration::from_secs(2)
                },
                Moment::Exited {
                    state: state(),
                    took: Duration::from_secs(4),
                    failed: false,
                },
            ]
        );
    }
}
