//! The SDK's configuration, and what its errors mean here.

use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::region::ProvideRegion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::ErrorKind;

use crate::failure::chain;
use crate::settings;

/// S3's code for an internal error. It may come in a response with the status 200, if the operation takes long
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>), and for one item of many.
const INTERNAL_ERROR: &str = "InternalError";

/// The configuration of a function: region and credentials from the environment variables that Lambda sets, and where
/// AWS is from `LOCAL_ENDPOINT_URL`, or else `AWS_ENDPOINT_URL`.
///
/// `sam local invoke` sets each variable that the template declares, to the empty text if nothing else is given. The
/// SDK takes an empty `AWS_ENDPOINT_URL` for a URL, so the template declares a variable of its own.
///
/// The SDK's default chain also looks into profiles, asks other services, and brings the code for all of them along:
/// that is [`user_config`].
///
/// Retries here are for milliseconds; the state machine's are for the rest.
pub async fn config() -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(EnvironmentVariableRegionProvider::new().region().await)
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .http_client(http_client())
        .retry_config(retries())
        .timeout_config(timeouts());
    config.set_endpoint_url(
        ["LOCAL_ENDPOINT_URL", "AWS_ENDPOINT_URL"]
            .into_iter()
            .find_map(|name| settings::required(name).ok()),
    );
    config.build()
}

/// Returns a configuration with another endpoint, or the same if `endpoint` is `None`.
#[must_use]
pub fn at(config: &SdkConfig, endpoint: Option<String>) -> SdkConfig {
    match endpoint {
        None => config.clone(),
        Some(endpoint) => config.to_builder().endpoint_url(endpoint).build(),
    }
}

/// The configuration of a person: the SDK's default chain, with `AWS_PROFILE`, and where AWS is from
/// `LOCAL_ENDPOINT_URL`, or else as the SDK reads it, which also knows endpoints of single services.
pub async fn user_config() -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .retry_config(retries())
        .timeout_config(timeouts());
    if let Ok(url) = settings::required("LOCAL_ENDPOINT_URL") {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(120))
        .build()
}

/// A call to AWS that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed: {message}")]
pub struct AwsFailure {
    /// The operation, such as `s3:PutObject`.
    pub operation: &'static str,
    /// The service's error code, or `None` if there was no response.
    pub code: Option<String>,
    /// The HTTP status, or `None` if there was no response.
    pub status: Option<u16>,
    /// Whether a retry can help.
    pub transient: bool,
    message: String,
}

impl AwsFailure {
    /// Classifies an `error` of `operation`.
    pub fn new<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let code = error.code().map(str::to_owned);
        let status = error.raw_response().map(|response| response.status().as_u16());
        let transient = match error {
            SdkError::ConstructionFailure(_) => false,
            SdkError::ServiceError(_) => {
                status.is_some_and(|status| status >= 500 || status == 429)
                    || code.as_deref().is_some_and(is_transient)
            }
            // Other failures are the caller's fault, such as a missing region or credentials. (If the connection is
            // closed before the response has come, the failure is neither `io` nor `timeout`.)
            SdkError::DispatchFailure(failure) => {
                failure.is_io()
                    || failure.is_timeout()
                    || failure.as_other() == Some(ErrorKind::TransientError)
            }
            _ => true,
        };
        let message = match (&code, status) {
            (Some(code), Some(status)) => {
                format!(
                    "{code} (HTTP {status}): {}",
                    error.message().unwrap_or("no message")
                )
            }
            // As of something that is not AWS, or lacks the operation: the SDK says no more than that.
            (None, Some(status)) => format!("HTTP {status} without an error code"),
            _ => chain(error),
        };
        Self {
            operation,
            code,
            status,
            transient,
            message,
        }
    }

    /// Makes the failure transient if `transient` is true, for responses that say so elsewhere than in their code.
    #[must_use]
    pub fn or_transient(mut self, transient: bool) -> Self {
        self.transient |= transient;
        self
    }

    /// Creates the failure of a response that broke off half-way.
    pub fn interrupted(operation: &'static str, error: &dyn std::error::Error) -> Self {
        Self {
            operation,
            code: None,
            status: None,
            transient: true,
            message: chain(error),
        }
    }

    /// Creates the failure of one item in a response for many.
    pub fn of_item(operation: &'static str, code: Option<&str>, message: Option<&str>) -> Self {
        Self {
            operation,
            code: code.map(ToOwned::to_owned),
            status: None,
            transient: code.is_some_and(is_transient),
            message: message.unwrap_or_default().to_owned(),
        }
    }

    /// Returns whether the service responded with this error code.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

fn is_transient(code: &str) -> bool {
    code == INTERNAL_ERROR || THROTTLING_ERRORS.contains(&code) || TRANSIENT_ERRORS.contains(&code)
}
