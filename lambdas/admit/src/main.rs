//! The Lambda function of the states `Admit`, `Queue`, `Release` and `ReleaseAfterFailure`, of executions that were
//! stopped, and of alarms.

use audit::DynamoTrail;
use aws::{settings, telemetry};
use tasks::StepFunctions;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let environment = settings::required("ENVIRONMENT")?.parse()?;
    let application = settings::required("APPLICATION")?.parse()?;
    let state_machine_arn = settings::required("STATE_MACHINE_ARN")?;
    let alarm_rollback_minutes = settings::required("ALARM_ROLLBACK_MINUTES")?.parse()?;
    let retention = settings::required("AUDIT_RETENTION_DAYS")?.parse()?;
    let config = aws::config().await;
    let pushes = DynamoTrail::new(&config, table).keeping(retention);
    let deps = admit::Deps {
        deployments: &pushes.of(),
        pushes: &pushes,
        tasks: &StepFunctions::new(&config),
        state_machine_arn,
        alarm_rollback_minutes,
        environment,
        application,
    };
    workflow::serve("Admit", async |payload, time_limit| {
        admit::handle(&deps, payload, time_limit).await
    })
    .await
}
