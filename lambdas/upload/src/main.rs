//! The Lambda function of the state `Upload`.

use attestation::KmsSigner;
use audit::DynamoTrail;
use aws::destination::S3Destination;
use aws::{settings, telemetry};
use domain::contract::Stage;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let staging_bucket = settings::required("STAGING_BUCKET")?;
    let signing_key = settings::required("SIGNING_KEY_ARN")?;
    let config = aws::config().await;
    let trail = DynamoTrail::new(&config, table);
    let store = S3Destination::new(&config, staging_bucket);
    let deps = upload::Deps {
        trail: &trail,
        store: &store,
        signer: &KmsSigner::new(&config, signing_key),
    };
    workflow::run(Stage::Upload, trail.clone(), async |envelope| {
        upload::handle(&deps, envelope).await
    })
    .await
}
