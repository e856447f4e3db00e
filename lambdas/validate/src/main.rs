//! The Lambda function of the state `Validate`.

use domain::contract::Stage;
use platform::audit::DynamoTrail;
use platform::{aws, settings, stage, telemetry};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let trail = DynamoTrail::new(&aws::config().await, table);
    stage::run(Stage::Validate, trail.clone(), async |envelope| {
        validate::handle(&trail, envelope).await
    })
    .await
}
