//! A stack whose rollback has failed, which the local AWS cannot have: these are responses as AWS documents them.

use std::collections::BTreeMap;

use delivery::contract::{PlannedInput, StartedPlan};
use delivery::samples;
use domain::error::{Code, Coded};
use stacks::Stacks;
use testkit::aws::{AwsResponse, Service};

const STACK: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/app/5d3c";
const CHANGE_SET: &str = "arn:aws:cloudformation:eu-west-1:123456789012:changeSet/plan/7e1f";

fn event(resource: &str, kind: &str, status: &str, reason: &str) -> String {
    let physical = if resource == "app" { STACK } else { resource };
    format!(
        "<member><StackId>{STACK}</StackId><EventId>{resource}{status}</EventId><StackName>app</StackName>\
         <LogicalResourceId>{resource}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId>\
         <ResourceType>{kind}</ResourceType><Timestamp>2026-01-02T03:04:05Z</Timestamp>\
         <ResourceStatus>{status}</ResourceStatus><ResourceStatusReason>{reason}</ResourceStatusReason></member>"
    )
}

/// Returns the result of an operation.
fn result_of(operation: &str) -> String {
    let (stack, table) = ("AWS::CloudFormation::Stack", "AWS::DynamoDB::Table");
    match operation {
        "DescribeChangeSet" => format!(
            "<StackId>{STACK}</StackId><ChangeSetId>{CHANGE_SET}</ChangeSetId><Status>CREATE_COMPLETE</Status>\
             <ExecutionStatus>EXECUTE_FAILED</ExecutionStatus>"
        ),
        "DescribeStacks" => format!(
            "<Stacks><member><StackId>{STACK}</StackId><StackName>app</StackName>\
             <CreationTime>2026-01-02T03:04:05Z</CreationTime><StackStatus>UPDATE_ROLLBACK_FAILED</StackStatus>\
             <StackStatusReason>The following resource(s) failed to update: [Table].</StackStatusReason></member></Stacks>"
        ),
        // The newest event comes first.
        "DescribeStackEvents" => format!(
            "<StackEvents>{}{}{}{}</StackEvents>",
            event("app", stack, "UPDATE_ROLLBACK_FAILED", "[Table]"),
            event("Table", table, "UPDATE_FAILED", "cannot go back"),
            event("Queue", "AWS::SQS::Queue", "CREATE_FAILED", "no right"),
            event("app", stack, "UPDATE_IN_PROGRESS", "")
        ),
        other => unreachable!("{other} is not needed"),
    }
}

#[tokio::test]
async fn a_stack_whose_rollback_has_failed_is_stuck_and_says_what_has_failed_first() {
    let service = Service::answering(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let operation = body.split(['&', '=']).nth(1).unwrap();
        let result = result_of(operation);
        AwsResponse::new(
            200,
            format!(
                "<{operation}Response xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
                 <{operation}Result>{result}</{operation}Result></{operation}Response>"
            ),
        )
        .with("content-type", "text/xml")
    })
    .await;
    let input = PlannedInput {
        request: samples::request(),
        plan: StartedPlan {
            stack_id: STACK.to_owned(),
            change_set: CHANGE_SET.to_owned(),
            drift_detection: None,
            live: BTreeMap::new(),
        },
    };
    let error = apply::check(&Stacks::new(&service.config()), &input)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::StackStuck);
    let text = error.to_string();
    for part in ["UPDATE_ROLLBACK_FAILED", "Queue (AWS::SQS::Queue): no right"] {
        assert!(text.contains(part), "{text}");
    }
}
