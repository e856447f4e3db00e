//! The Lambda function behind `POST /hooks/{source}`, which also takes the events of sources that call no webhook.

use accept::{Invocation, StepFunctions};
use aws::secrets::{SecretCache, SecretsManager};
use aws::{settings, telemetry};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let state_machine_arn = settings::required("STATE_MACHINE_ARN")?;
    let secret_prefix = settings::required("SECRET_PREFIX")?;
    let config = aws::config().await;
    let executions = &StepFunctions::new(&config, state_machine_arn);
    let secrets = &SecretCache::new(SecretsManager::new(&config, secret_prefix), "webhook");
    lambda_runtime::run(service_fn(|event: LambdaEvent<Invocation>| async move {
        accept::invoke(executions, secrets, &event.payload).await
    }))
    .await
}
