//! The pipelines that begin when a zip is written. One that is told of it in two ways begins twice.

use aws::AwsFailure;
use aws_config::SdkConfig;
use aws_sdk_codepipeline::Client as CodePipeline;
use aws_sdk_codepipeline::types::{ActionCategory, ActionDeclaration, PipelineDeclaration, StageDeclaration};
use aws_sdk_eventbridge::Client as EventBridge;
use aws_sdk_eventbridge::types::RuleState;
use serde_json::Value;

use crate::check::outcome::Check;

const SUBJECT: &str = "pipelines";

/// A pipeline with a bucket of the source as its source.
struct Pipeline {
    name: String,
    /// The bucket and the key that it reads.
    object: String,
    /// Whether it looks for a new version by itself.
    polls: bool,
    /// The rules that begin it when an object is written.
    rules: Vec<String>,
}

/// Finds the pipelines in the stack's region that read these buckets, and by what each begins.
pub async fn check(config: &SdkConfig, buckets: &[&str]) -> Vec<Check> {
    match find(config, buckets).await {
        Err(failure) => vec![Check::not_checked(SUBJECT, failure.to_string())],
        Ok(pipelines) if pipelines.is_empty() => {
            vec![Check::ok(SUBJECT, format!("none reads {}", buckets.join(" or ")))]
        }
        Ok(pipelines) => pipelines.iter().map(Pipeline::check).collect(),
    }
}

async fn find(config: &SdkConfig, buckets: &[&str]) -> Result<Vec<Pipeline>, AwsFailure> {
    let client = CodePipeline::new(config);
    let events = EventBridge::new(config);
    let mut pages = client.list_pipelines().into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(listed) = pages.next().await {
        let listed = listed.map_err(|error| AwsFailure::new("codepipeline:ListPipelines", &error))?;
        let name = listed.name.unwrap_or_default();
        let got = client.get_pipeline().name(&name).send().await;
        let got = got.map_err(|error| AwsFailure::new("codepipeline:GetPipeline", &error))?;
        let arn = got.metadata.and_then(|metadata| metadata.pipeline_arn);
        let actions = got.pipeline.as_ref().map(actions_of).unwrap_or_default();
        for action in actions {
            let setting = |key: &str| action.configuration.as_ref()?.get(key).cloned();
            let bucket = setting("S3Bucket").unwrap_or_default();
            if !buckets.contains(&&*bucket) {
                continue;
            }
            found.push(Pipeline {
                name: name.clone(),
                object: format!("{bucket}/{}", setting("S3ObjectKey").unwrap_or_default()),
                // It is the default: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3.html
                polls: setting("PollForSourceChanges").is_none_or(|polls| polls != "false"),
                rules: match &arn {
                    Some(arn) => rules_of(&events, arn, &bucket).await?,
                    None => Vec::new(),
                },
            });
        }
    }
    Ok(found)
}

/// Returns the actions that read an object of S3.
fn actions_of(pipeline: &PipelineDeclaration) -> Vec<&ActionDeclaration> {
    let actions = pipeline.stages().iter().flat_map(StageDeclaration::actions);
    let reads_s3 = |action: &&ActionDeclaration| {
        let kind = action.action_type_id.as_ref();
        kind.is_some_and(|kind| kind.category == ActionCategory::Source && kind.provider == "S3")
    };
    actions.filter(reads_s3).collect()
}

/// Returns the names of the rules that begin a pipeline when an object of the bucket is written.
async fn rules_of(events: &EventBridge, pipeline_arn: &str, bucket: &str) -> Result<Vec<String>, AwsFailure> {
    let mut rules = Vec::new();
    let mut next = None;
    loop {
        let list = events.list_rule_names_by_target().target_arn(pipeline_arn);
        let page = list.set_next_token(next).send().await;
        let page = page.map_err(|error| AwsFailure::new("events:ListRuleNamesByTarget", &error))?;
        for name in page.rule_names.unwrap_or_default() {
            let rule = events.describe_rule().name(&name).send().await;
            let rule = rule.map_err(|error| AwsFailure::new("events:DescribeRule", &error))?;
            let is_off = rule.state == Some(RuleState::Disabled);
            if !is_off && rule.event_pattern.is_some_and(|pattern| is_of(&pattern, bucket)) {
                rules.push(name);
            }
        }
        next = page.next_token;
        if next.is_none() {
            return Ok(rules);
        }
    }
}

/// Returns whether a rule's pattern is one of events of S3, whether S3 or CloudTrail sends them, and not of other
/// buckets alone.
fn is_of(pattern: &str, bucket: &str) -> bool {
    let Ok(pattern) = serde_json::from_str::<Value>(pattern) else {
        return false;
    };
    let has = |list: &Value, wanted: &str| {
        let values = list.as_array();
        values.is_some_and(|values| values.iter().any(|value| value == wanted || value.is_object()))
    };
    let detail = &pattern["detail"];
    let names = [
        &detail["bucket"]["name"],
        &detail["requestParameters"]["bucketName"],
    ];
    has(&pattern["source"], "aws.s3") && names.iter().all(|names| names.is_null() || has(names, bucket))
}

impl Pipeline {
    fn check(&self) -> Check {
        let subject = format!("pipeline {}", self.name);
        let Self { object, rules, .. } = self;
        let named = rules.join(" and ");
        match (self.polls, rules.len()) {
            (true, 0) => Check::ok(
                subject,
                format!("it looks for new versions of {object} by itself"),
            ),
            (false, 0) => Check::wrong(
                subject,
                format!(
                    "it reads {object}, and nothing begins it: it does not poll, and no rule has it as its target"
                ),
                "Add a rule of EventBridge for the event Object Created of the bucket, with the pipeline as its target.",
            ),
            (false, 1) => Check::ok(subject, format!("the rule {named} begins it for {object}")),
            (true, _) => Check::wrong(
                subject,
                format!("each zip of {object} begins it twice: it polls, and {named} begins it"),
                "Set PollForSourceChanges to false in its source action.",
            ),
            (false, _) => Check::wrong(
                subject,
                format!("each zip of {object} may begin it more than once: {named} begin it"),
                "Disable all rules but one, or let their patterns name different keys.",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
