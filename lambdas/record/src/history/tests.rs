//! Histories, and what of them is in the trail then.

use aws_sdk_sfn::types::{
    StateEnteredEventDetails, TaskFailedEventDetails, TaskSubmitFailedEventDetails, TaskTimedOutEventDetails,
};
use domain::contract::{Failure, Stage};
use domain::samples;

use super::*;
use crate::tests::scene::{Scene, uploaded};

const ARN: &str = "arn:aws:states:eu-west-1:123456789012:execution:push-code:1";

/// A history that is written event by event, one each second.
#[derive(Default)]
struct Written(Vec<HistoryEvent>);

impl Written {
    fn event(
        mut self,
        kind: HistoryEventType,
        details: impl FnOnce(
            aws_sdk_sfn::types::builders::HistoryEventBuilder,
        ) -> aws_sdk_sfn::types::builders::HistoryEventBuilder,
    ) -> Self {
        let id = i64::try_from(self.0.len()).unwrap() + 1;
        let event = HistoryEvent::builder()
            .id(id)
            .r#type(kind)
            .timestamp(DateTime::from_secs(id));
        self.0.push(details(event).build().unwrap());
        self
    }

    fn enters(self, state: &str) -> Self {
        let entered = StateEnteredEventDetails::builder().name(state).build().unwrap();
        self.event(HistoryEventType::TaskStateEntered, |event| {
            event.state_entered_event_details(entered)
        })
    }

    fn fails(self, error: &str) -> Self {
        let failed = TaskFailedEventDetails::builder()
            .resource_type("lambda")
            .resource("invoke")
            .error(error)
            .cause("why")
            .build()
            .unwrap();
        self.event(HistoryEventType::TaskScheduled, |event| event)
            .event(HistoryEventType::TaskFailed, |event| {
                event.task_failed_event_details(failed)
            })
    }

    fn redriven(self) -> Self {
        self.event(HistoryEventType::ExecutionRedriven, |event| event)
    }
}

fn told(failed: &[Failed]) -> Vec<(&str, u32, &str, &str)> {
    failed
        .iter()
        .map(|(failed, _)| {
            (
                &*failed.stage,
                failed.attempt,
                &*failed.error,
                failed.execution_id.strip_prefix(ARN).unwrap(),
            )
        })
        .collect()
}

#[test]
fn attempts_are_numbered_in_each_state_and_each_redrive() {
    let written = Written::default()
        .enters("ReadSource")
        .fails("Ssm.SsmException")
        .fails("States.Timeout")
        .enters("Fetch")
        .fails("GitHostUnreachable")
        .redriven()
        .enters("Fetch")
        .fails("Runtime.ExitError");
    let failed = attempts(&written.0, ARN);
    assert_eq!(
        told(&failed),
        [
            ("ReadSource", 0, "Ssm.SsmException", ""),
            ("ReadSource", 1, "States.Timeout", ""),
            ("Fetch", 0, "GitHostUnreachable", ""),
            ("Fetch", 0, "Runtime.ExitError", "#1"),
        ]
    );
    let (first, used) = &failed[0];
    assert_eq!(
        (&*first.cause, used.milliseconds, used.memory_mib),
        ("why", 1000, 0)
    );
    assert_eq!(
        first.failed_at,
        Some(chrono::DateTime::from_timestamp(3, 0).unwrap())
    );
}

/// `ReportPending` and `Report` call one function, which knows no states.
#[test]
fn an_attempt_has_the_name_that_its_stage_records() {
    let written = Written::default()
        .enters("ReportPending")
        .fails("CommitStatusRefused");
    let written = written.enters("RecordFailure").fails("AuditUnavailable");
    let failed = attempts(&written.0, ARN);
    assert_eq!(
        told(&failed),
        [
            ("Report", 0, "CommitStatusRefused", ""),
            ("Record", 0, "AuditUnavailable", "")
        ]
    );
}

#[test]
fn an_attempt_may_time_out_or_never_begin() {
    let timed_out = TaskTimedOutEventDetails::builder()
        .resource_type("lambda")
        .resource("invoke")
        .error("States.Timeout")
        .build()
        .unwrap();
    let refused = TaskSubmitFailedEventDetails::builder()
        .resource_type("lambda")
        .resource("invoke")
        .error("Lambda.TooManyRequestsException")
        .build()
        .unwrap();
    let written = Written::default()
        .enters("Upload")
        .event(HistoryEventType::TaskTimedOut, |event| {
            event.task_timed_out_event_details(timed_out)
        })
        .event(HistoryEventType::TaskSubmitFailed, |event| {
            event.task_submit_failed_event_details(refused)
        });
    let failed = attempts(&written.0, ARN);
    assert_eq!(
        told(&failed),
        [
            ("Upload", 0, "States.Timeout", ""),
            ("Upload", 1, "Lambda.TooManyRequestsException", "")
        ]
    );
}

/// The events of a push that was uploaded after an attempt of `Fetch` had failed, which its function has recorded.
async fn scene() -> Scene {
    let scene = Scene::default();
    let mut events = vec![
        samples::received(&scene.push, ARN),
        samples::attempt_failed(Stage::Fetch, ARN),
    ];
    events.extend(uploaded());
    scene.append_all(events).await;
    let written = Written::default()
        .enters("ReadSource")
        .fails("Ssm.SsmException")
        .enters("Fetch")
        .fails("GitHostTimedOut")
        .fails("Runtime.ExitError");
    scene.histories.set(written.0);
    scene
}

fn recorded(scene: &Scene) -> Vec<String> {
    let events = scene.events().into_iter();
    let names = events.map(|event| match event {
        PushEvent::AttemptFailed(failed) => format!("{} {} {}", failed.stage, failed.attempt, failed.error),
        other => other.name().to_owned(),
    });
    names.collect()
}

#[tokio::test]
async fn what_no_function_has_recorded_is_recorded_before_the_end_and_once() {
    let scene = scene().await;
    let mut envelope = scene.envelope(ARN, None);
    envelope.input.failed_attempts = 3;
    scene.handle(&envelope).await.unwrap();
    let expected = [
        "PushReceived",
        "Fetch 0 GitHostTimedOut",
        "PushValidated",
        "CommitFetched",
        "ArchivePackaged",
        "ArchiveUploaded",
        "ReadSource 0 Ssm.SsmException",
        "Fetch 1 Runtime.ExitError",
        "PushDelivered",
    ];
    assert_eq!(recorded(&scene), expected);
    // The state machine asks again if more has failed since, of which there is nothing here.
    scene.handle(&envelope).await.unwrap();
    assert_eq!(recorded(&scene), expected);
    let used = scene.state().await.used;
    assert_eq!((used.attempts, used.mib_milliseconds), (2, 0));
}

#[tokio::test]
async fn the_history_is_read_only_if_something_has_failed() {
    let of_success = scene().await;
    of_success.record(ARN, None).await.unwrap();
    assert_eq!(recorded(&of_success).len(), 7);
    let of_failure = scene().await;
    let failure = Failure {
        stage: "Publish".to_owned(),
        ..samples::failure("Publish", "Events.InternalException")
    };
    of_failure.record(ARN, Some(failure)).await.unwrap();
    assert_eq!(recorded(&of_failure).len(), 9);
}

#[tokio::test]
async fn a_push_is_closed_even_if_the_history_cannot_be_read() {
    let scene = Scene::default();
    scene.append_all([samples::received(&scene.push, ARN)]).await;
    scene.append_all(uploaded()).await;
    let mut envelope = scene.envelope(ARN, None);
    envelope.input.failed_attempts = 1;
    scene.handle(&envelope).await.unwrap();
    assert_eq!(recorded(&scene).last().unwrap(), "PushDelivered");
}

#[tokio::test]
async fn a_state_that_was_entered_twice_has_attempts_of_the_same_number() {
    let scene = scene().await;
    let written = Written::default()
        .enters("Fetch")
        .fails("GitHostTimedOut")
        .enters("Fetch")
        .fails("GitHostTimedOut");
    scene.histories.set(written.0);
    let mut envelope = scene.envelope(ARN, None);
    envelope.input.failed_attempts = 2;
    scene.handle(&envelope).await.unwrap();
    let events = recorded(&scene);
    let count = events
        .iter()
        .filter(|event| *event == "Fetch 0 GitHostTimedOut")
        .count();
    assert_eq!(count, 2, "{events:?}");
}
