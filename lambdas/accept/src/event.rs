//! An event of a source whose host calls no webhook, such as CodeCommit. An EventBridge rule sends it together with the
//! name of the source, and the function's resource policy says which rules may.

use aws_lambda_events::http::HeaderMap;
use domain::push::SourceName;
use domain::source::Provider;
use lambda_runtime::Diagnostic;
use serde::Deserialize;
use serde_json::Value;

use crate::{Executions, Response, start_all};

/// What a rule sends. No request of the gateway has this form, because those have other fields too.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceEvent {
    /// The source.
    source_name: SourceName,
    /// The event, as CodeCommit has sent it.
    event: Value,
}

/// Handles one event.
///
/// # Errors
/// Returns the refusal, so that the invocation fails: Lambda then tries twice more, and an alarm reports it.
pub async fn handle(executions: &impl Executions, event: &SourceEvent) -> Result<Response, Diagnostic> {
    let (headers, body) = (HeaderMap::new(), event.event.to_string());
    let source = &event.source_name;
    let response = start_all(
        executions,
        Provider::CodeCommit,
        source,
        &headers,
        body.as_bytes(),
    )
    .await;
    let response = response.unwrap_or_else(|refused| refused);
    response.log();
    match response {
        Response::Refused { error, .. } => Err(Diagnostic {
            error_type: "EventRefused".to_owned(),
            error_message: format!("an event of the source {source} starts nothing: {error}"),
        }),
        accepted => Ok(accepted),
    }
}
