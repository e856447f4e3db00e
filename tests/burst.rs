//! Tests many webhooks at once.

use std::collections::BTreeSet;
use std::time::Instant;

use audit::{EventStore, Filter};
use chrono::Utc;
use deployed_stack::trail;
use deployed_stack::webhook_client::Accepted;
use domain::event::PushEvent;
use domain::push::PushId;
use domain::push_index::Category;
use domain::source::Provider;
use futures::future::join_all;
use serde_json::json;
use webhook::{Request, deliver};

use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::Scene;
use crate::providers;

/// As many webhooks as arrive at once if many mirrors are updated, or a bot pushes to many repositories.
const WEBHOOKS: usize = 500;

/// How often a webhook is sent at most.
const MAX_SENDS: usize = 5;

/// The kinds of hosts of ten sources.
const SOURCES: [Provider; 10] = [
    Provider::GitLab,
    Provider::GitHub,
    Provider::Gitea,
    Provider::Gogs,
    Provider::Bitbucket,
    Provider::BitbucketDataCenter,
    Provider::AzureDevOps,
    Provider::Generic,
    Provider::GitLab,
    Provider::GitHub,
];

/// Sends a request until it is answered, and returns how often it was sent. On a slow machine the gateway of the local
/// AWS gives up before the functions have had their turn. A git host, or a person there, then sends the webhook again.
async fn accepted_at_last(scene: &Scene, request: &Request) -> (Accepted, usize) {
    for times in 1..=MAX_SENDS {
        let (status, text) = providers::send_to(&scene.webhook.url, request).await;
        if !matches!(status, 502..=504) {
            return (scene.webhook.accepted(status, &text).unwrap(), times);
        }
    }
    panic!("no answer to a webhook that was sent {MAX_SENDS} times");
}

#[tokio::test]
async fn each_webhook_of_a_burst_is_accepted_and_has_its_execution_and_its_push_in_the_trail() {
    let begun = Utc::now();
    let mut sources = Vec::new();
    for (number, provider) in SOURCES.into_iter().enumerate() {
        let (scene, host) = providers::source(&format!("burst-{number}"), provider).await;
        // No ref matches: what follows the acceptance is not tested here.
        scene
            .configure(|settings| settings["refs"] = json!(["refs/heads/none"]))
            .await;
        let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
        sources.push((scene, host, provider, hook));
    }
    let requests = (0..WEBHOOKS).map(|number| {
        let (scene, _, provider, hook) = &sources[number % sources.len()];
        (scene, deliver(*provider, hook, providers::SECRET))
    });
    let requests: Vec<_> = requests.collect();
    let sent = Instant::now();
    let answers = requests.iter().map(async |(scene, request)| {
        let (accepted, times) = accepted_at_last(scene, request).await;
        (*scene, accepted, times, sent.elapsed())
    });
    let answers = join_all(answers).await;
    let slowest = answers.iter().map(|(.., after)| *after).max().unwrap();
    let again = answers.iter().filter(|(_, _, times, _)| *times > 1).count();
    eprintln!(
        "{WEBHOOKS} webhooks were answered within {slowest:.1?}, {again} of them when they were sent again"
    );
    let mut push_ids = BTreeSet::new();
    for (scene, accepted, ..) in answers {
        assert_eq!(accepted.pushes.len(), 1, "{accepted:?}");
        let ended = scene.ended(&accepted.pushes[0].push_id).await;
        assert_eq!(ended.status.as_str(), "SUCCEEDED", "{ended:?}");
        push_ids.insert(accepted.pushes[0].push_id.clone());
    }
    assert_eq!(push_ids.len(), WEBHOOKS);
    // A second execution of a push would be named after it too.
    let stack = sources[0].0.stack.handle();
    let list = stack.step_functions().list_executions();
    let list = list.state_machine_arn(stack.output("StateMachineArn").unwrap());
    let mut pages = list.into_paginator().items().send();
    let mut executions = BTreeSet::new();
    while let Some(execution) = pages.next().await {
        let name = execution.unwrap().name;
        if name.get(..36).is_some_and(|push_id| push_ids.contains(push_id)) {
            executions.insert(name);
        }
    }
    assert_eq!(executions, push_ids);

    // Each is found as closed, without its id being known.
    let mut listed = BTreeSet::new();
    for (scene, ..) in &sources {
        let filter = Filter {
            source: Some(scene.source.parse().unwrap()),
            categories: vec![Category::Ignored],
            ..Filter::since(begun)
        };
        let of_source = trail::list(&stack, &filter, WEBHOOKS + 1).await.unwrap();
        listed.extend(of_source.pushes.iter().map(|push| push.push_id().to_string()));
    }
    assert_eq!(listed, push_ids);
    // Its events are there too, from the webhook to the end.
    let trail = stack.trail().unwrap();
    for push_id in &push_ids {
        let events = EventStore::events(&trail, push_id.parse::<PushId>().unwrap())
            .await
            .unwrap();
        let mut names = Vec::new();
        for recorded in &events {
            match &recorded.event {
                // The local AWS could not run an attempt on a slow machine, and Step Functions has tried again.
                PushEvent::AttemptFailed(failed) if failed.error.contains('.') => {
                    eprintln!("{push_id}: {}: {}", failed.error, failed.cause);
                }
                event => names.push(event.name()),
            }
        }
        assert_eq!(names, ["PushReceived", "PushIgnored"], "{push_id}");
    }
}
