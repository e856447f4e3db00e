//! Tests that the local AWS, the pinned ministack behind its guard, accepts only signed requests, and none of web
//! pages.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_s3::presigning::PresigningConfig;
use local_aws::ACCESS_KEY;
use local_aws::ministack::{Ministack, Settings};
use local_aws::tools::Tools;
use reqwest::{Client, RequestBuilder, Response};
use shell::progress::Progress;

const ASK: &str = r#"{"SecretId": "git"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_local_aws_accepts_signed_requests_and_none_of_web_pages() {
    let tools = Tools::install(Progress::on_stderr()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (aws, mut process) = Ministack::start(&tools, &Settings::default(), folder.path(), true)
        .await
        .unwrap();
    let config = aws.sdk_config();
    let secrets = aws_sdk_secretsmanager::Client::new(&config);
    let create = secrets.create_secret().name("git").secret_string("the token");
    create.send().await.unwrap();

    web_pages_are_refused(&aws).await;
    other_hosts_are_refused(&aws).await;
    wrong_and_missing_signatures_are_refused(&aws).await;
    presigned_urls_are_as_good_as_their_signature(&config).await;
    the_gateway_is_open(&aws).await;
    custom_resources_may_respond(&aws).await;

    let answer = secrets.get_secret_value().secret_id("git").send().await.unwrap();
    assert_eq!(answer.secret_string(), Some("the token"));
    nothing_is_for_others(folder.path());
    process.kill().unwrap();
    process.wait().unwrap();
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// `GetSecretValue`, without a signature.
fn ask(aws: &Ministack) -> RequestBuilder {
    client()
        .post(aws.endpoint())
        .header("x-amz-target", "secretsmanager.GetSecretValue")
        .header("content-type", "application/x-amz-json-1.1")
        .body(ASK)
}

async fn assert_refused(response: Response, why: &str) {
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    assert_eq!(status, 403, "{text}");
    assert!(text.contains(why), "{text}");
    assert!(!text.contains("the token"), "{text}");
    assert!(
        !headers
            .keys()
            .any(|name| name.as_str().starts_with("access-control-")),
        "{headers:?}"
    );
}

async fn web_pages_are_refused(aws: &Ministack) {
    let preflight = client()
        .request(reqwest::Method::OPTIONS, aws.endpoint())
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-amz-target");
    assert_refused(preflight.send().await.unwrap(), "OPTIONS").await;
    for origin in ["https://evil.example", "null", &aws.endpoint()] {
        assert_refused(ask(aws).header("origin", origin).send().await.unwrap(), "Origin").await;
    }
    for site in ["cross-site", "same-site"] {
        let page = client()
            .get(aws.endpoint() + "/_ministack/health")
            .header("sec-fetch-site", site);
        assert_refused(page.send().await.unwrap(), "Sec-Fetch-Site").await;
    }
    // They are refused even with the right signature.
    let secrets = aws_sdk_secretsmanager::Client::new(&aws.sdk_config());
    let signed = secrets
        .get_secret_value()
        .secret_id("git")
        .customize()
        .mutate_request(|request| {
            request.headers_mut().insert("origin", "https://evil.example");
        });
    let error = signed.send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 403);

    // Nor may a web page read a response. This one is ministack's own.
    let unknown = secrets.get_secret_value().secret_id("unknown").send().await;
    let answer = unknown.unwrap_err();
    assert!(
        answer
            .as_service_error()
            .unwrap()
            .is_resource_not_found_exception(),
        "{answer:?}"
    );
    let headers = answer.raw_response().unwrap().headers();
    assert_eq!(headers.get("access-control-allow-origin"), None);

    let health = client()
        .get(aws.endpoint() + "/_ministack/health")
        .send()
        .await
        .unwrap();
    assert_eq!(health.status(), 200);
}

async fn other_hosts_are_refused(aws: &Ministack) {
    let rebound = format!("evil.example:{}", aws.port);
    for host in [
        rebound.as_str(),
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1.evil.example",
        "secretsmanager.us-east-1.amazonaws.com",
    ] {
        assert_refused(ask(aws).header("host", host).send().await.unwrap(), "Host").await;
    }
    for name in ["localhost", "172.17.0.1"] {
        let own = client()
            .get(aws.endpoint() + "/_ministack/health")
            .header("host", format!("{name}:{}", aws.port));
        assert_eq!(own.send().await.unwrap().status(), 200, "{name}");
    }
}

async fn wrong_and_missing_signatures_are_refused(aws: &Ministack) {
    assert_refused(ask(aws).send().await.unwrap(), "signature").await;
    // For ministack alone, its own paths need no signature, and buckets may be public.
    for path in [
        "/bucket",
        // These name no API: ministack takes them for calls of AWS.
        "/_aws/execute-api/",
        "/_aws/execute-api//x",
        "/_ministack/sqs/messages",
        "/_ministack/config",
        "/_ministack/reset",
    ] {
        let unsigned = client().post(aws.endpoint() + path);
        assert_refused(unsigned.send().await.unwrap(), "signature").await;
    }
    let bearer = ask(aws).header("authorization", "Bearer token");
    assert_refused(bearer.send().await.unwrap(), "SigV4").await;
    // For ministack alone, an account's number and an empty key are administrators' keys.
    for (key, secret) in [
        (ACCESS_KEY, "test"),
        (ACCESS_KEY, ""),
        ("test2", aws.secret_key.as_str()),
        ("000000000000", "test"),
        ("123456789012", "test"),
    ] {
        let config = signed_by(&aws.sdk_config(), key, secret, None);
        let secrets = aws_sdk_secretsmanager::Client::new(&config);
        let error = secrets
            .get_secret_value()
            .secret_id("git")
            .send()
            .await
            .unwrap_err();
        let code = error
            .as_service_error()
            .unwrap()
            .meta()
            .code()
            .unwrap()
            .to_owned();
        assert!(
            ["InvalidSignatureException", "UnrecognizedClientException"].contains(&code.as_str()),
            "{key}: {code}"
        );
        let error = s3(&config).list_buckets().send().await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 403, "{key}");
    }
}

fn signed_by(config: &SdkConfig, key: &str, secret: &str, token: Option<String>) -> SdkConfig {
    let credentials = Credentials::new(key, secret, token, None, "test");
    let builder = config.to_builder();
    builder
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(config);
    aws_sdk_s3::Client::from_conf(config.force_path_style(true).build())
}

async fn presigned_urls_are_as_good_as_their_signature(config: &SdkConfig) {
    let s3 = s3(config);
    s3.create_bucket().bucket("zips").send().await.unwrap();
    // More than one chunk, and in AWS's own encoding of chunks.
    let body = vec![7; 200 << 10];
    let put = s3
        .put_object()
        .bucket("zips")
        .key("a b/ü.zip")
        .body(body.clone().into());
    put.send().await.unwrap();
    let get = |client: aws_sdk_s3::Client, seconds| async move {
        let expires = PresigningConfig::expires_in(Duration::from_secs(seconds)).unwrap();
        let get = client.get_object().bucket("zips").key("a b/ü.zip");
        let url = get.presigned(expires).await.unwrap().uri().to_owned();
        self::client().get(url)
    };
    let answer = get(s3.clone(), 60).await.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.unwrap() == body);

    let wrong = self::s3(&signed_by(config, ACCESS_KEY, "test", None));
    let answer = get(wrong, 60).await.send().await.unwrap();
    assert_refused(answer, "SignatureDoesNotMatch").await;
    let late = get(s3.clone(), 1).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_refused(late.send().await.unwrap(), "expired").await;
    // If there are two credentials, ministack could use the other one.
    let two = get(s3, 60).await.header("authorization", "AWS4-HMAC-SHA256 x");
    assert_refused(two.send().await.unwrap(), "exactly one").await;
}

/// A custom resource of CloudFormation responds to a URL with a name that only its function knows.
async fn custom_resources_may_respond(aws: &Ministack) {
    let url = |name: &str| format!("{}/_ministack/cfn-response/{name}", aws.endpoint());
    let unknown = url("5e9c8a36-5d5c-5b5c-8f0e-3c1c0a5d7d11");
    let answer = client().put(&unknown).body("{}").send().await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_refused(client().post(&unknown).send().await.unwrap(), "signature").await;
    assert_refused(client().put(url("..")).send().await.unwrap(), "signature").await;
}

/// Requests to the API gateway need no signature. The gateway itself responds that there is no such API.
async fn the_gateway_is_open(aws: &Ministack) {
    let url = aws.endpoint() + "/_aws/execute-api/unknown/$default/hooks/gitlab";
    let hook = || client().post(&url).header("x-gitlab-token", "t").body("{}");
    let answer = hook().send().await.unwrap();
    assert_eq!(answer.status(), 404, "{answer:?}");
    let page = hook().header("origin", "https://evil.example");
    assert_refused(page.send().await.unwrap(), "Origin").await;
    let disguised = hook().header("x-amz-target", "secretsmanager.GetSecretValue");
    assert_refused(disguised.send().await.unwrap(), "signature").await;
}

fn nothing_is_for_others(folder: &Path) {
    let mode = |name: &str| {
        let metadata = std::fs::metadata(folder.join(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("local-aws.log"), 0o600);
    assert_eq!(mode("tmp"), 0o700);
}
