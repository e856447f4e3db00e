//! Plans, updates and restorations of a stack whose functions have two aliases.

use std::collections::BTreeMap;
use std::time::Duration;

use ::artifacts::bucket::{ArtifactStore, S3Artifacts};
use apply::Error as ApplyError;
use audit::AuditError;
use aws_sdk_lambda::types::Environment;
use delivery::artifact::{Artifact, ArtifactObject, Digest};
use delivery::contract::{Applied, PlanInput, Planned, PlannedInput, Request, RiskKind, StartedPlan};
use delivery::deployment::{ApplicationName, EnvironmentName};
use delivery::samples;
use domain::error::{Code, Coded};
use domain::execution::Execution;
use plan::{Deps, Live, Releases};
use serde_json::{Value, json};
use stacks::Stacks;

use crate::{Aws, BUCKET};

const EXECUTION_ROLE: &str = "arn:aws:iam::000000000000:role/execution";
const BOUNDARY: &str = "arn:aws:iam::000000000000:policy/boundary";

/// The application's stack in a local AWS.
struct Scene {
    aws: Aws,
    stacks: Stacks,
    artifacts: S3Artifacts,
    request: Request,
}

/// What is live, as a test has set it.
struct Released(Option<Live>);

impl Releases for Released {
    async fn live(&self, _: &EnvironmentName, _: &ApplicationName) -> Result<Option<Live>, AuditError> {
        Ok(self.0.clone())
    }
}

impl Scene {
    async fn start() -> Self {
        let aws = Aws::start().await;
        Self {
            stacks: Stacks::new(&aws.config),
            artifacts: aws.artifacts(),
            request: samples::request(),
            aws,
        }
    }

    /// Gives the application's parameter another value from now on.
    fn give(&mut self, parameter: &str, value: &str) {
        let parameters = &mut self.request.settings.parameters;
        parameters.insert(parameter.to_owned(), value.to_owned());
    }

    /// Returns what the function's variable is now, whose value is that of the parameter.
    async fn greeting(&self) -> String {
        let resources = self.stacks.resources("deepest-thread").await.unwrap();
        let lambda = aws_sdk_lambda::Client::new(&self.aws.config);
        let request = lambda.get_function_configuration();
        let function = request.function_name(&resources["Ask"]).send().await.unwrap();
        let environment = function.environment.unwrap();
        environment.variables.unwrap()["GREETING"].clone()
    }

    async fn store(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let path = self.aws.folder.path().join(digest.as_str());
        std::fs::write(&path, bytes).unwrap();
        self.artifacts.put(&digest, &path).await.unwrap();
        digest
    }

    /// Stores an artifact with this code, whose template `change` has changed.
    async fn artifact(&self, code: &str, change: impl FnOnce(&mut Value)) -> Artifact {
        let sha256 = self.store(&zip(code)).await;
        let mut template = template(&sha256);
        change(&mut template);
        let object = ArtifactObject {
            property: "Ask.CodeUri".to_owned(),
            sha256,
            size: zip(code).len() as u64,
        };
        Artifact {
            template: self.store(template.to_string().as_bytes()).await,
            objects: vec![object],
            ..samples::artifact()
        }
    }

    fn deps(&self) -> Deps<'_, S3Artifacts> {
        Deps {
            stacks: &self.stacks,
            artifacts: &self.artifacts,
            region: "us-east-1",
            execution_role: EXECUTION_ROLE,
            boundary: BOUNDARY,
        }
    }

    async fn start_plan(
        &self,
        execution: &Execution,
        artifact: &Artifact,
    ) -> Result<StartedPlan, plan::Error> {
        let input = PlanInput {
            request: self.request.clone(),
            artifact: artifact.clone(),
        };
        plan::plan(&self.deps(), execution, &input).await
    }

    fn input(&self, plan: StartedPlan) -> PlannedInput {
        PlannedInput {
            request: self.request.clone(),
            plan,
        }
    }

    async fn plan(
        &self,
        execution: &str,
        artifact: &Artifact,
    ) -> (PlannedInput, Result<Planned, plan::Error>) {
        let plan = self
            .start_plan(&samples::execution(execution), artifact)
            .await
            .unwrap();
        let input = self.input(plan);
        let planned = until(async || {
            let planned = plan::check(&self.stacks, &input).await;
            planned
                .as_ref()
                .map_or(true, |planned| planned.complete)
                .then_some(planned)
        });
        let planned = planned.await;
        (input, planned)
    }

    async fn apply(&self, input: &PlannedInput) -> Result<Applied, ApplyError> {
        apply::apply(&self.stacks, input).await?;
        until(async || {
            let applied = apply::check(&self.stacks, input).await;
            applied
                .as_ref()
                .map_or(true, |applied| applied.complete)
                .then_some(applied)
        })
        .await
    }

    async fn deploy(&self, execution: &str, artifact: &Artifact) -> Applied {
        let (input, planned) = self.plan(execution, artifact).await;
        planned.unwrap();
        self.apply(&input).await.unwrap()
    }

    /// Moves all of the traffic to a version, as the state machine does.
    async fn promote(&self, applied: &Applied) {
        let function = &applied.functions[0];
        let lambda = aws_sdk_lambda::Client::new(&self.aws.config);
        let request = lambda.update_alias().function_name(&function.name).name("live");
        request
            .function_version(&function.candidate)
            .send()
            .await
            .unwrap();
    }
}

/// Returns the first value that `look` finds, within a minute.
async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it does not end");
}

/// An empty zip with a comment, so that another text is another zip.
fn zip(comment: &str) -> Vec<u8> {
    let length = (comment.len() as u16).to_le_bytes();
    [b"PK\x05\x06".as_slice(), &[0; 16], &length, comment.as_bytes()].concat()
}

fn template(code: &Digest) -> Value {
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {
            "AskLiveVersion": { "Type": "String", "Default": "" },
            "Greeting": { "Type": "String", "Default": "hello" },
        },
        "Conditions": { "HasAskLiveVersion": { "Fn::Not": [{ "Fn::Equals": [{ "Ref": "AskLiveVersion" }, ""] }] } },
        "Resources": {
            "Ask": { "Type": "AWS::Serverless::Function", "Properties": {
                "Runtime": "python3.11",
                "Handler": "index.handler",
                "CodeUri": { "Key": code.key() },
                "AutoPublishAlias": "next",
                "Environment": { "Variables": { "GREETING": { "Ref": "Greeting" } } },
            } },
            "AskLive": { "Type": "AWS::Lambda::Alias", "Properties": {
                "Name": "live",
                "FunctionName": { "Ref": "Ask" },
                "FunctionVersion": { "Fn::If": ["HasAskLiveVersion", { "Ref": "AskLiveVersion" }, { "Fn::GetAtt": ["Ask.Version", "Version"] }] },
            } },
            "Table": { "Type": "AWS::DynamoDB::Table", "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
                "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
            } },
        },
        "Outputs": { "FunctionName": { "Value": { "Ref": "Ask" } } },
    })
}

fn versions(applied: &Applied) -> (&str, &str) {
    let function = &applied.functions[0];
    (&function.stable, &function.candidate)
}

fn same(_: &mut Value) {}

#[tokio::test]
async fn an_update_publishes_a_version_and_moves_no_traffic() {
    let scene = Scene::start().await;
    let one = scene.artifact("one", same).await;
    let (input, planned) = scene.plan("e1", &one).await;
    let planned = planned.unwrap();
    assert_eq!(input.plan.drift_detection, None);
    assert_eq!(input.plan.live, BTreeMap::new());
    assert!(planned.changes.iter().all(|change| change.action == "Add"));
    assert_eq!(planned.risks, []);
    let applied = scene.apply(&input).await.unwrap();
    assert_eq!(versions(&applied), ("1", "1"));
    assert_eq!(applied.outputs["FunctionName"], applied.functions[0].name);
    // Twice is the same as once.
    assert_eq!(scene.apply(&input).await.unwrap(), applied);

    let two = scene.artifact("two", same).await;
    let (input, planned) = scene.plan("e2", &two).await;
    let planned = planned.unwrap();
    assert_eq!(input.plan.live["Ask"], "1");
    assert!(planned.canary);
    assert_eq!((&planned.risks, &planned.drift), (&vec![], &vec![]));
    let changed: Vec<_> = planned
        .changes
        .iter()
        .map(|change| change.logical_id.as_str())
        .collect();
    assert!(
        changed.contains(&"Ask") && !changed.contains(&"Table"),
        "{changed:?}"
    );
    let applied = scene.apply(&input).await.unwrap();
    assert_eq!(versions(&applied), ("1", "2"));

    // What was promoted stays live with the next update, although CloudFormation has set another version last.
    scene.promote(&applied).await;
    let three = scene.artifact("three", same).await;
    let (input, planned) = scene.plan("e3", &three).await;
    assert_eq!(planned.unwrap().drift, []);
    assert_eq!(input.plan.live["Ask"], "2");
    assert_eq!(versions(&scene.apply(&input).await.unwrap()), ("2", "3"));
}

#[tokio::test]
async fn a_plan_with_nothing_to_do_is_empty_and_one_that_is_refused_says_why() {
    let scene = Scene::start().await;
    let one = scene.artifact("one", same).await;
    scene.deploy("e1", &one).await;
    // The parameter that keeps the version is new, and nothing changes by it.
    let (input, planned) = scene.plan("e2", &one).await;
    let planned = planned.unwrap();
    assert!(planned.complete);
    assert_eq!((planned.changes, planned.risks), (vec![], vec![]));
    plan::abandon(&scene.stacks, &input).await.unwrap();
    plan::abandon(&scene.stacks, &input).await.unwrap();
    assert_eq!(
        plan::check(&scene.stacks, &input).await.unwrap_err().code(),
        Code::PlanOutdated
    );

    let unknown = scene
        .artifact("two", |template| {
            template["Resources"]["Pipeline"] = json!({ "Type": "AWS::Unknown::Thing" });
        })
        .await;
    let execution = samples::execution("e3");
    let refused = match scene.start_plan(&execution, &unknown).await {
        Err(error) => error,
        Ok(plan) => plan::check(&scene.stacks, &scene.input(plan)).await.unwrap_err(),
    };
    assert_eq!(refused.code(), Code::ChangeRefused, "{refused}");
    let told = aws::failure::chain(&refused);
    assert!(told.contains("AWS::Unknown::Thing"), "{told}");
    let wrong = scene
        .artifact("x", |template| template["Parameters"] = json!({}))
        .await;
    let error = scene.start_plan(&execution, &wrong).await.unwrap_err();
    assert_eq!(error.code(), Code::LiveAliasMissing, "{error}");
}

#[tokio::test]
async fn what_is_dangerous_is_a_risk() {
    let scene = Scene::start().await;
    let one = scene.artifact("one", same).await;
    let applied = scene.deploy("e1", &one).await;
    let widened = scene
        .artifact("two", |template| {
            template["Resources"].as_object_mut().unwrap().remove("Table");
            template["Resources"]["Ask"]["Properties"]["Policies"] =
                json!([{ "Statement": [{ "Effect": "Allow", "Action": "s3:*", "Resource": "*" }] }]);
        })
        .await;
    let lambda = aws_sdk_lambda::Client::new(&scene.aws.config);
    let by_hand = Environment::builder().variables("GREETING", "by hand").build();
    let request = lambda
        .update_function_configuration()
        .function_name(&applied.functions[0].name);
    request.environment(by_hand).send().await.unwrap();

    let (_, planned) = scene.plan("e2", &widened).await;
    let planned = planned.unwrap();
    let kinds: Vec<_> = planned.risks.iter().map(|risk| risk.kind).collect();
    assert_eq!(
        kinds,
        [RiskKind::DataLost, RiskKind::RightsWidened, RiskKind::Drifted]
    );
    let details: Vec<_> = planned.risks.iter().map(|risk| risk.detail.as_str()).collect();
    assert_eq!(
        details,
        [
            "Table (AWS::DynamoDB::Table) is removed",
            "AskRole allows s3:* on *",
            "/Environment/Variables/GREETING of Ask was changed by hand",
        ]
    );
    assert_eq!(planned.drift[0].actual, None);
}

#[tokio::test]
async fn a_parameter_that_changes_publishes_a_version() {
    let mut scene = Scene::start().await;
    let one = scene.artifact("one", same).await;
    scene.deploy("e1", &one).await;
    scene.give("Greeting", "good evening");
    let (input, planned) = scene.plan("e2", &one).await;
    planned.unwrap();
    let applied = scene.apply(&input).await.unwrap();
    assert_eq!(versions(&applied), ("1", "2"));
}

#[tokio::test]
async fn a_change_without_a_new_version_is_refused() {
    let mut scene = Scene::start().await;
    // The digest of this template's own is not one of the values of its parameters.
    let own = |template: &mut Value| {
        template["Resources"]["Ask"]["Properties"]["AutoPublishCodeSha256"] = json!("a".repeat(64));
    };
    let one = scene.artifact("one", own).await;
    scene.deploy("e1", &one).await;
    scene.give("Greeting", "good evening");
    let (_, planned) = scene.plan("e2", &one).await;
    let error = planned.unwrap_err();
    assert_eq!(error.code(), Code::NothingPublished, "{error}");
    assert!(error.to_string().contains("Ask changes (Environment)"), "{error}");
}

#[tokio::test]
async fn an_update_that_fails_is_undone_and_says_which_resource_has_failed() {
    let scene = Scene::start().await;
    let one = scene.artifact("one", same).await;
    scene.deploy("e1", &one).await;
    // Its code is not in the bucket.
    let mut broken = scene.artifact("two", same).await;
    let missing = samples::digest('0');
    let mut template = template(&missing);
    template["Resources"]["Queue"] = json!({ "Type": "AWS::SQS::Queue" });
    broken.template = scene.store(template.to_string().as_bytes()).await;
    broken.objects[0].sha256 = missing;
    let (input, planned) = scene.plan("e2", &broken).await;
    planned.unwrap();
    let error = scene.apply(&input).await.unwrap_err();
    assert_eq!(error.code(), Code::StackRolledBack, "{error}");
    assert!(
        error.to_string().contains("Ask (AWS::Lambda::Function): "),
        "{error}"
    );
    assert!(error.to_string().contains("UPDATE_ROLLBACK_COMPLETE"), "{error}");
    let name = scene.stacks.resources("deepest-thread").await.unwrap()["Ask"].clone();
    for alias in ["live", "next"] {
        assert_eq!(
            scene.stacks.version(&name, alias).await.unwrap().as_deref(),
            Some("1"),
            "{alias}"
        );
    }
    // The stack can be updated again.
    let three = scene.artifact("three", same).await;
    let applied = scene.deploy("e3", &three).await;
    assert_eq!(versions(&applied).0, "1");
}

#[tokio::test]
async fn a_stack_whose_creation_has_failed_is_deleted_and_created_again() {
    let scene = Scene::start().await;
    let broken = scene
        .artifact("one", |template| {
            template["Resources"]["Twin"] =
                json!({ "Type": "AWS::S3::Bucket", "Properties": { "BucketName": BUCKET } });
        })
        .await;
    let (input, planned) = scene.plan("e1", &broken).await;
    planned.unwrap();
    let error = scene.apply(&input).await.unwrap_err();
    assert_eq!(error.code(), Code::StackRolledBack, "{error}");
    assert!(error.to_string().contains("Twin (AWS::S3::Bucket): "), "{error}");
    let one = scene.artifact("one", same).await;
    let error = scene
        .start_plan(&samples::execution("e2"), &one)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::StackBusy, "{error}");
    let plan = until(async || scene.start_plan(&samples::execution("e2"), &one).await.ok()).await;
    let applied = scene.apply(&scene.input(plan)).await.unwrap();
    assert_eq!(versions(&applied), ("1", "1"));
}

#[tokio::test]
async fn a_plan_that_another_update_has_overtaken_is_not_executed() {
    let scene = Scene::start().await;
    let one = scene.artifact("one", same).await;
    scene.deploy("e1", &one).await;
    let (two, three) = (
        scene.artifact("two", same).await,
        scene.artifact("three", same).await,
    );
    let (overtaken, planned) = scene.plan("e2", &two).await;
    planned.unwrap();
    scene.deploy("e3", &three).await;
    let error = scene.apply(&overtaken).await.unwrap_err();
    assert_eq!(error.code(), Code::PlanOutdated, "{error}");
    // An execution that asks again gets the change set that it has made.
    let execution = samples::execution("e4");
    let first = scene.start_plan(&execution, &two).await.unwrap();
    let again = scene.start_plan(&execution, &two).await.unwrap();
    assert_eq!(first.change_set, again.change_set);
}

#[tokio::test]
async fn a_template_that_is_too_large_for_a_request_is_given_by_an_object() {
    let scene = Scene::start().await;
    let large = scene
        .artifact("one", |template| {
            for number in 0..190 {
                let name = format!("Output{number}");
                template["Outputs"][name] = json!({ "Value": "x".repeat(300) });
            }
        })
        .await;
    let applied = scene.deploy("e1", &large).await;
    assert_eq!(applied.outputs["Output189"].len(), 300);
}

#[tokio::test]
async fn a_stack_is_taken_back_to_the_live_release_step_by_step() {
    let mut scene = Scene::start().await;
    let one = scene.artifact("one", same).await;
    scene.deploy("e1", &one).await;
    let parameters = scene.request.settings.parameters.clone();
    // The settings have changed since.
    scene.give("Greeting", "good evening");
    scene.give("Farewell", "good night");
    let more = |template: &mut Value| {
        template["Parameters"]["Farewell"] = json!({ "Type": "String" });
        template["Resources"]["Queue"] = json!({ "Type": "AWS::SQS::Queue" });
    };
    let two = scene.artifact("two", more).await;
    let (input, planned) = scene.plan("e2", &two).await;
    planned.unwrap();
    scene.apply(&input).await.unwrap();
    assert!(
        scene
            .stacks
            .resources("deepest-thread")
            .await
            .unwrap()
            .contains_key("Queue")
    );
    let execution = samples::execution("e2");
    assert_eq!(scene.greeting().await, "good evening");
    let restore = async |live: &Released| plan::restore(&scene.deps(), live, &execution, &input).await;
    let error = restore(&Released(None)).await.unwrap_err();
    assert_eq!(error.code(), Code::RestoreFailed, "{error}");
    let live = Released(Some(Live {
        artifact: one,
        parameters,
    }));
    let mut steps = 0;
    while !restore(&live).await.unwrap().complete {
        steps += 1;
        assert!(steps < 600, "it does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(steps > 1, "each call is one step");
    let resources = scene.stacks.resources("deepest-thread").await.unwrap();
    assert!(!resources.contains_key("Queue"));
    assert_eq!(scene.greeting().await, "hello");
    assert_eq!(
        scene
            .stacks
            .version(&resources["Ask"], "live")
            .await
            .unwrap()
            .as_deref(),
        Some("1")
    );
    assert!(restore(&live).await.unwrap().complete);
}
