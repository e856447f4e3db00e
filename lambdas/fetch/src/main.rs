//! The Lambda function of the states `Fetch`, `FindVersion` and `FindRef`, and of whoever asks whether it reaches a
//! repository.

use std::sync::Arc;

use audit::DynamoTrail;
use aws::secrets::SecretsManager;
use aws::staging::S3Staging;
use aws::{settings, telemetry};
use credentials::Issuer;
use domain::contract::{Envelope, FetchInput, FindRefInput, Probe, Stage};
use reporter::ProgressReporter;
use workflow::Call;

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
    let issuer = Arc::new(Issuer::new(config.credentials_provider()));
    let trail = &DynamoTrail::new(&config, table);
    let deps = fetch::Deps {
        trail,
        issuer: &issuer,
        secrets: &SecretsManager::new(&config, secret_prefix),
        staging: &S3Staging::new(&config, staging_bucket),
        transfer: &fetch::TransferProgram::this()?,
        bases: settings::required("BASE_DAYS")? != "0",
        progress: ProgressReporter::new(|progress: fetch::Progress| {
            tracing::info!(%progress, bytes = progress.bytes(), "fetching");
        }),
    };
    workflow::serve(Stage::Fetch, async |payload, time_limit| {
        let is_probe = !payload["probe"].is_null();
        let is_rollback = !payload["input"]["deliver"]["rollback"].is_null();
        let is_deletion = !payload["input"]["expire"].is_null();
        let call = Call::new(payload, time_limit);
        if is_probe {
            let asked: Probe = call.read(Stage::Fetch)?;
            let probed = fetch::probe(deps.secrets, deps.issuer, deps.transfer, &asked).await;
            workflow::to_json(Stage::Fetch, &probed)
        } else if is_deletion {
            let work = async |envelope: &Envelope<FindRefInput>| {
                fetch::find_ref(deps.secrets, deps.issuer, deps.transfer, envelope).await
            };
            call.run(Stage::FindRef, trail, work).await
        } else if is_rollback {
            let work = async |envelope: &Envelope<FetchInput>| {
                fetch::find_version(deps.secrets, deps.issuer, deps.transfer, trail, envelope).await
            };
            call.run(Stage::FindVersion, trail, work).await
        } else {
            let work = async |envelope: &Envelope<FetchInput>| fetch::handle(&deps, envelope).await;
            call.run(Stage::Fetch, trail, work).await
        }
    })
    .await
}
