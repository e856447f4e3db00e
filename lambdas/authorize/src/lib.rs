//! The gateway's authorizer: lets a webhook in if it has its source's token.
//!
//! GitLab sends the token in plain text, in `X-Gitlab-Token`. It is compared in constant time with every token of the
//! source's webhook secret, so that a token can be rotated without ever refusing a webhook.

mod tokens;

use aws::secrets::{SecretError, Secrets};
use aws_lambda_events::apigw::{
    ApiGatewayV2CustomAuthorizerSimpleResponse, ApiGatewayV2CustomAuthorizerV2Request,
};
use domain::push::SourceName;

pub use tokens::Tokens;
use webhook::gitlab;

/// Decides on one request. A source that does not exist gets the same response as a wrong token.
///
/// # Errors
/// Returns a [`SecretError`] if the secret may exist but cannot be read: the gateway then responds with 500, and the
/// host retries or reports it, instead of being told that a good token is wrong.
pub async fn handle(
    tokens: &Tokens<impl Secrets>,
    request: &ApiGatewayV2CustomAuthorizerV2Request,
) -> Result<ApiGatewayV2CustomAuthorizerSimpleResponse, SecretError> {
    let name = request.path_parameters.get("source").map_or("", String::as_str);
    let offered = request
        .headers
        .get(gitlab::TOKEN_HEADER)
        .map_or(&[][..], |value| value.as_bytes());
    let is_authorized = match name.parse::<SourceName>() {
        Ok(source) => tokens.accept(&source, offered).await?,
        Err(_) => false,
    };
    if !is_authorized {
        let address = request.request_context.http.source_ip.as_deref();
        tracing::warn!(
            source = name,
            address,
            "refused: no such source, or a wrong token"
        );
    }
    let mut response = ApiGatewayV2CustomAuthorizerSimpleResponse::default();
    response.is_authorized = is_authorized;
    Ok(response)
}
