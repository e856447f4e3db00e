//! The Lambda function of the state `Fetch`.

use audit::DynamoTrail;
use aws::secrets::SecretsManager;
use aws::staging::S3Staging;
use aws::{settings, telemetry};
use domain::contract::Stage;
use reporter::ProgressReporter;

fn main() -> Result<(), lambda_runtime::Error> {
    fetch::transfer_if_asked();
    serve()
}

#[tokio::main]
async fn serve() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let staging_bucket = settings::required("STAGING_BUCKET")?;
    let secret_prefix = settings::required("SECRET_PREFIX")?;
    let config = aws::config().await;
    let deps = fetch::Deps {
        secrets: &SecretsManager::new(&config, secret_prefix),
        staging: &S3Staging::new(&config, staging_bucket),
        transfer: &fetch::TransferProgram::this()?,
        progress: ProgressReporter::new(|progress: fetch::Progress| {
            tracing::info!(%progress, bytes = progress.bytes(), "fetching");
        }),
    };
    let trail = DynamoTrail::new(&config, table);
    workflow::run(Stage::Fetch, trail, async |envelope| {
        fetch::handle(&deps, envelope).await
    })
    .await
}
