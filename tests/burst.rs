//! Tests many webhooks at once.

use futures::future::join_all;
use git_host::Options;
use serde_json::json;
use webhook::gitlab::Delivery;

use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::Scene;

/// As many webhooks as arrive at once if many mirrors are updated, or a bot pushes to many repositories.
const WEBHOOKS: usize = 500;

#[tokio::test]
async fn each_webhook_of_a_burst_is_accepted_and_has_its_execution() {
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
    for accepted in answers.await {
        let accepted = accepted.unwrap();
        assert_eq!(accepted.pushes.len(), 1, "{accepted:?}");
        let ended = scene.ended(&accepted.pushes[0].push_id).await;
        assert_eq!(ended.status.as_str(), "SUCCEEDED", "{ended:?}");
    }
}
