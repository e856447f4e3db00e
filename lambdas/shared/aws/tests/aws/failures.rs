//! Which failures are transient.

use std::time::Duration;

use aws::AwsFailure;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::SharedCredentialsProvider;

use testkit::aws::{AwsResponse, Service, config};

async fn failure_of(client: &Client) -> AwsFailure {
    let request = client.put_object().bucket("zips").key("a.zip");
    AwsFailure::new("s3:PutObject", &request.send().await.unwrap_err())
}

#[tokio::test]
async fn a_response_is_transient_by_its_code_or_its_status() {
    let transient = true;
    let permanent = false;
    for (code, status, expected) in [
        ("SlowDown", 503, transient),
        ("SlowDown", 400, transient),
        ("ServiceUnavailable", 503, transient),
        ("NotImplementedYet", 500, transient),
        ("TooMany", 429, transient),
        ("RequestTimeout", 400, transient),
        ("ThrottlingException", 400, transient),
        ("ProvisionedThroughputExceededException", 400, transient),
        ("InternalError", 500, transient),
        ("InternalError", 400, transient),
        ("AccessDenied", 403, permanent),
        ("RequestTimeTooSkewed", 403, permanent),
        ("NoSuchBucket", 404, permanent),
        ("PermanentRedirect", 301, permanent),
        ("InvalidRequest", 400, permanent),
        ("ClientClosed", 499, permanent),
    ] {
        let service = Service::always(AwsResponse::error(status, code)).await;
        let failure = failure_of(&Client::new(&service.config())).await;
        assert_eq!(failure.transient, expected, "{failure}");
        assert_eq!(failure.code.as_deref(), Some(code));
        assert_eq!(failure.status, Some(status));
        assert!(failure.is(code) && !failure.is("Another"));
        assert_eq!(
            failure.to_string(),
            format!("s3:PutObject failed: {code} (HTTP {status}): so it is")
        );
    }
}

#[tokio::test]
async fn a_missing_response_is_transient() {
    let hangs_up = Service::start(|_| None).await;
    let cut = Service::always(AwsResponse::error(403, "AccessDenied").cut(1)).await;
    let refused = {
        let gone = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        config(&format!("http://{}", gone.local_addr().unwrap()))
    };
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let impatient = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_millis(50))
        .build();
    let silent_config = config(&format!("http://{}", silent.local_addr().unwrap()))
        .into_builder()
        .timeout_config(impatient)
        .build();
    for config in [hangs_up.config(), cut.config(), refused, silent_config] {
        let failure = failure_of(&Client::new(&config)).await;
        assert!(failure.transient, "{failure}");
        assert_eq!(failure.code, None, "{failure}");
    }
}

#[tokio::test]
async fn a_client_without_region_or_credentials_fails_permanently() {
    let service = Service::always(AwsResponse::new(200, "")).await;
    let http_client = aws_smithy_http_client::Builder::new().build_http();
    let nobody = ProfileFileCredentialsProvider::builder()
        .configure(&ProviderConfig::default().with_http_client(http_client))
        .profile_name("nobody")
        .profile_files(
            EnvConfigFiles::builder()
                .with_contents(EnvConfigFileKind::Config, "")
                .build(),
        )
        .build();
    let without_credentials = service
        .config()
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(nobody));
    let mut without_region = service.config().into_builder();
    without_region.set_region(None);
    for (config, reason) in [(without_credentials, "credential"), (without_region, "region")] {
        let failure = failure_of(&Client::new(&config.build())).await;
        assert!(!failure.transient, "{failure}");
        assert_eq!((&failure.code, failure.status), (&None, None), "{failure}");
        assert!(failure.to_string().contains(reason), "{failure}");
    }
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn a_request_that_cannot_be_built_fails_permanently() {
    let service = Service::always(AwsResponse::new(200, "")).await;
    let without_bucket = Client::new(&service.config()).put_object().key("a.zip");
    let error = without_bucket.send().await.unwrap_err();
    let failure = AwsFailure::new("s3:PutObject", &error);
    assert!(!failure.transient, "{failure}");
    assert!(failure.to_string().contains("bucket"), "{failure}");
    assert!(service.requests().is_empty());
}

#[test]
fn the_failure_of_one_item_is_transient_by_its_code() {
    for (code, transient) in [
        (Some("InternalError"), true),
        (Some("SlowDown"), true),
        (Some("RequestTimeout"), true),
        (Some("AccessDenied"), false),
        (None, false),
    ] {
        let failure = AwsFailure::of_item("s3:DeleteObjects", code, Some("so it is"));
        assert_eq!(failure.transient, transient, "{code:?}");
        assert_eq!(failure.code.as_deref(), code);
        assert_eq!(failure.to_string(), "s3:DeleteObjects failed: so it is");
    }
}

#[test]
fn a_response_that_broke_off_is_transient_and_has_its_cause() {
    #[derive(Debug, thiserror::Error)]
    #[error("the body ended")]
    struct Ended(#[source] std::io::Error);

    let failure = AwsFailure::interrupted("s3:GetObject", &Ended(std::io::Error::other("reset")));
    assert!(failure.transient);
    assert_eq!(failure.to_string(), "s3:GetObject failed: the body ended: reset");
}
