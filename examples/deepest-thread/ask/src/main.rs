//! The Lambda function behind the HTTP API.

use std::time::SystemTime;

use ask::StepFunctions;
use aws::{settings, telemetry};
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let state_machine_arn = settings::required("STATE_MACHINE_ARN")?;
    let executions = &StepFunctions::new(&aws::config().await, state_machine_arn);
    lambda_runtime::run(service_fn(
        |event: LambdaEvent<ApiGatewayV2httpRequest>| async move {
            Ok::<_, Error>(ask::handle(executions, &event.payload, SystemTime::now()).await)
        },
    ))
    .await
}
