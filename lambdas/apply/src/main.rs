//! The Lambda function of the states `Apply` and `CheckStack`.

use audit::DynamoTrail;
use aws::{settings, telemetry};
use delivery::contract::{Envelope, PlannedInput, Stage};
use delivery::deployment::Deployment;
use stacks::Stacks;
use workflow::Call;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let config = aws::config().await;
    let stacks = Stacks::new(&config);
    let trail = DynamoTrail::<Deployment>::new(&config, table);
    workflow::serve("apply", async |payload, time_limit| {
        let call = Call::new(payload, time_limit);
        match call.stage()? {
            stage @ Stage::Apply => {
                let work =
                    async |envelope: &Envelope<PlannedInput>| apply::apply(&stacks, &envelope.input).await;
                call.run(stage, &trail, work).await
            }
            stage @ Stage::CheckStack => {
                let work =
                    async |envelope: &Envelope<PlannedInput>| apply::check(&stacks, &envelope.input).await;
                call.run(stage, &trail, work).await
            }
            other => Err(Call::not_here(other)),
        }
    })
    .await
}
