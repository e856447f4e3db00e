//! The requests to Step Functions, and what its responses mean.

use aws::failure::Failed;
use domain::error::{Code, Coded};
use serde_json::{Value, json};
use tasks::{Executions, StepFunctions, Tasks, TasksError, answer};
use testkit::aws::{AwsResponse, Service, json_of, operation};

const MACHINE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:app-deploy";
const EXECUTION: &str = "arn:aws:states:eu-west-1:123456789012:execution:app-deploy:8751";

fn exception(status: u16, name: &str) -> AwsResponse {
    let name = format!("com.amazonaws.swf.service.v2.model#{name}");
    AwsResponse::json(&json!({ "__type": name, "message": "so it is" })).status(status)
}

/// Calls Step Functions, which has this response. Returns the result, the operation and the request's body.
async fn call<O>(
    response: AwsResponse,
    call: impl AsyncFn(&StepFunctions) -> Result<O, TasksError>,
) -> (Result<O, TasksError>, String, Value) {
    let service = Service::always(response).await;
    let result = call(&StepFunctions::new(&service.config())).await;
    let requests = service.requests();
    (result, operation(&requests[0]).to_owned(), json_of(&requests[0]))
}

fn failed() -> Failed {
    Failed::with_cause(Code::StageTimedOut, "so it is")
}

#[tokio::test]
async fn a_task_is_answered_by_its_token() {
    let done = || AwsResponse::json(&json!({}));
    let (told, operation, request) = call(done(), async |tasks| tasks.succeed("token", "{}").await).await;
    assert!(told.unwrap());
    assert_eq!(operation, "SendTaskSuccess");
    assert_eq!(request, json!({ "taskToken": "token", "output": "{}" }));
    let (told, operation, request) = call(done(), async |tasks| tasks.fail("token", &failed()).await).await;
    assert!(told.unwrap());
    assert_eq!(operation, "SendTaskFailure");
    let expected = json!({ "taskToken": "token", "error": "StageTimedOut", "cause": failed().cause });
    assert_eq!(request, expected);
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_is_no_failure() {
    for name in ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"] {
        let response = || exception(400, name);
        let (told, ..) = call(response(), async |tasks| tasks.succeed("token", "{}").await).await;
        assert!(!told.unwrap(), "{name}");
        let (told, ..) = call(response(), async |tasks| tasks.fail("token", &failed()).await).await;
        assert!(!told.unwrap(), "{name}");
    }
}

#[tokio::test]
async fn an_execution_is_started_once() {
    let started = AwsResponse::json(&json!({ "executionArn": EXECUTION, "startDate": 1_767_476_190 }));
    for response in [started, exception(400, "ExecutionAlreadyExists")] {
        let start = async |tasks: &StepFunctions| tasks.start(MACHINE, "8751", "{}").await;
        let (done, operation, request) = call(response, start).await;
        done.unwrap();
        assert_eq!(operation, "StartExecution");
        let expected = json!({ "stateMachineArn": MACHINE, "name": "8751", "input": "{}" });
        assert_eq!(request, expected);
    }
}

#[tokio::test]
async fn an_execution_that_is_not_known_any_more_does_not_run() {
    let described = |status: &str| {
        AwsResponse::json(&json!({
            "executionArn": EXECUTION, "stateMachineArn": MACHINE, "status": status, "startDate": 1_767_476_190,
        }))
    };
    for (response, expected) in [
        (described("RUNNING"), true),
        (described("ABORTED"), false),
        (exception(400, "ExecutionDoesNotExist"), false),
    ] {
        let (runs, operation, request) =
            call(response, async |tasks| tasks.is_running(EXECUTION).await).await;
        assert_eq!(runs.unwrap(), expected);
        assert_eq!(operation, "DescribeExecution");
        assert_eq!(request, json!({ "executionArn": EXECUTION }));
    }
}

#[tokio::test]
async fn a_failure_says_whether_it_passes() {
    for (status, name, code) in [
        (400, "AccessDeniedException", Code::WorkflowRefused),
        (400, "ThrottlingException", Code::WorkflowUnavailable),
        (500, "InternalFailure", Code::WorkflowUnavailable),
    ] {
        let response = || exception(status, name);
        let codes = [
            call(response(), async |tasks| tasks.succeed("token", "{}").await)
                .await
                .0
                .unwrap_err(),
            call(response(), async |tasks| tasks.fail("token", &failed()).await)
                .await
                .0
                .unwrap_err(),
            call(response(), async |tasks| tasks.is_running(EXECUTION).await)
                .await
                .0
                .unwrap_err(),
            call(response(), async |tasks| tasks.start(MACHINE, "8751", "{}").await)
                .await
                .0
                .unwrap_err(),
        ]
        .map(|error| error.code());
        assert_eq!(codes, [code; 4], "{name}");
    }
}

/// If Step Functions cannot be told of a failure, the failure is what the function fails by.
#[tokio::test]
async fn a_failure_that_cannot_be_told_is_the_functions_own() {
    let service = Service::always(exception(500, "InternalFailure")).await;
    let tasks = StepFunctions::new(&service.config());
    let told = answer(&tasks, "token", Err::<Option<Value>, _>(failed())).await;
    assert_eq!(told.unwrap_err().code, Code::StageTimedOut);
    let told = answer(&tasks, "token", Ok(Some(json!({})))).await;
    assert_eq!(told.unwrap_err().code, Code::WorkflowUnavailable);
    // A person answers later.
    assert_eq!(service.requests().len(), 2);
    answer(&tasks, "token", Ok(None::<Value>)).await.unwrap();
    assert_eq!(service.requests().len(), 0);
}
