//! The webhook: turns a delivery into pushes, and starts one execution for each. CodeCommit, which calls no webhook,
//! comes by an [`event`] instead.
//!
//! The gateway's authorizer has already let the request in by its headers. The host's signature is over the body, which
//! only this function has, so it is checked here, before anything is parsed. An event that is not for us gets the
//! status 200 and a reason, because git hosts disable webhooks that respond with errors.

pub mod event;
mod executions;
mod start;

use aws::failure::chain;
use aws::secrets::{SecretCache, SecretError, Secrets};
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use aws_lambda_events::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use domain::push::{Push, SourceName};
use domain::source::Provider;
use futures::StreamExt as _;
use lambda_runtime::Diagnostic;
use serde::{Deserialize, Serialize};

pub use executions::{ExecutionStatus, Executions, StepFunctions};
use webhook::{Refusal, Report, WebhookSecret};

use crate::event::SourceEvent;

/// The largest body, in bytes. A Lambda request has at most 6 MB, in which the body may be Base64.
const MAX_BODY_BYTES: usize = 4 << 20;

/// How many executions are started at the same time, so that those of all refs of a hook are before its host stops
/// waiting.
const STARTS_AT_ONCE: usize = 32;

/// The response to a webhook.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Response {
    /// Executions were started, or exist already.
    Accepted {
        /// The pushes, in the order of the request.
        pushes: Vec<Started>,
    },
    /// There is nothing to do.
    NothingToDo {
        /// None.
        pushes: [(); 0],
        /// Why there is nothing to do.
        reason: String,
    },
    /// The request was refused.
    Refused {
        /// The HTTP status.
        #[serde(skip)]
        status: i64,
        /// Why it was refused.
        error: String,
    },
}

/// A push and its execution.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Started {
    push_id: String,
    #[serde(rename = "ref")]
    ref_name: String,
    /// The execution's ARN.
    execution: String,
}

/// What the function is called with.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Invocation {
    /// An event, sent by a rule.
    Event(SourceEvent),
    /// A request, passed on by the gateway.
    Request(Box<ApiGatewayV2httpRequest>),
}

/// What the function answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum InvocationResult {
    /// To an event.
    Event(Response),
    /// To a request.
    Request(Box<ApiGatewayV2httpResponse>),
}

/// Handles what the function is called with.
///
/// # Errors
/// See [`event::handle`]. The refusal of a request is a response.
pub async fn invoke(
    executions: &impl Executions,
    secrets: &SecretCache<impl Secrets, WebhookSecret>,
    invocation: &Invocation,
) -> Result<InvocationResult, Diagnostic> {
    Ok(match invocation {
        Invocation::Event(event) => InvocationResult::Event(event::handle(executions, event).await?),
        // Without the box the type of the whole future is too deep for the compiler.
        Invocation::Request(request) => {
            let response = Box::pin(handle(executions, secrets, request)).await;
            InvocationResult::Request(Box::new(response))
        }
    })
}

/// Handles one request.
pub async fn handle(
    executions: &impl Executions,
    secrets: &SecretCache<impl Secrets, WebhookSecret>,
    request: &ApiGatewayV2httpRequest,
) -> ApiGatewayV2httpResponse {
    let response = respond(executions, secrets, request)
        .await
        .unwrap_or_else(|refused| refused);
    response.log();
    let mut http = ApiGatewayV2httpResponse::default();
    http.status_code = response.status();
    http.headers.insert(
        "content-type",
        aws_lambda_events::http::HeaderValue::from_static("application/json"),
    );
    http.body = serde_json::to_string(&response).ok().map(Body::Text);
    http
}

impl Response {
    /// Returns the HTTP status.
    fn status(&self) -> i64 {
        match self {
            Self::Accepted { .. } => 202,
            Self::NothingToDo { .. } => 200,
            Self::Refused { status, .. } => *status,
        }
    }

    fn log(&self) {
        match self {
            Self::Accepted { pushes } => {
                for push in pushes {
                    tracing::info!(push_id = push.push_id, execution = push.execution, "accepted");
                }
            }
            Self::NothingToDo { reason, .. } => tracing::info!(reason, "nothing to do"),
            Self::Refused { status, error } => tracing::error!(status, error, "refused"),
        }
    }
}

fn refused(status: i64, error: &impl ToString) -> Response {
    Response::Refused {
        status,
        error: error.to_string(),
    }
}

async fn respond(
    executions: &impl Executions,
    secrets: &SecretCache<impl Secrets, WebhookSecret>,
    request: &ApiGatewayV2httpRequest,
) -> Result<Response, Response> {
    let source = request.path_parameters.get("source").map_or("", String::as_str);
    let source: SourceName = source.parse().map_err(|error| refused(404, &error))?;
    let body = body(request)?;
    let headers = &request.headers;
    let check = |secret: &WebhookSecret| -> Result<_, Refusal> {
        let now = Utc::now();
        let provider = secret.check(headers, &body, now)?;
        Ok((provider, secret.is_proven_by_previous(headers, &body, now)))
    };
    let checked = secrets.check(&source, check).await;
    let provider = match checked.map_err(|error| unknown(&error))? {
        Some(Ok((provider, by_previous))) => {
            if by_previous {
                tracing::warn!(%source, "proven by a previous secret");
            }
            provider
        }
        Some(Err(refusal)) => return Err(refused(401, &refusal)),
        None => return Err(refused(401, &"there is no such source")),
    };
    start_all(executions, provider, &source, headers, &body).await
}

/// Starts the executions of what a git host reports, which was proven to be from it. All of them are tried: if one
/// cannot be started, the others are found when the host sends the delivery again.
async fn start_all(
    executions: &impl Executions,
    provider: Provider,
    source: &SourceName,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Response> {
    let pushes = match webhook::read(provider, source, headers, body) {
        Ok(Report::Pushes(pushes)) => pushes,
        Ok(Report::NotForUs(reason)) => return Ok(Response::NothingToDo { pushes: [], reason }),
        Err(error) => return Err(refused(400, &error)),
    };
    let starts = pushes.iter().map(|push| started(executions, push));
    let started: Vec<Result<Started, Response>> = futures::stream::iter(starts)
        .buffered(STARTS_AT_ONCE)
        .collect()
        .await;
    let pushes = started.into_iter().collect::<Result<_, _>>()?;
    Ok(Response::Accepted { pushes })
}

async fn started(executions: &impl Executions, push: &Push) -> Result<Started, Response> {
    let execution = start::start(executions, push).await.map_err(|error| {
        // Whoever has set up the hook sees the response, which must not show them roles and accounts.
        tracing::error!(error = chain(&error), "not started");
        refused(error.status(), &error)
    })?;
    Ok(Started {
        push_id: push.push_id.to_string(),
        ref_name: push.ref_name.to_string(),
        execution,
    })
}

/// Returns the response if it is not known whether the request is from the git host.
fn unknown(error: &SecretError) -> Response {
    tracing::error!(error = chain(error), "the webhook secret cannot be used");
    let status = match error {
        SecretError::Unavailable { .. } => 503,
        SecretError::Refused { .. } | SecretError::Invalid { .. } => 500,
    };
    refused(
        status,
        &"the webhook secret of the source cannot be used: the log of the function accept says why",
    )
}

fn body(request: &ApiGatewayV2httpRequest) -> Result<Vec<u8>, Response> {
    let text = request.body.as_deref().unwrap_or_default();
    let too_large = || refused(413, &format!("the body has more than {MAX_BODY_BYTES} bytes"));
    // The largest body has this many characters in Base64. A longer text is not decoded.
    if text.len() > MAX_BODY_BYTES.div_ceil(3) * 4 {
        return Err(too_large());
    }
    let body = if request.is_base64_encoded {
        STANDARD.decode(text).map_err(|error| {
            refused(
                400,
                &format!("the body is not Base64, though the gateway says so: {error}"),
            )
        })?
    } else {
        text.as_bytes().to_owned()
    };
    if body.len() > MAX_BODY_BYTES {
        return Err(too_large());
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
