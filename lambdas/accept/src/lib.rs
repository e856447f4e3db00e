//! The webhook: turns a delivery into pushes, and starts one execution for each.
//!
//! The gateway's authorizer has already let the request in. An event that is not for us gets the status 200 and a
//! reason, because git hosts disable webhooks that respond with errors.

mod executions;
mod start;

use aws::failure::chain;
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::push::SourceName;
use serde::Serialize;

pub use executions::{ExecutionStatus, Executions, StepFunctions};
use webhook::{Report, gitlab};

/// The largest body, in bytes. A Lambda request has at most 6 MB, in which the body may be Base64.
const MAX_BODY_BYTES: usize = 4 << 20;

/// The response to a webhook.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(untagged)]
enum Response {
    /// Executions were started, or exist already.
    Accepted { pushes: Vec<Started> },
    /// There is nothing to do.
    NothingToDo { pushes: [(); 0], reason: String },
    /// The request was refused.
    Refused {
        #[serde(skip)]
        status: i64,
        error: String,
    },
}

/// A push and its execution.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Started {
    push_id: String,
    #[serde(rename = "ref")]
    ref_name: String,
    /// The execution's ARN.
    execution: String,
}

/// Handles one request.
pub async fn handle(
    executions: &impl Executions,
    request: &ApiGatewayV2httpRequest,
) -> ApiGatewayV2httpResponse {
    let response = respond(executions, request)
        .await
        .unwrap_or_else(|refused| refused);
    let status = match &response {
        Response::Accepted { pushes } => {
            for push in pushes {
                tracing::info!(push_id = push.push_id, execution = push.execution, "accepted");
            }
            202
        }
        Response::NothingToDo { reason, .. } => {
            tracing::info!(reason, "nothing to do");
            200
        }
        Response::Refused { status, error } => {
            tracing::error!(status, error, "refused");
            *status
        }
    };
    let mut http = ApiGatewayV2httpResponse::default();
    http.status_code = status;
    http.headers.insert(
        "content-type",
        aws_lambda_events::http::HeaderValue::from_static("application/json"),
    );
    http.body = serde_json::to_string(&response).ok().map(Body::Text);
    http
}

fn refused(status: i64, error: &impl ToString) -> Response {
    Response::Refused {
        status,
        error: error.to_string(),
    }
}

async fn respond(
    executions: &impl Executions,
    request: &ApiGatewayV2httpRequest,
) -> Result<Response, Response> {
    let source = request.path_parameters.get("source").map_or("", String::as_str);
    let source: SourceName = source.parse().map_err(|error| refused(404, &error))?;
    let body = body(request)?;
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let push = match gitlab::read(&source, header, &body) {
        Ok(Report::Push(push)) => push,
        Ok(Report::NotForUs(reason)) => return Ok(Response::NothingToDo { pushes: [], reason }),
        Err(error) => return Err(refused(400, &error)),
    };
    let execution = start::start(executions, &push).await.map_err(|error| {
        // Whoever has set up the hook sees the response, which must not show them roles and accounts.
        tracing::error!(error = chain(&error), "not started");
        refused(error.status(), &error)
    })?;
    Ok(Response::Accepted {
        pushes: vec![Started {
            push_id: push.push_id.to_string(),
            ref_name: push.ref_name.to_string(),
            execution,
        }],
    })
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
