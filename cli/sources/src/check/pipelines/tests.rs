//! The local AWS has neither CodePipeline nor the targets of its rules, so answers of their APIs are served here.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use serde_json::json;

use super::*;
use crate::check::outcome::Outcome;

/// What the APIs answer, by action and by the name in the request.
type Answers = dyn Fn(&str, &Value) -> Option<Value> + Send + Sync;

/// Serves the APIs, and returns the configuration of a client for them.
async fn serve(answers: Arc<Answers>) -> SdkConfig {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answer = async move |headers: HeaderMap, request: String| {
        let target = headers["x-amz-target"].to_str().unwrap();
        let action = target.split('.').nth(1).unwrap();
        match answers(action, &serde_json::from_str(&request).unwrap()) {
            Some(answer) => (StatusCode::OK, answer.to_string()),
            None => (
                StatusCode::BAD_REQUEST,
                json!({"__type": "AccessDeniedException", "message": action}).to_string(),
            ),
        }
    };
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let credentials = Credentials::new("an-access-key", "its-secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-central-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// A pipeline that reads `zips` when its action has this configuration, as `GetPipeline` returns it.
fn pipeline(name: &str, configuration: &Value) -> Value {
    json!({
        "pipeline": {
            "name": name,
            "roleArn": "arn:aws:iam::123456789012:role/pipeline",
            "stages": [
                {"name": "Source", "actions": [{
                    "name": "Zip",
                    "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
                    "configuration": configuration,
                }]},
                {"name": "Deploy", "actions": [{
                    "name": "Copy",
                    "actionTypeId": {"category": "Deploy", "owner": "AWS", "provider": "S3", "version": "1"},
                    "configuration": {"BucketName": "zips", "S3Bucket": "zips"},
                }]},
            ],
        },
        "metadata": {"pipelineArn": format!("arn:aws:codepipeline:eu-central-1:123456789012:{name}")},
    })
}

/// Checks a pipeline that is the second page of all, with rules of these states and patterns, a page for each.
async fn checked(configuration: Value, rules: &'static [(&'static str, &'static str)]) -> Vec<Check> {
    let answers = move |action: &str, request: &Value| {
        let page = |key: &str| {
            request[key]
                .as_str()
                .map_or(0, |page| page.parse::<usize>().unwrap())
        };
        let after = |page: usize, pages: usize| (page + 1 < pages).then(|| (page + 1).to_string());
        Some(match action {
            "ListPipelines" if request["nextToken"].is_null() => {
                json!({"pipelines": [{"name": "other"}], "nextToken": "2"})
            }
            "ListPipelines" => json!({"pipelines": [{"name": "mine"}]}),
            "GetPipeline" if request["name"] == "other" => {
                pipeline("other", &json!({"S3Bucket": "others", "S3ObjectKey": "main.zip"}))
            }
            "GetPipeline" => pipeline("mine", &configuration),
            "ListRuleNamesByTarget" => {
                assert_eq!(
                    request["TargetArn"],
                    "arn:aws:codepipeline:eu-central-1:123456789012:mine"
                );
                let page = page("NextToken");
                let names: Vec<_> = rules
                    .get(page)
                    .map(|_| format!("rule-{page}"))
                    .into_iter()
                    .collect();
                json!({"RuleNames": names, "NextToken": after(page, rules.len())})
            }
            "DescribeRule" => {
                let number = request["Name"].as_str().unwrap().trim_start_matches("rule-");
                let (state, pattern) = rules[number.parse::<usize>().unwrap()];
                json!({"Name": request["Name"], "State": state, "EventPattern": pattern})
            }
            _ => return None,
        })
    };
    check(&serve(Arc::new(answers)).await, &["archive", "zips"]).await
}

const CREATED: (&str, &str) = (
    "ENABLED",
    r#"{"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["zips"]}}}"#,
);
const BY_CLOUDTRAIL: (&str, &str) = (
    "ENABLED",
    r#"{"source":["aws.s3"],"detail":{"requestParameters":{"bucketName":["zips"],"key":["main.zip"]}}}"#,
);
const DISABLED: (&str, &str) = ("DISABLED", r#"{"source":["aws.s3"]}"#);
const OF_ANOTHER_BUCKET: (&str, &str) = (
    "ENABLED",
    r#"{"source":["aws.s3"],"detail":{"bucket":{"name":["others"]}}}"#,
);
const OF_ANOTHER_SERVICE: (&str, &str) = ("ENABLED", r#"{"source":["aws.ecr"]}"#);
const BY_PREFIX: (&str, &str) = (
    "ENABLED",
    r#"{"source":["aws.s3"],"detail":{"bucket":{"name":[{"prefix":"zi"}]}}}"#,
);

/// The first rules begin nothing by a zip.
#[tokio::test]
async fn a_pipeline_that_begins_twice_or_never_is_named() {
    type Rules = &'static [(&'static str, &'static str)];
    let source = |polls: Option<&str>| {
        let mut source = json!({"S3Bucket": "zips", "S3ObjectKey": "main.zip"});
        if let Some(polls) = polls {
            source["PollForSourceChanges"] = json!(polls);
        }
        source
    };
    let others: Rules = &[DISABLED, OF_ANOTHER_BUCKET, OF_ANOTHER_SERVICE];
    for (polls, rules, expected) in [
        (None, others, None),
        (Some("false"), &[CREATED] as Rules, None),
        (Some("false"), &[DISABLED, BY_PREFIX], None),
        (Some("false"), others, Some("nothing begins it")),
        (
            Some("false"),
            &[CREATED, BY_CLOUDTRAIL],
            Some("rule-0 and rule-1 begin it"),
        ),
        (None, &[CREATED], Some("begins it twice: it polls, and rule-0")),
        (
            Some("true"),
            &[OF_ANOTHER_BUCKET, BY_CLOUDTRAIL],
            Some("begins it twice: it polls, and rule-1"),
        ),
    ] {
        let checks = checked(source(polls), rules).await;
        let [check] = &checks[..] else {
            panic!("{checks:#?}")
        };
        assert_eq!(check.subject, "pipeline mine");
        match (&check.outcome, expected) {
            (Outcome::Ok { found }, None) => assert!(found.contains("zips/main.zip"), "{found}"),
            (Outcome::Failed { reason, remedy }, Some(expected)) => {
                assert!(
                    reason.contains(expected) && reason.contains("zips/main.zip"),
                    "{reason}"
                );
                assert!(!remedy.is_empty());
            }
            _ => panic!("{polls:?} {rules:?}: {check:#?}"),
        }
    }
}

#[tokio::test]
async fn pipelines_of_other_buckets_are_left_out() {
    let checks = checked(json!({"S3Bucket": "zips2"}), &[]).await;
    assert_eq!(checks, [Check::ok("pipelines", "none reads archive or zips")]);
}

#[tokio::test]
async fn what_nobody_may_list_is_not_checked() {
    let checks = check(&serve(Arc::new(|_: &str, _: &Value| None)).await, &["zips"]).await;
    let [
        Check {
            outcome: Outcome::NotChecked { reason },
            ..
        },
    ] = &checks[..]
    else {
        panic!("{checks:#?}")
    };
    assert!(reason.contains("codepipeline:ListPipelines"), "{reason}");
}
