//! The Lambda function of the gateway's authorizer.

use aws::failure::Failed;
use aws::secrets::{SecretCache, SecretsManager};
use aws::{settings, telemetry};
use aws_lambda_events::apigw::ApiGatewayV2CustomAuthorizerV2Request;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let secret_prefix = settings::required("SECRET_PREFIX")?;
    let secrets = SecretsManager::new(&aws::config().await, secret_prefix);
    let secrets = &SecretCache::new(secrets, "webhook");
    lambda_runtime::run(service_fn(
        |event: LambdaEvent<ApiGatewayV2CustomAuthorizerV2Request>| async move {
            let response = authorize::handle(secrets, &event.payload).await;
            response.map_err(|error| Diagnostic::from(Failed::new(&error)))
        },
    ))
    .await
}
