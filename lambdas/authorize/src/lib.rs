//! The gateway's authorizer: lets a webhook in if its headers may be those of its source's git host.
//!
//! GitLab sends a token in plain text and Azure DevOps a password, which are compared in constant time with every
//! secret of the source, so that a secret can be rotated without ever refusing a webhook. Other hosts sign the body,
//! which an authorizer is not given: it lets in what has a signature that can be one, and `accept` checks that.

use aws::secrets::{SecretCache, SecretError, Secrets};
use aws_lambda_events::apigw::{
    ApiGatewayV2CustomAuthorizerSimpleResponse, ApiGatewayV2CustomAuthorizerV2Request,
};
use chrono::Utc;
use domain::push::SourceName;
use webhook::WebhookSecret;

/// Decides on one request. A source that does not exist gets the same response as a wrong token.
///
/// # Errors
/// Returns a [`SecretError`] if the secret may exist but cannot be read: the gateway then responds with 500, and the
/// host retries or reports it, instead of being told that a good token is wrong.
pub async fn handle(
    secrets: &SecretCache<impl Secrets, WebhookSecret>,
    request: &ApiGatewayV2CustomAuthorizerV2Request,
) -> Result<ApiGatewayV2CustomAuthorizerSimpleResponse, SecretError> {
    let name = request.path_parameters.get("source").map_or("", String::as_str);
    let checked = match name.parse::<SourceName>() {
        Ok(source) => {
            let check = |secret: &WebhookSecret| secret.check_headers(&request.headers, Utc::now());
            secrets.check(&source, check).await?
        }
        Err(_) => None,
    };
    let refusal = match checked {
        Some(Ok(())) => None,
        Some(Err(refusal)) => Some(refusal.to_string()),
        None => Some("there is no such source".to_owned()),
    };
    if let Some(reason) = &refusal {
        let address = request.request_context.http.source_ip.as_deref();
        tracing::warn!(source = name, address, reason, "refused");
    }
    let mut response = ApiGatewayV2CustomAuthorizerSimpleResponse::default();
    response.is_authorized = refusal.is_none();
    Ok(response)
}

#[cfg(test)]
mod tests;
