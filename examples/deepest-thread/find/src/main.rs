//! The Lambda function that the state machine runs.

use find::{FindError, HttpSource, Question};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt().json().without_time().init();
    let setting = |name| std::env::var(name).map_err(|error| format!("{name}: {error}"));
    let source = &HttpSource::new(&setting("SEARCH_URL")?, &setting("ITEMS_URL")?)?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        let question: Question = serde_json::from_value(event.payload)
            .map_err(|error| FindError::InputInvalid(error.to_string()))?;
        let answer = find::handle(source, question).await;
        answer.map_err(|error| {
            tracing::error!(name = error.name(), %error, "no answer");
            Diagnostic::from(error)
        })
    }))
    .await
}
