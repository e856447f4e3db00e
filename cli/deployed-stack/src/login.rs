//! Why AWS does not know who asks, in one line that names the remedy.

use aws::failure::chain;
use aws_config::SdkConfig;
use aws_sdk_s3::config::{Credentials, ProvideCredentials as _};

use crate::Error;

/// What the providers of credentials say if none has any.
const NONE: &str = "the credential provider was not enabled";

/// Returns the credentials of a configuration.
///
/// # Errors
/// Returns [`Error::Login`] if there are none, or if they cannot be loaded.
pub async fn credentials(config: &SdkConfig) -> Result<Option<Credentials>, Error> {
    let Some(provider) = config.credentials_provider() else {
        return Ok(None);
    };
    let credentials = provider.provide_credentials().await;
    credentials.map(Some).map_err(|error| {
        let reason = chain(&error);
        Error::Login(if reason.starts_with(NONE) {
            "there are no AWS credentials".to_owned()
        } else {
            format!("the AWS credentials cannot be loaded ({reason})")
        })
    })
}

/// Returns the ARN of whoever a configuration logs in as.
///
/// # Errors
/// Returns [`Error::Login`] if AWS does not know who that is.
pub async fn caller(config: &SdkConfig) -> Result<String, Error> {
    // Missing ones are told as such, and not as a request that has failed.
    credentials(config).await?;
    let identity = aws_sdk_sts::Client::new(config)
        .get_caller_identity()
        .send()
        .await;
    let identity = identity.map_err(|error| {
        let error = Error::aws("find out who you are")(error);
        let text = error.to_string();
        error_of(&text).unwrap_or(error)
    })?;
    Ok(identity.arn.unwrap_or_else(|| "unknown".to_owned()))
}

/// Returns the error that a code of AWS means, alone or in a text, if it is about who asks.
pub fn error_of(text: &str) -> Option<Error> {
    let has = |codes: &[&str]| codes.iter().any(|code| text.contains(code));
    let what = if has(&["ExpiredToken", "RequestExpired"]) {
        "the AWS credentials have expired"
    } else if has(&[
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ]) {
        "AWS does not accept the credentials"
    } else {
        return None;
    };
    Some(Error::Login(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_credentials_is_one_line_with_the_remedy() {
        let text =
            "Error: An error occurred (ExpiredToken) when calling the DescribeStacks operation:\n too old";
        let error = error_of(text).unwrap().to_string();
        assert!(error.starts_with("the AWS credentials have expired: log in (`aws sso login`)"));
        assert_eq!(error.lines().count(), 1);
        let error = error_of("UnrecognizedClientException").unwrap().to_string();
        assert!(
            error.starts_with("AWS does not accept the credentials: "),
            "{error}"
        );
        assert!(error_of("AccessDeniedException").is_none());
    }
}
