//! Tests many webhooks at once.

use std::collections::BTreeSet;

use audit::{EventStore, Filter};
use chrono::Utc;
use domain::index::Category;
use domain::push::PushId;
use futures::future::join_all;
use git_host::Options;
use local_aws::trail;
use serde_json::json;
use webhook::gitlab::Delivery;

use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::Scene;

/// As many webhooks as arrive at once if many mirrors are updated, or a bot pushes to many repositories.
const WEBHOOKS: usize = 500;

#[tokio::test]
async fn each_webhook_of_a_burst_is_accepted_and_has_its_execution_and_its_push_in_the_trail() {
    let begun = Utc::now();
    let (scene, _host) = Scene::over_http("burst", Options::default()).await;
    // No ref matches: what follows the acceptance is not tested here.
    scene
        .configure(|settings| settings["refs"] = json!(["refs/heads/none"]))
        .await;
    let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let deliveries: Vec<_> = (0..WEBHOOKS).map(|_| Delivery::fresh()).collect();
    let answers = join_all(
        deliveries
            .iter()
            .map(|delivery| scene.webhook.send(&hook, delivery)),
    );
    let mut push_ids = BTreeSet::new();
    for accepted in answers.await {
        let accepted = accepted.unwrap();
        assert_eq!(accepted.pushes.len(), 1, "{accepted:?}");
        let ended = scene.ended(&accepted.pushes[0].push_id).await;
        assert_eq!(ended.status.as_str(), "SUCCEEDED", "{ended:?}");
        push_ids.insert(accepted.pushes[0].push_id.clone());
    }
    assert_eq!(push_ids.len(), WEBHOOKS);

    // Each is found as closed, without its id being known.
    let filter = Filter {
        source: Some(scene.source.parse().unwrap()),
        categories: vec![Category::Ignored],
        ..Filter::since(begun)
    };
    let stack = scene.stack.handle();
    let listed = trail::list(&stack, &filter, WEBHOOKS + 1).await.unwrap();
    let listed: BTreeSet<_> = listed
        .pushes
        .iter()
        .map(|push| push.push_id().to_string())
        .collect();
    assert_eq!(listed, push_ids);
    // Its events are there too, from the webhook to the end.
    let trail = stack.trail().unwrap();
    for push_id in &push_ids {
        let events = EventStore::events(&trail, push_id.parse::<PushId>().unwrap())
            .await
            .unwrap();
        let names: Vec<_> = events.iter().map(|recorded| recorded.event.name()).collect();
        assert_eq!(names, ["PushReceived", "PushIgnored"], "{push_id}");
    }
}
