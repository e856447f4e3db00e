//! The Lambda function that EventBridge Scheduler calls now and then.

use audit::DynamoTrail;
use aws::destination::S3Destination;
use aws::secrets::SecretsManager;
use aws::{settings, telemetry};
use credentials::Issuer;
use sweep::{GitHosts, StateMachine, StoredSources};

fn main() -> Result<(), lambda_runtime::Error> {
    sweep::transfer_if_asked();
    serve()
}

#[tokio::main]
async fn serve() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let sources_path = settings::required("SOURCES_PATH")?;
    let secret_prefix = settings::required("SECRET_PREFIX")?;
    let state_machine_arn = settings::required("STATE_MACHINE_ARN")?;
    let config = aws::config().await;
    let deps = sweep::Deps {
        trail: &DynamoTrail::new(&config, table),
        sources: &StoredSources::new(&config, sources_path),
        hosts: &GitHosts::new(
            SecretsManager::new(&config, secret_prefix),
            Issuer::new(config.credentials_provider()),
        )?,
        executions: &StateMachine::new(&config, state_machine_arn),
        destinations: &S3Destination::new(&config, String::new()),
    };
    workflow::serve("Sweep", async |payload, time_limit| {
        sweep::run(&deps, payload, time_limit).await
    })
    .await
}
