//! The Lambda function that EventBridge Scheduler runs to sign what the audit trail is.

use attestation::KmsSigner;
use audit::DynamoTrail;
use aws::{failure::Failed, settings, telemetry};
use checkpoint::Request;
use chrono::Utc;
use domain::push::Push;
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let signing_key = settings::required("CHECKPOINT_KEY_ARN")?;
    let config = aws::config().await;
    let trail = DynamoTrail::<Push>::new(&config, table);
    let signer = KmsSigner::new(&config, signing_key);
    let (trail, signer) = (&trail, &signer);
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Request>| {
        let report = checkpoint::handle(trail, signer, event.payload, Utc::now()).await;
        let report = report.map_err(|error| Failed::new(&error))?;
        tracing::info!(pushes = report.pushes, "signed");
        Ok::<_, Failed>(report)
    }))
    .await
}
