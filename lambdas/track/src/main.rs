//! The Lambda function of the states that write what states without a function have done, of `Approve`, `Record` and
//! `RecordFailure`.

use audit::DynamoTrail;
use aws::{settings, telemetry};
use tasks::StepFunctions;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let config = aws::config().await;
    let deps = track::Deps {
        deployments: &DynamoTrail::new(&config, table),
        tasks: &StepFunctions::new(&config),
    };
    workflow::serve("Track", async |payload, time_limit| {
        track::handle(&deps, payload, time_limit).await
    })
    .await
}
