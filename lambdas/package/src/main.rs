//! The Lambda function of the state `Package`.

use audit::DynamoTrail;
use aws::staging::S3Staging;
use aws::{settings, telemetry};
use domain::contract::Stage;
use reporter::ProgressReporter;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let staging_bucket = settings::required("STAGING_BUCKET")?;
    let config = aws::config().await;
    let deps = package::Deps {
        staging: &S3Staging::new(&config, staging_bucket),
        progress: ProgressReporter::new(|progress: package::Progress| {
            tracing::info!(%progress, bytes = progress.bytes(), "packaging");
        }),
    };
    let trail = DynamoTrail::new(&config, table);
    workflow::run(Stage::Package, trail, async |envelope| {
        package::handle(&deps, envelope).await
    })
    .await
}
