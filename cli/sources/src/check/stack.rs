//! What all sources of a stack share: the API that takes their webhooks, who is told of failures, and the account's
//! quota.

use std::time::{Duration, Instant};

use aws::AwsFailure;
use aws::failure::chain;
use aws_sdk_sns::types::Subscription;
use deployed_stack::Stack;
use egress::Client;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::check::outcome::Check;

/// What the checks are about.
const WEBHOOKS: &str = "webhooks";
const NOTIFICATIONS: &str = "notifications";
const QUOTA: &str = "quota of Lambda";

/// How long the API may take to answer.
const ANSWERS: Duration = Duration::from_secs(10);
/// The quota of concurrent executions with which a new account may begin.
const SMALL_QUOTA: i32 = 10;

/// Tries what does not belong to one source.
pub async fn check(stack: &Stack) -> Vec<Check> {
    vec![
        webhooks(stack).await,
        notifications(stack).await,
        quota(stack).await,
    ]
}

/// Asks the API for a page, which it does not have. So no function runs, and nobody is told of a refused webhook.
async fn webhooks(stack: &Stack) -> Check {
    let url = stack.output("WebhookUrl").map(str::parse::<Url>);
    let Ok(Ok(url)) = url else {
        return Check::not_checked(WEBHOOKS, "the stack has no output WebhookUrl with a URL");
    };
    let answered = async {
        let client = Client::new(&url, Vec::new(), &[], ANSWERS, Instant::now() + ANSWERS)?;
        client.send(Method::GET, &url, HeaderMap::new(), Vec::new()).await
    };
    match answered.await {
        // API Gateway has no such route, and whatever else answers does not know that.
        Ok(answer) if answer.status() == StatusCode::NOT_FOUND => {
            Check::ok(WEBHOOKS, format!("the API answers at {url}"))
        }
        Ok(answer) => Check::wrong(
            WEBHOOKS,
            format!("{url} answers {} to a GET, and not 404", answer.status()),
            "See whether a proxy or firewall answers instead of API Gateway, then deploy the stack again.",
        ),
        Err(error) => Check::wrong(
            WEBHOOKS,
            format!("there is no answer from this machine: {}", chain(&error)),
            format!(
                "Try it from the git host: curl -i {url} answers 404. If it does not either, see whether a firewall or proxy is in between."
            ),
        ),
    }
}

async fn notifications(stack: &Stack) -> Check {
    let topic = match stack.output("FailureTopicArn") {
        Ok(topic) => topic,
        Err(error) => return Check::not_checked(NOTIFICATIONS, error.to_string()),
    };
    let pages = aws_sdk_sns::Client::new(stack.config())
        .list_subscriptions_by_topic()
        .topic_arn(topic)
        .into_paginator()
        .items()
        .send();
    match pages.collect::<Result<Vec<_>, _>>().await {
        Ok(subscriptions) => told(topic, &subscriptions),
        Err(error) => {
            let failure = AwsFailure::new("sns:ListSubscriptionsByTopic", &error);
            Check::not_checked(NOTIFICATIONS, failure.to_string())
        }
    }
}

/// Returns whether somebody is told of failures.
fn told(topic: &str, subscriptions: &[Subscription]) -> Check {
    let address = |subscription: &Subscription| {
        let protocol = subscription.protocol().unwrap_or("?");
        format!("{} ({protocol})", subscription.endpoint().unwrap_or("?"))
    };
    // Until its owner has confirmed it, it has no ARN.
    let (waiting, confirmed): (Vec<_>, Vec<_>) = subscriptions.iter().partition(|subscription| {
        !subscription
            .subscription_arn()
            .unwrap_or_default()
            .starts_with("arn:")
    });
    let names = |subscriptions: Vec<&Subscription>| {
        let names: Vec<_> = subscriptions.into_iter().map(address).collect();
        names.join(", ")
    };
    if !waiting.is_empty() {
        return Check::wrong(
            NOTIFICATIONS,
            format!("not confirmed, so that nothing is sent there: {}", names(waiting)),
            "Follow the link in the e-mail that SNS has sent, or subscribe again.",
        );
    }
    if confirmed.is_empty() {
        return Check::wrong(
            NOTIFICATIONS,
            "nobody is told of pushes that fail, nor of alarms",
            format!(
                "aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint YOU@EXAMPLE.COM"
            ),
        );
    }
    Check::ok(
        NOTIFICATIONS,
        format!("failures and alarms are sent to {}", names(confirmed)),
    )
}

async fn quota(stack: &Stack) -> Check {
    let settings = aws_sdk_lambda::Client::new(stack.config())
        .get_account_settings()
        .send()
        .await;
    match settings {
        Ok(settings) => match settings.account_limit {
            Some(limit) => enough(limit.concurrent_executions),
            None => Check::not_checked(QUOTA, "Lambda does not say it"),
        },
        Err(error) => {
            let failure = AwsFailure::new("lambda:GetAccountSettings", &error);
            Check::not_checked(QUOTA, failure.to_string())
        }
    }
}

/// Returns whether the functions of some pushes may run at the same time.
fn enough(concurrent: i32) -> Check {
    let found = format!("{concurrent} functions may run at once in the account");
    if concurrent > SMALL_QUOTA {
        return Check::ok(QUOTA, found);
    }
    Check::wrong(
        QUOTA,
        format!("{found}: several pushes at once wait for each other, and webhooks may be refused"),
        "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::outcome::Outcome;

    fn subscription(endpoint: &str, arn: &str) -> Subscription {
        Subscription::builder()
            .protocol("email")
            .endpoint(endpoint)
            .subscription_arn(arn)
            .build()
    }

    #[test]
    fn somebody_has_to_be_told() {
        let confirmed = subscription("a@example.com", "arn:aws:sns:eu-west-1:1:t:1");
        let waiting = subscription("b@example.com", "PendingConfirmation");
        assert!(!told("arn:t", std::slice::from_ref(&confirmed)).is_failed());
        let Outcome::Failed { reason, .. } = told("arn:t", &[confirmed, waiting]).outcome else {
            panic!("nothing is sent to b")
        };
        assert!(
            reason.contains("b@example.com") && !reason.contains("a@"),
            "{reason}"
        );
        let Outcome::Failed { remedy, .. } = told("arn:t", &[]).outcome else {
            panic!("nobody is told")
        };
        assert!(remedy.contains("--topic-arn arn:t"), "{remedy}");
    }

    #[test]
    fn a_new_accounts_quota_is_too_small() {
        assert!(enough(10).is_failed());
        assert!(!enough(1_000).is_failed());
    }
}
