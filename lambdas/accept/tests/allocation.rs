//! A longer webhook takes more memory, and not more for each of its bytes.

use accept::{ExecutionStatus, Executions};
use allocation_counter::measure;
use aws::AwsFailure;
use aws::secrets::{SecretCache, SecretError, Secrets};
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use domain::push::SourceName;
use domain::source::Provider;
use futures::executor::block_on;
use secrecy::SecretString;
use serde_json::json;
use webhook::{deliver, proof};

/// A secret for any kind of host.
const SECRET: &str = "YSBzZWNyZXQgdGhhdCBzaWducw==";

/// The webhook secret of every source.
struct SecretOf(Provider);

impl Secrets for SecretOf {
    async fn read(&self, _: &SourceName, _: &'static str) -> Result<SecretString, SecretError> {
        Ok(json!({"provider": self.0, "secret": SECRET}).to_string().into())
    }
}

/// Executions that start at once.
struct Started;

impl Executions for Started {
    async fn start(&self, name: &str, _: &str) -> Result<Option<String>, AwsFailure> {
        Ok(Some(name.to_owned()))
    }

    async fn describe(&self, name: &str) -> Result<ExecutionStatus, AwsFailure> {
        unreachable!("{name} was started")
    }
}

/// Returns the bytes that are allocated for a webhook with so long a message, and those of its body.
fn allocated(provider: Provider, message: usize) -> (u64, usize) {
    let mut hook = webhook::sample("refs/heads/main");
    hook.commits[0].message = "x".repeat(message);
    let sent = deliver(provider, &hook, SECRET);
    let mut request = ApiGatewayV2httpRequest::default();
    request.path_parameters.insert("source".into(), "source".into());
    request.headers = sent.header_map();
    let body = sent.body.len();
    request.body = String::from_utf8(sent.body).ok();
    let secrets = SecretCache::new(SecretOf(provider), "webhook");
    let accept = || {
        let response = block_on(accept::handle(&Started, &secrets, &request));
        assert_eq!(response.status_code, 202, "{provider:?}: {:?}", response.body);
    };
    // The secret is read once.
    accept();
    (measure(accept).bytes_total, body)
}

#[test]
fn memory_grows_no_faster_than_the_body() {
    for provider in Provider::ALL
        .into_iter()
        .filter(|provider| proof(*provider).header().is_some())
    {
        let (few, short) = allocated(provider, 0);
        let (more, long) = allocated(provider, 1_000_000);
        // The body is copied once for the signature, and nothing of a commit's message is kept.
        let allowed = u64::try_from((long - short) * 5 / 4).unwrap();
        assert!(
            more - few <= allowed,
            "{provider:?}: {few} bytes for {short}, and {more} for {long}"
        );
    }
}
