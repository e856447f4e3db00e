//! The Lambda function of the state `Upload`.

use domain::contract::Stage;
use platform::audit::DynamoTrail;
use platform::destination::S3Shelf;
use platform::{aws, settings, stage, telemetry};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let staging_bucket = settings::required("STAGING_BUCKET")?;
    let config = aws::config().await;
    let shelf = S3Shelf::new(&config, staging_bucket);
    stage::run(
        Stage::Upload,
        DynamoTrail::new(&config, table),
        async |envelope| upload::handle(&shelf, envelope).await,
    )
    .await
}
