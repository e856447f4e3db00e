//! The Lambda function of the states `Record` and `RecordFailure`, and of executions that were stopped.

use audit::DynamoTrail;
use aws::staging::S3Staging;
use aws::{settings, telemetry};
use domain::contract::Stage;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let staging_bucket = settings::required("STAGING_BUCKET")?;
    let config = aws::config().await;
    let trail = DynamoTrail::new(&config, table);
    let staging = S3Staging::new(&config, staging_bucket);
    let histories = record::StepFunctions::new(&config);
    workflow::run_with(Stage::Record, trail.clone(), record::parse, async |envelope| {
        record::handle(&trail, &staging, &histories, envelope).await
    })
    .await
}
