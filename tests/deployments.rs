//! Takes applications from a push to production, and breaks them on the way.

use std::time::Duration;

use delivery::state::DeploymentStatus;
use deployed_stack::deployments::Deployments;
use local_aws::build::Profile;
use reqwest::Method;
use sample_application::{Broken, SampleApplication};
use serde_json::Value;

use crate::fixtures::accounts::{self, EXTERNAL_ID, Prod};
use crate::fixtures::delivery::Delivery;
use crate::fixtures::stack::stack;

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
    let delivery = Delivery::of("released", &[("AlarmRollbackMinutes", "10")]).await;
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

    // An alarm takes a release back, but not one that is a rollback itself.
    delivery.report_alarm().await;
    let third = delivery.push(&greeting("Salut")).await;
    assert_eq!(third.ended.error, None, "{:?}", third.shown);
    assert_eq!(delivery.answer().await, "Salut, Ada!");
    delivery.report_alarm().await;
    let (ended, taken_back) = delivery.taken_back(third.id).await;
    assert_eq!(ended.error, None, "{taken_back:?}");
    assert_eq!(taken_back.state.status, DeploymentStatus::Released);
    assert_eq!(delivery.answer().await, "Hello, Ada!");
    let rollback = taken_back.state.request.unwrap().rollback.unwrap();
    assert_eq!(rollback.to, id);
    assert!(rollback.by.contains("the alarm"), "{rollback:?}");
}

#[tokio::test]
async fn what_a_deployment_has_left_that_was_stopped_by_hand_is_taken_back() {
    let delivery = Delivery::of("stopped-canary", &[("BakeSeconds", "600")]).await;
    let sound = delivery.push(&greeting("Hello")).await;
    assert_eq!(sound.ended.error, None, "{:?}", sound.shown);
    let push_id = delivery.start(&greeting("Moin").files()).await;
    let id = delivery.id_of(push_id);
    let shifting = delivery
        .until(id, |shown| shown.state.status == DeploymentStatus::Shifting)
        .await;
    let execution = shifting.state.executions.last().unwrap();
    let client = delivery.scene.stack.handle().step_functions();
    let stop = client.stop_execution().execution_arn(execution);
    stop.send().await.unwrap();
    let stopped = delivery
        .until(id, |shown| shown.state.status == DeploymentStatus::Failed)
        .await;
    let failure = stopped.state.failure.unwrap().failure;
    assert_eq!(
        (failure.error.as_str(), failure.clean),
        ("ExecutionAborted", false)
    );
    let (ended, taken_back) = delivery.taken_back(id).await;
    assert_eq!(ended.error, None, "{taken_back:?}");
    assert!(
        failure
            .cause
            .contains(&taken_back.state.deployment_id.to_string())
    );
    let live = delivery.alias("live").await;
    assert!(has_one_version(&live), "{live}");
    assert_eq!(delivery.answer().await, "Hello, Ada!");
    // The environment is free, and what is pushed again goes through.
    let again = delivery.push(&greeting("Salut").broken(Broken::Test)).await;
    assert_eq!(again.failure().1, "TestsFailed", "{:?}", again.shown);
}

#[tokio::test]
async fn a_plan_about_which_nobody_decides_in_time_is_not_executed() {
    let delivery = Delivery::of("expired-approval", &[("Approval", "always")]).await;
    delivery.limit_approvals(Duration::from_secs(2)).await;
    let expired = delivery.push(&greeting("Hello")).await;
    assert_eq!(
        expired.failure(),
        ("Approve", "ApprovalExpired", true),
        "{:?}",
        expired.shown
    );
    assert!(expired.events().contains(&"ApprovalRequested"));
    assert!(delivery.deployments.decide(expired.id, true, None).await.is_err());
    assert!(
        !delivery.is_deployed().await,
        "nothing of the application was created"
    );
}

#[tokio::test]
async fn a_deployment_that_cannot_be_taken_back_says_what_it_has_left() {
    let delivery = Delivery::of("dirty", &[("BakeSeconds", "5")]).await;
    let sound = delivery.push(&greeting("Hello")).await;
    assert_eq!(sound.ended.error, None, "{:?}", sound.shown);

    // What the release was made of is gone, so the stack cannot be taken back to it.
    let artifact = sound.shown.state.artifact.as_ref().unwrap();
    delivery.delete_artifact(&artifact.template).await;
    let failed = delivery.push(&greeting("Moin").broken(Broken::Probe)).await;
    assert_eq!(
        failed.failure(),
        ("Probe", "ProbeFailed", false),
        "{:?}",
        failed.shown
    );
    assert!(failed.cause().contains("the stack"), "{}", failed.cause());
    assert_eq!(failed.ended.error.as_deref(), Some("ProbeFailed"));
    assert_eq!(delivery.answer().await, "Hello, Ada!");

    // The next one goes through, and the alias is gone while it has a share of the traffic.
    let push_id = delivery.start(&greeting("Salut").files()).await;
    let id = delivery.id_of(push_id);
    delivery
        .until(id, |shown| shown.state.status == DeploymentStatus::Shifting)
        .await;
    delivery.delete_alias("live").await;
    let failed = delivery.deployed(push_id).await;
    let (_, _, clean) = failed.failure();
    assert!(!clean, "{:?}", failed.shown);
    assert!(failed.cause().contains("traffic"), "{}", failed.cause());
    assert!(!failed.events().contains(&"TrafficRolledBack"));
}

#[tokio::test]
async fn prod_in_its_own_account_deploys_the_bytes_that_dev_has_tested() {
    let mut dev = accounts::dev("accounts").await;
    let prod = Prod::beside(&mut dev).await;
    let in_dev = dev.push(&greeting("Hello")).await;
    assert_eq!(in_dev.ended.error, None, "{:?}", in_dev.shown);
    let (ended, in_prod) = prod.push(&dev).await;
    assert_eq!(ended.error, None, "{in_prod:?}");
    assert_eq!(in_prod.state.status, DeploymentStatus::Released);
    assert_eq!(in_prod.state.artifact, in_dev.shown.state.artifact);
    assert_eq!(
        in_prod.state.reused_from.as_deref(),
        Some(prod.evidence_role.as_str())
    );
    assert_eq!(in_prod.state.build, None);

    // A tree that dev has not tested is tested here.
    dev.commit(&greeting("Moin").files());
    let (ended, other) = prod.push(&dev).await;
    assert_eq!(ended.error, None, "{other:?}");
    assert!(other.state.build.is_some());
    assert_eq!(dev.answer().await, "Hello, Ada!");

    // The evidence is for one role, with the external id, and nothing else of dev is.
    let stack = prod.deployments.stack();
    let reader = prod
        .administrator
        .assume(stack.output("AcquireRoleArn").unwrap())
        .await;
    let denied = reader.assume_with(&prod.evidence_role, "another-id").await;
    assert!(denied.unwrap_err().is_denied());
    let denied = prod
        .administrator
        .assume_with(&prod.evidence_role, EXTERNAL_ID)
        .await;
    assert!(denied.unwrap_err().is_denied());
    let evidence = reader
        .assume_with(&prod.evidence_role, EXTERNAL_ID)
        .await
        .unwrap();
    let bucket = dev.deployments.stack().output("ArtifactBucketName").unwrap();
    let template = format!(
        "/{bucket}/{}",
        in_dev.shown.state.artifact.as_ref().unwrap().template.key()
    );
    let read = evidence.rest("s3", Method::GET, &template, String::new()).await;
    assert_eq!(read.status, 200, "{read:?}");
    let written = evidence.rest("s3", Method::PUT, &template, "{}".to_owned()).await;
    assert!(written.is_denied(), "{written:?}");
    let zips = dev.scene.stack.output("DestinationBucket");
    let listed = evidence
        .rest("s3", Method::GET, &format!("/{zips}"), String::new())
        .await;
    assert!(listed.is_denied(), "{listed:?}");
}

#[tokio::test]
async fn every_function_of_a_deployment_is_a_small_stripped_binary_too() {
    if stack().await.profile == Profile::Dev {
        // A development build is for this machine alone.
        return;
    }
    // It is built for the first delivery stack.
    Delivery::of("small", &[]).await;
    let limits = [
        ("Acquire", 80),
        ("Admit", 68),
        ("Apply", 68),
        ("Compile", 89),
        ("Plan", 89),
        ("Track", 64),
    ];
    crate::check_binaries("delivery", &limits);
}

/// Returns whether an alias sends all traffic to one version.
fn has_one_version(alias: &Value) -> bool {
    let weights = &alias["RoutingConfig"]["AdditionalVersionWeights"];
    weights.as_object().is_none_or(serde_json::Map::is_empty)
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
    let failed = delivery.deployed_under_alarm(push_id).await;
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
    assert!(has_one_version(&live), "{live}");
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
