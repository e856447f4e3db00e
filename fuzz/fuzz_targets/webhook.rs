//! Sends a request to the webhook of a source, with any headers and body.

#![no_main]

use std::sync::Mutex;

use accept::{ExecutionStatus, Executions};
use aws::AwsFailure;
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::push::Push;
use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;

/// The executions that were started.
#[derive(Default)]
struct Started(Mutex<Vec<String>>);

impl Executions for Started {
    async fn start(&self, name: &str, input: &str) -> Result<Option<String>, AwsFailure> {
        assert!(
            name.len() <= 80
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        );
        let push: Push = serde_json::from_str(input).expect("the state machine reads its input");
        assert_eq!(serde_json::to_string(&push).expect("JSON"), input);
        self.0.lock().expect("no other thread").push(name.to_owned());
        Ok(Some(format!("arn:{name}")))
    }

    async fn describe(&self, name: &str) -> Result<ExecutionStatus, AwsFailure> {
        unreachable!("{name} was not there")
    }
}

fuzz_target!(|input: &[u8]| {
    let Some([source, event, key, body]) = fuzz::parts(input) else {
        return;
    };
    let mut request = ApiGatewayV2httpRequest::default();
    let source = String::from_utf8_lossy(source).into_owned();
    request.path_parameters.insert("source".into(), source);
    for (name, value) in [("x-gitlab-event", event), ("idempotency-key", key)] {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_bytes(value)) {
            request.headers.insert(name, value);
        }
    }
    request.body = Some(match std::str::from_utf8(body) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            request.is_base64_encoded = true;
            STANDARD.encode(body)
        }
    });
    let started = Started::default();
    let response = block_on(accept::handle(&started, &request));
    let started = started.0.into_inner().expect("no other thread");
    assert!(matches!(response.status_code, 200 | 202 | 400 | 404));
    assert_eq!(response.status_code == 202, started.len() == 1);
});
