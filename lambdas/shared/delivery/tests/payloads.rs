//! The inputs and outputs of the states, as an earlier version of the code has written them. An execution keeps the
//! definition that it began with, but its functions are always the latest ones.

#![expect(
    clippy::unwrap_used,
    reason = "a payload that cannot be read has failed the test"
)]

use delivery::artifact::Artifact;
use delivery::closed::ClosedDeployment;
use delivery::contract::{
    Abandoned, Acquired, AdmitInput, Admitted, Applied, ApproveInput, BuildInput, BuildProgress, BuiltInput,
    Decision, Envelope, Executed, PlanInput, Planned, PlannedInput, QueueInput, Queued, RecordInput,
    Restored, Stage, StartedBuild, StartedPlan, Tracked,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The stored events, whose data are most of the outputs.
const EVENTS: &str = include_str!("events.json");

/// Returns the data of the first stored event of this name.
fn data(name: &str) -> Value {
    let histories: Vec<Vec<Value>> = serde_json::from_str(EVENTS).unwrap();
    let mut events = histories.into_iter().flatten();
    events.find(|event| event["type"] == name).unwrap()["data"].clone()
}

/// Returns data with the name of the variant that they are of.
fn decided(decision: &str, mut data: Value) -> Value {
    data["decision"] = json!(decision);
    data
}

fn failure() -> Value {
    let mut failed = data("DeploymentFailed");
    failed.as_object_mut().unwrap().remove("execution_id");
    failed
}

fn plan() -> Value {
    json!({
        "stack_id": "arn:aws:cloudformation:eu-west-1:123456789012:stack/deepest-thread/1",
        "change_set": "arn:aws:cloudformation:eu-west-1:123456789012:changeSet/deployment-1/1",
        "drift_detection": "1",
        "live": {"Ask": "6"}
    })
}

fn closed() -> Value {
    let request = data("DeploymentAccepted");
    json!({
        "deployment_id": request["deployment_id"],
        "environment": "dev",
        "application": "deepest-thread",
        "status": "Failed",
        "push_id": request["push"]["push_id"],
        "commit": request["push"]["commit"],
        "rollback_to": null,
        "reason": null,
        "failure": failure(),
        "remedy": "Look at the alarm.",
        "seconds": 7,
        "closed_at": "2023-11-14T22:13:20Z"
    })
}

fn check_input<T: DeserializeOwned + Serialize>(stage: Stage, input: &Value) {
    let requested = data("DeploymentRequested");
    let written = json!({
        "stage": stage,
        "deployment": requested["deployment"],
        "execution": requested["execution"],
        "attempt": 2,
        "input": input
    });
    let read: Envelope<T> = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), written, "{stage}");
}

fn check_outputs<T: DeserializeOwned + Serialize>(stage: Stage, outputs: impl IntoIterator<Item = Value>) {
    for written in outputs {
        let read: T = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), written, "{stage}");
    }
}

/// Returns all stages, by what serde says if it meets a name that is none of them.
fn stages() -> Vec<Stage> {
    let error = serde_json::from_value::<Stage>(json!("none")).unwrap_err();
    let error = error.to_string();
    let (_, names) = error.split_once(", expected one of ").unwrap();
    let names = names.split('`').skip(1).step_by(2);
    names
        .map(|name| serde_json::from_value(json!(name)).unwrap())
        .collect()
}

#[test]
fn the_input_and_the_outputs_of_every_stage_are_read_and_written_alike() {
    let request = data("DeploymentAccepted");
    let artifact = data("ArtifactBuilt");
    let build = data("BuildStarted");
    let built = json!({"request": request, "build": build});
    let planned = json!({"request": request, "plan": plan()});
    let stages = stages();
    assert!(stages.contains(&Stage::Release), "{stages:?}");
    for stage in stages {
        match stage {
            Stage::Admit => {
                let settings = request["settings"].to_string();
                check_input::<AdmitInput>(stage, &json!({ "settings": settings }));
                let ignored = decided("Ignore", data("DeploymentIgnored"));
                check_outputs::<Admitted>(stage, [decided("Deploy", request.clone()), ignored]);
            }
            Stage::Queue => {
                check_input::<QueueInput>(stage, &json!({"request": request, "task_token": "t1"}));
                let superseded = decided("Superseded", data("DeploymentSuperseded"));
                check_outputs::<Queued>(stage, [json!({ "decision": "Go" }), superseded]);
            }
            Stage::Acquire => {
                check_input::<BuildInput>(stage, &json!({ "request": request }));
                let none = json!({"artifact": null, "from": null});
                check_outputs::<Acquired>(stage, [data("ArtifactReused"), none]);
            }
            Stage::Build => {
                check_input::<BuildInput>(stage, &json!({ "request": request }));
                check_outputs::<StartedBuild>(stage, [build.clone()]);
            }
            Stage::CheckBuild => {
                check_input::<BuiltInput>(stage, &built);
                let log = json!({"group": "builds", "stream": "1"});
                let begun = json!({"complete": false, "phase": "QUEUED", "log": null});
                let ended = json!({"complete": true, "phase": "COMPLETED", "log": log});
                check_outputs::<BuildProgress>(stage, [begun, ended]);
            }
            Stage::Collect => {
                check_input::<BuiltInput>(stage, &built);
                check_outputs::<Artifact>(stage, [artifact.clone()]);
            }
            Stage::Plan => {
                check_input::<PlanInput>(stage, &json!({"request": request, "artifact": artifact}));
                check_outputs::<StartedPlan>(stage, [plan()]);
            }
            Stage::CheckPlan => {
                check_input::<PlannedInput>(stage, &planned);
                check_outputs::<Planned>(stage, [data("ChangesPlanned")]);
            }
            Stage::Approve => {
                let planned = data("ChangesPlanned");
                check_input::<ApproveInput>(stage, &json!({"planned": planned, "task_token": "t1"}));
                check_outputs::<Decision>(stage, [data("ApprovalDecided")]);
            }
            Stage::Apply => {
                check_input::<PlannedInput>(stage, &planned);
                check_outputs::<Executed>(stage, [json!({ "change_set": "1" })]);
            }
            Stage::CheckStack => {
                check_input::<PlannedInput>(stage, &planned);
                check_outputs::<Applied>(stage, [data("ChangesApplied")]);
            }
            Stage::Restore => {
                check_input::<PlannedInput>(stage, &planned);
                check_outputs::<Restored>(stage, [data("StackRestored")]);
            }
            Stage::Abandon => {
                check_input::<PlannedInput>(stage, &planned);
                check_outputs::<Abandoned>(stage, [json!({ "change_set": "1" })]);
            }
            // It writes its event itself, and returns nothing.
            Stage::Track => {
                for name in [
                    "ProbePassed",
                    "TrafficShifted",
                    "CanaryJudged",
                    "TrafficPromoted",
                    "TrafficRolledBack",
                    "ApprovalDecided",
                ] {
                    check_input::<Tracked>(stage, &json!({"type": name, "data": data(name)}));
                }
            }
            Stage::Record => {
                let released = json!({"released": data("DeploymentReleased"), "failure": null});
                check_input::<RecordInput>(stage, &released);
                check_input::<RecordInput>(stage, &json!({"released": null, "failure": failure()}));
                check_outputs::<ClosedDeployment>(stage, [closed()]);
            }
            // It needs nothing but the deployment, and returns nothing.
            Stage::Release => check_input::<Value>(stage, &json!({})),
        }
    }
}
