//! The Lambda function of the state `Validate`.

use audit::DynamoTrail;
use aws::{settings, telemetry};
use domain::contract::Stage;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let retention = settings::required("AUDIT_RETENTION_DAYS")?.parse()?;
    let trail = DynamoTrail::new(&aws::config().await, table).keeping(retention);
    workflow::run(Stage::Validate, trail.clone(), async |envelope| {
        validate::handle(&trail, envelope).await
    })
    .await
}
