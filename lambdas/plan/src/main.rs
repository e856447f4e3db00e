//! The Lambda function of the states `Plan`, `CheckPlan`, `Restore` and `Abandon`.

use artifacts::bucket::S3Artifacts;
use audit::DynamoTrail;
use aws::{settings, telemetry};
use delivery::contract::{Envelope, PlanInput, PlannedInput, Restored, Stage};
use delivery::deployment::Deployment;
use plan::Error;
use stacks::Stacks;
use workflow::Call;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let bucket = settings::required("ARTIFACT_BUCKET")?;
    let execution_role = settings::required("EXECUTION_ROLE_ARN")?;
    let boundary = settings::required("PERMISSIONS_BOUNDARY_ARN")?;
    let config = aws::config().await;
    let stacks = Stacks::new(&config);
    let deps = plan::Deps {
        stacks: &stacks,
        artifacts: &S3Artifacts::new(&config, bucket),
        region: config.region().map_or("", AsRef::as_ref),
        execution_role: &execution_role,
        boundary: &boundary,
    };
    let trail = DynamoTrail::<Deployment>::new(&config, table);
    workflow::serve("plan", async |payload, time_limit| {
        let call = Call::new(payload, time_limit);
        match call.stage()? {
            stage @ Stage::Plan => {
                let work = async |envelope: &Envelope<PlanInput>| {
                    plan::plan(&deps, &envelope.execution, &envelope.input).await
                };
                call.run(stage, &trail, work).await
            }
            stage @ Stage::CheckPlan => {
                let work =
                    async |envelope: &Envelope<PlannedInput>| plan::check(&stacks, &envelope.input).await;
                call.run(stage, &trail, work).await
            }
            stage @ Stage::Restore => {
                let work = async |envelope: &Envelope<PlannedInput>| {
                    let (execution, input) = (&envelope.execution, &envelope.input);
                    let restored = plan::restore(&deps, &trail, execution, input).await;
                    Ok::<_, Error>(Restored(restored?))
                };
                call.run(stage, &trail, work).await
            }
            stage @ Stage::Abandon => {
                let work =
                    async |envelope: &Envelope<PlannedInput>| plan::abandon(&stacks, &envelope.input).await;
                call.run(stage, &trail, work).await
            }
            other => Err(Call::not_here(other)),
        }
    })
    .await
}
