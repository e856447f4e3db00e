//! The Lambda function of the state `Acquire`.

use acquire::OtherAccount;
use artifacts::bucket::S3Artifacts;
use artifacts::evidence::DynamoEvidence;
use audit::DynamoTrail;
use aws::{settings, telemetry};
use delivery::contract::{BuildInput, Envelope, Stage};
use delivery::deployment::Deployment;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let bucket = settings::required("ARTIFACT_BUCKET")?;
    let config = aws::config().await;
    let other = match settings::optional("EVIDENCE_ROLE_ARN") {
        None => None,
        Some(role_arn) => Some(OtherAccount {
            config: config.clone(),
            role_arn,
            external_id: settings::required("EVIDENCE_EXTERNAL_ID")?,
            table: settings::required("EVIDENCE_TABLE_NAME")?,
            bucket: settings::required("EVIDENCE_BUCKET")?,
        }),
    };
    let deps = acquire::Deps {
        artifacts: &S3Artifacts::new(&config, bucket),
        evidence: &DynamoEvidence::new(&config, table.clone()),
        other: other.as_ref(),
    };
    let trail = DynamoTrail::<Deployment>::new(&config, table);
    workflow::run(Stage::Acquire, trail, async |envelope: &Envelope<BuildInput>| {
        acquire::acquire(&deps, &envelope.input.request).await
    })
    .await
}
