//! The Lambda function of the states `ReportPending`, `Report` and `ReportFailure`, and of executions that were
//! stopped.

use audit::DynamoTrail;
use aws::secrets::SecretsManager;
use aws::{settings, telemetry};
use domain::contract::Stage;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let secret_prefix = settings::required("SECRET_PREFIX")?;
    let executions_url = settings::required("EXECUTIONS_URL")?;
    let config = aws::config().await;
    let trail = DynamoTrail::new(&config, table);
    let deps = report::Deps {
        trail: &trail,
        secrets: &SecretsManager::new(&config, secret_prefix),
        executions_url: &executions_url,
    };
    workflow::run_with(Stage::Report, trail.clone(), report::parse, async |envelope| {
        report::handle(&deps, envelope).await
    })
    .await
}
