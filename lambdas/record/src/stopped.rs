//! Reads the event of an execution that could not record its own end, because it was stopped or reached its time limit.

use domain::contract::{Envelope, RecordInput};
use serde_json::Value;

/// Parses the payload that the state machine or EventBridge calls the function with.
///
/// # Errors
/// Returns the parser's error if the payload has neither form.
pub fn parse(payload: Value) -> Result<Envelope<RecordInput>, serde_json::Error> {
    workflow::parse_push(payload, |failure| RecordInput {
        failure: Some(failure),
        failed_attempts: 0,
    })
}

#[cfg(test)]
mod tests {
    use domain::contract::Failure;
    use domain::execution::Execution;
    use domain::state::Status;
    use serde_json::json;

    use super::*;
    use crate::tests::scene::{Scene, push};
    use domain::samples::failure;

    const ARN: &str = "arn:aws:states:eu-west-1:123456789012:execution:stack-push:8751";

    /// Returns an event as EventBridge sends it.
    fn event(status: &str) -> Value {
        json!({
            "version": "0",
            "id": "315c1398-40ff-a850-213b-158f73e60175",
            "detail-type": "Step Functions Execution Status Change",
            "source": "aws.states",
            "account": "123456789012",
            "time": "2019-02-26T19:42:21Z",
            "region": "eu-west-1",
            "resources": [ARN],
            "detail": {
                "executionArn": ARN,
                "stateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:stack-push",
                "stateMachineVersionArn": null,
                "stateMachineAliasArn": null,
                "name": "8751",
                "status": status,
                "startDate": 1_551_225_146_847_i64,
                "stopDate": 1_551_225_151_881_i64,
                "input": serde_json::to_string(&push()).unwrap(),
                "inputDetails": {"included": true},
                "output": null,
                "outputDetails": null,
                "error": null,
                "cause": null,
                "redriveCount": 0,
                "redriveDate": null,
                "redriveStatus": "REDRIVABLE",
                "redriveStatusReason": null,
            },
        })
    }

    #[test]
    fn an_execution_that_was_stopped_or_timed_out_has_failed() {
        for (status, error, cause) in [
            ("ABORTED", "ExecutionAborted", "The execution was stopped."),
            (
                "TIMED_OUT",
                "ExecutionTimedOut",
                "The execution reached its time limit.",
            ),
        ] {
            let expected = Envelope {
                push: push(),
                execution: Execution {
                    id: ARN.to_owned(),
                    started_at: "2019-02-26T23:52:26.847Z".parse().unwrap(),
                },
                attempt: 0,
                input: RecordInput {
                    failure: Some(Failure {
                        cause: cause.to_owned(),
                        ..failure("Execution", error)
                    }),
                    failed_attempts: 0,
                },
            };
            assert_eq!(parse(event(status)).unwrap(), expected);
        }
    }

    #[test]
    fn a_redriven_execution_has_the_number_of_its_redrive() {
        let mut event = event("ABORTED");
        event["detail"]["redriveCount"] = json!(2);
        let id = parse(event).unwrap().execution.id;
        assert_eq!(id, format!("{ARN}#2"));
        assert_eq!(Execution::arn(&id), ARN);
    }

    #[test]
    fn the_cause_of_a_stop_is_part_of_the_failure() {
        for (said, expected) in [
            (json!("Not today."), "The execution was stopped. Not today."),
            (json!(""), "The execution was stopped."),
        ] {
            let mut event = event("ABORTED");
            event["detail"]["cause"] = said;
            assert_eq!(parse(event).unwrap().input.failure.unwrap().cause, expected);
        }
    }

    #[test]
    fn an_event_of_an_execution_that_records_its_end_itself_is_an_error() {
        for status in ["RUNNING", "SUCCEEDED", "FAILED", "PENDING_REDRIVE"] {
            let error = parse(event(status)).unwrap_err();
            assert!(error.to_string().contains(status), "{error}");
        }
    }

    #[test]
    fn an_event_without_a_push_or_a_time_is_an_error() {
        for (field, value, says) in [
            ("input", Value::Null, "no input"),
            ("input", json!("{}"), "missing field"),
            ("input", json!("hello"), "expected"),
            ("startDate", json!(i64::MAX), "startDate"),
            ("executionArn", Value::Null, "expected a string"),
        ] {
            let mut event = event("ABORTED");
            event["detail"][field] = value;
            let error = parse(event).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn an_input_of_the_state_machine_is_parsed_as_it_is() {
        let scene = Scene::default();
        for failure in [None, Some(failure("Fetch", "CommitNotFound"))] {
            let mut envelope = scene.envelope("e1", failure);
            envelope.attempt = 3;
            assert_eq!(parse(serde_json::to_value(&envelope).unwrap()).unwrap(), envelope);
        }
        assert!(parse(json!({"detail-type": "Scheduled Event", "detail": {}})).is_err());
    }

    #[tokio::test]
    async fn a_push_whose_execution_was_stopped_before_its_first_event_has_a_trail() {
        let scene = Scene::default();
        let recorded = scene.execute(&parse(event("ABORTED")).unwrap()).await.unwrap();
        assert_eq!(recorded.status, Status::Failed);
        let names: Vec<_> = scene
            .events()
            .iter()
            .map(domain::event::PushEvent::name)
            .collect();
        assert_eq!(names, ["PushReceived", "PushFailed"]);
        assert_eq!(scene.state().await.executions, [ARN]);
    }

    #[tokio::test]
    async fn a_push_whose_execution_was_stopped_later_is_closed_as_failed() {
        let scene = Scene::received().await;
        scene.append_all([crate::tests::scene::validated()]).await;
        let mut stopped = event("TIMED_OUT");
        stopped["detail"]["executionArn"] = json!("e1");
        let recorded = scene.execute(&parse(stopped).unwrap()).await.unwrap();
        assert_eq!(recorded.status, Status::Failed);
        let failed = scene.state().await.failure.unwrap();
        assert_eq!(failed.execution_id, "e1");
        assert_eq!(failed.failure.error, "ExecutionTimedOut");
    }
}
