//! Sources that are rotated, disabled, enabled and removed.

use deployed_stack::Error as StackError;
use domain::contract::IgnoreReason;
use sources::{Error, finish_rotation, remove, rotate, set_disabled};
use webhook::gitlab::Delivery;

use super::Subject;
use crate::fixtures::repository::MAIN;

/// Returns the status of the webhook's response to a delivery of something that is not there.
async fn status<H>(subject: &Subject<H>) -> u16 {
    let scene = &subject.scene;
    let hook = scene.hook("another/project", MAIN, None, Some(&"a".repeat(40)));
    match scene.webhook.send(&hook, &Delivery::fresh()).await {
        Ok(_) => 202,
        Err(StackError::WebhookRefused { status, .. }) => status,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_secret_of_before_is_accepted_until_the_rotation_is_finished() {
    let mut subject = Subject::over_http("rotated").await;
    let first = subject.add().await.webhook_secret;
    let rotated = rotate(&subject.store, &subject.name()).await.unwrap();
    assert_eq!(rotated.also_accepted, 1);
    for secret in [&first, &rotated.webhook_secret] {
        subject.use_secret(secret);
        assert_eq!(status(&subject).await, 202);
    }
    // Another source, because what was accepted still is for some minutes.
    let mut subject = Subject::over_http("rotated-finished").await;
    let first = subject.add().await.webhook_secret;
    let rotated = rotate(&subject.store, &subject.name()).await.unwrap();
    let others = finish_rotation(&subject.store, &subject.name()).await.unwrap();
    assert_eq!(others, 1);
    for (secret, expected) in [(&first, 403), (&rotated.webhook_secret, 202)] {
        subject.use_secret(secret);
        assert_eq!(status(&subject).await, expected);
    }
}

#[tokio::test]
async fn a_disabled_source_accepts_its_webhooks_and_delivers_nothing_until_it_is_enabled() {
    let subject = Subject::added("disabled").await;
    let (store, name) = (&subject.store, subject.name());
    assert!(set_disabled(store, &name, true).await.unwrap());
    assert!(!set_disabled(store, &name, true).await.unwrap());
    let scene = &subject.scene;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("README.md", "# Fine\n");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let delivery = Delivery::fresh();
    let run = scene.deliver(&hook, &delivery).await;
    let ignored = run.state().ignored.as_ref().unwrap();
    assert_eq!(ignored.reason, IgnoreReason::SourceDisabled);
    assert_eq!(ignored.detail, "the source disabled is disabled");
    assert!(set_disabled(store, &name, false).await.unwrap());
    let run = scene.resend(&hook, &delivery, 2).await;
    assert!(run.state().delivered.is_some(), "{run:#?}");
}

#[tokio::test]
async fn what_was_pushed_while_a_source_was_disabled_is_delivered_by_the_sweep() {
    let subject = Subject::added("disabled-swept").await;
    let scene = &subject.scene;
    let repository = scene.repository("group/project");
    let first = repository.commit_file("README.md", "# Fine\n");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&first));
    scene.push(&hook).await;
    let (store, name) = (&subject.store, subject.name());
    set_disabled(store, &name, true).await.unwrap();
    let second = repository.commit_file("README.md", "# Better\n");
    let hook = scene.hook(&repository.path, MAIN, Some(&first), Some(&second));
    scene.push(&hook).await;
    let sweep = async || {
        let request = serde_json::json!({"sources": [&name], "grace_seconds": 0});
        scene.stack.invoke("Sweep", &request).await.value()
    };
    assert_eq!(sweep().await["started"]["count"], 0);
    set_disabled(store, &name, false).await.unwrap();
    let report = sweep().await;
    assert_eq!(report["started"]["count"], 1, "{report:#}");
}

#[tokio::test]
async fn a_removed_source_refuses_its_webhooks() {
    let subject = Subject::added("removed-source").await;
    let name = subject.name();
    let removed = remove(&subject.store, &name).await.unwrap();
    assert_eq!((removed.settings, removed.secrets), (true, 2));
    assert_eq!(status(&subject).await, 403);
    for again in [
        remove(&subject.store, &name).await.map(drop),
        rotate(&subject.store, &name).await.map(drop),
        set_disabled(&subject.store, &name, true).await.map(drop),
    ] {
        assert!(matches!(again, Err(Error::Missing(_))), "{again:?}");
    }
}

#[tokio::test]
async fn a_removed_source_can_be_added_again() {
    let mut subject = Subject::added("removed-added").await;
    remove(&subject.store, &subject.name()).await.unwrap();
    let old = subject.scene.webhook.token.clone();
    subject.add().await;
    assert_ne!(subject.scene.webhook.token, old);
    let scene = &subject.scene;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("README.md", "# Fine\n");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    assert!(scene.push(&hook).await.state().delivered.is_some());
    subject.use_secret(&old.into());
    assert_eq!(status(&subject).await, 403);
}

#[tokio::test]
async fn the_source_of_the_template_is_not_removed() {
    let subject = Subject::over_http("not-removed").await;
    let name = "gitlab".parse().unwrap();
    let refused = remove(&subject.store, &name).await;
    assert!(matches!(refused, Err(Error::OfTheTemplate(_))), "{refused:?}");
    assert!(sources::show(&subject.store, &name).await.is_ok());
}
