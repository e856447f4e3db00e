//! Takes applications from a push to production, and breaks them on the way.

use delivery::state::DeploymentStatus;
use local_aws::deployments::Deployments;
use sample_application::{Broken, SampleApplication};

use crate::fixtures::delivery::Delivery;

/// The events of a deployment that is built, up to the first that moves traffic.
const TO_THE_PROBE: [&str; 8] = [
    "DeploymentRequested",
    "DeploymentAccepted",
    "DeploymentAdmitted",
    "BuildStarted",
    "ArtifactBuilt",
    "ChangesPlanned",
    "ChangesApplied",
    "ProbePassed",
];

fn greeting(greeting: &str) -> SampleApplication {
    SampleApplication::new("", greeting)
}

#[tokio::test]
async fn a_push_is_tested_built_and_released_and_the_next_one_gets_its_traffic_in_steps() {
    let delivery = Delivery::of("released", &[]).await;
    let first = delivery.push(&greeting("Hello")).await;
    assert_eq!(first.ended.error, None, "{:?}", first.shown);
    assert_eq!(first.shown.state.status, DeploymentStatus::Released);
    let expected = [&TO_THE_PROBE[..], &["TrafficPromoted", "DeploymentReleased"]].concat();
    assert_eq!(first.events(), expected);
    let artifact = first.shown.state.artifact.as_ref().unwrap();
    assert!(artifact.tests.passed > 0);
    assert_eq!(delivery.answer().await, "Hello, Ada!");

    let second = delivery.push(&greeting("Moin")).await;
    assert_eq!(second.ended.error, None, "{:?}", second.shown);
    let step = ["TrafficShifted", "CanaryJudged"];
    let end = ["TrafficPromoted", "DeploymentReleased"];
    assert_eq!(second.events(), [&TO_THE_PROBE[..], &step, &step, &end].concat());
    assert_eq!(delivery.answer().await, "Moin, Ada!");
    assert_eq!(delivery.alias("live").await["FunctionVersion"], "2");

    // The push names its deployment, and the deployment its push.
    let of_push = Deployments::of_push(&delivery.scene.stack.handle(), second.push_id).await;
    let of_push: Vec<_> = of_push.unwrap().iter().map(|state| state.deployment_id).collect();
    assert_eq!(of_push, [second.id]);
    let request = second.shown.state.request.as_ref().unwrap();
    assert_eq!(request.push.push_id, second.push_id);
    let listed = delivery.deployments.list(10).await.unwrap();
    assert_eq!(listed.len(), 2);

    // Nothing is built, and nothing is changed, for a commit of the same tree.
    let same = delivery.push(&greeting("Moin")).await;
    assert_eq!(
        same.shown.state.status,
        DeploymentStatus::Unchanged,
        "{:?}",
        same.shown
    );
    assert!(same.events().contains(&"ArtifactReused"));

    // Back, without a build and all at once.
    let id = delivery.deployments.roll_back(first.id).await.unwrap();
    let (ended, shown) = delivery.ended(id).await;
    assert_eq!(ended.error, None, "{shown:?}");
    assert_eq!(shown.state.status, DeploymentStatus::Released);
    assert_eq!(delivery.answer().await, "Hello, Ada!");
    let events: Vec<_> = shown.events.iter().map(|event| event.event.name()).collect();
    assert!(
        !events.contains(&"BuildStarted") && !events.contains(&"TrafficShifted"),
        "{events:?}"
    );
}

#[tokio::test]
async fn what_is_broken_does_not_reach_production() {
    let delivery = Delivery::of("broken", &[]).await;
    let sound = delivery.push(&greeting("Hello")).await;
    assert_eq!(sound.ended.error, None, "{:?}", sound.shown);
    for (broken, stage, code) in [
        (Broken::Test, "CheckBuild", "TestsFailed"),
        (Broken::NoTests, "Collect", "NoTests"),
        (Broken::Build, "CheckBuild", "BuildFailed"),
        (Broken::Template, "Plan", "LiveAliasMissing"),
        (Broken::Update, "CheckStack", "StackRolledBack"),
        (Broken::Probe, "Probe", "ProbeFailed"),
    ] {
        let failed = delivery.push(&greeting("Moin").broken(broken)).await;
        assert_eq!(
            failed.ended.error.as_deref(),
            Some(code),
            "{broken}: {:?}",
            failed.shown
        );
        assert_eq!(failed.failure(), (stage, code, true), "{broken}");
        assert_eq!(failed.shown.state.status, DeploymentStatus::Failed);
        let cause = failed.cause();
        match broken {
            Broken::Test | Broken::Build => assert!(cause.contains("The last lines of the log"), "{cause}"),
            Broken::Probe => {
                assert!(cause.contains("statusCode = 500 instead of 200"), "{cause}");
                assert!(failed.events().contains(&"StackRestored"));
            }
            _ => {}
        }
        assert_eq!(delivery.answer().await, "Hello, Ada!", "{broken}");
    }
    let mut files = greeting("Moin").files();
    let template = files.get_mut("template.yaml").unwrap();
    *template = template.replacen(
        "\nResources:\n",
        "\nResources:\n  Unknown:\n    Type: AWS::No::Such\n",
        1,
    );
    let refused = delivery.push_files(&files).await;
    assert_eq!(refused.failure().1, "ChangeRefused", "{:?}", refused.shown);
    assert!(refused.cause().contains("AWS::No::Such"), "{}", refused.cause());
    // The next sound push goes through.
    let mended = delivery.push(&greeting("Moin")).await;
    assert_eq!(mended.ended.error, None, "{:?}", mended.shown);
    assert_eq!(delivery.answer().await, "Moin, Ada!");
}

#[tokio::test]
async fn an_alarm_takes_the_traffic_and_the_stack_back() {
    let delivery = Delivery::of("alarmed", &[("BakeSeconds", "2")]).await;
    let sound = delivery.push(&greeting("Hello")).await;
    assert_eq!(sound.ended.error, None, "{:?}", sound.shown);
    let push_id = delivery.start(&greeting("Moin").files()).await;
    let id = delivery.id_of(push_id);
    delivery
        .until(id, |shown| shown.state.status == DeploymentStatus::Shifting)
        .await;
    let weights = delivery.alias("live").await["RoutingConfig"]["AdditionalVersionWeights"].clone();
    assert_eq!(weights["2"], 0.1, "{weights}");
    delivery.set_alarm("ALARM").await;
    let failed = delivery.deployed(push_id).await;
    assert_eq!(
        failed.failure(),
        ("Judge", "AlarmRaised", true),
        "{:?}",
        failed.shown
    );
    let events = failed.events();
    assert!(
        events.ends_with(&["TrafficRolledBack", "StackRestored", "DeploymentFailed"]),
        "{events:?}"
    );
    let live = delivery.alias("live").await;
    assert_eq!(live["FunctionVersion"], "1");
    assert!(
        live["RoutingConfig"]["AdditionalVersionWeights"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty),
        "{live}"
    );
    assert_eq!(delivery.answer().await, "Hello, Ada!");
}

#[tokio::test]
async fn a_dangerous_plan_waits_for_a_person() {
    let delivery = Delivery::of("asked", &[]).await;
    let with_table = |greeting: &str| {
        let mut files = SampleApplication::new("", greeting).files();
        let template = files.get_mut("template.yaml").unwrap();
        let table = "\nResources:\n  Table:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      BillingMode: PAY_PER_REQUEST\n      \
                     AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]\n      KeySchema: [{ AttributeName: id, KeyType: HASH }]\n";
        *template = template.replacen("\nResources:\n", table, 1);
        files
    };
    let first = delivery.push_files(&with_table("Hello")).await;
    assert_eq!(first.ended.error, None, "{:?}", first.shown);
    for approved in [false, true] {
        // It would remove the table.
        let push_id = delivery.start(&greeting("Moin").files()).await;
        let id = delivery.id_of(push_id);
        delivery
            .until(id, |shown| {
                shown.state.status == DeploymentStatus::AwaitingApproval
            })
            .await;
        let comment = Some("the table is empty".to_owned());
        delivery.decide(id, approved, comment).await;
        let ended = delivery.deployed(push_id).await;
        let decision = ended.shown.state.decision.as_ref().unwrap();
        assert_eq!(decision.approved, approved);
        assert!(decision.by.contains("000000000000"), "{decision:?}");
        if approved {
            assert_eq!(ended.ended.error, None, "{:?}", ended.shown);
            assert_eq!(delivery.answer().await, "Moin, Ada!");
        } else {
            assert_eq!(ended.failure(), ("Approve", "Rejected", true));
            assert_eq!(delivery.answer().await, "Hello, Ada!");
        }
        // Nobody can decide twice.
        assert!(delivery.deployments.decide(id, true, None).await.is_err());
    }
}

#[tokio::test]
async fn of_several_pushes_at_once_the_newest_is_released_and_the_rest_are_superseded() {
    let delivery = Delivery::of("queued", &[]).await;
    let mut pushes = Vec::new();
    for name in ["One", "Two", "Three", "Four"] {
        pushes.push(delivery.start(&greeting(name).files()).await);
    }
    let mut statuses = Vec::new();
    for push_id in pushes {
        let ended = delivery.deployed(push_id).await;
        assert_eq!(ended.ended.error, None, "{:?}", ended.shown);
        statuses.push(ended.shown.state.status);
    }
    assert_eq!(statuses.last(), Some(&DeploymentStatus::Released), "{statuses:?}");
    let expected = [DeploymentStatus::Released, DeploymentStatus::Superseded];
    assert!(
        statuses.iter().all(|status| expected.contains(status)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&DeploymentStatus::Superseded), "{statuses:?}");
    assert_eq!(delivery.answer().await, "Four, Ada!");
}
