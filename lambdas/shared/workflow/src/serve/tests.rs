//! Runs functions against a runtime API on the loopback. A function is this executable, started again for one ignored
//! test.

use std::io;
use std::process::{Child, Command, Stdio};

use domain::contract::{Envelope, FetchedCommit, Stage};
use testkit::Request;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;
use audit::faulty::FaultyTrail;
use audit::samples;
use aws::staging::StorageError;

#[test]
fn a_stage_is_stopped_in_time_to_report_it_and_has_at_least_half_of_the_time() {
    let seconds = Duration::from_secs;
    assert_eq!(time_limit(seconds(900)), seconds(895));
    assert_eq!(time_limit(seconds(8)), seconds(4));
    assert_eq!(time_limit(Duration::ZERO), Duration::ZERO);
}

/// The time until a function's timeout.
const LEFT: Duration = Duration::from_secs(2);

/// The runtime API (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>), for one function.
struct RuntimeApi(TcpListener);

impl RuntimeApi {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// Starts this executable as a function, which is the ignored test `name`.
    fn start(&self, name: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture"])
            .arg(format!("serve::tests::{name}"))
            .env("AWS_LAMBDA_RUNTIME_API", self.0.local_addr().unwrap().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "fetch")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Gives the function an event. Returns the name of its response, and its body.
    ///
    /// # Panics
    /// Panics if there is no response within half a minute: a function that has died requests no event.
    async fn invoke(&self, payload: &serde_json::Value) -> (String, serde_json::Value) {
        tokio::time::timeout(Duration::from_secs(30), self.answer(payload))
            .await
            .unwrap()
    }

    async fn answer(&self, payload: &serde_json::Value) -> (String, serde_json::Value) {
        loop {
            let (stream, _) = self.0.accept().await.unwrap();
            let mut connection = BufReader::new(stream);
            // The connection is kept until the function has responded, and is then closed by a header. Otherwise the
            // function may already have requested its next event on it, and would find the connection reset.
            while let Ok(request) = Request::read(&mut connection).await {
                let is_answer = request.method == "POST";
                let answer = if is_answer {
                    "HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned()
                } else {
                    event(&payload.to_string())
                };
                connection.write_all(answer.as_bytes()).await.unwrap();
                if is_answer {
                    let kind = request.target.rsplit('/').next().unwrap_or_default();
                    return (kind.to_owned(), serde_json::from_slice(&request.body).unwrap());
                }
            }
        }
    }
}

fn event(payload: &str) -> String {
    let deadline = (SystemTime::now() + LEFT)
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    format!(
        "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 1\r\nLambda-Runtime-Deadline-Ms: {}\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn\r\nContent-Length: {}\r\n\r\n{payload}",
        deadline.as_millis(),
        payload.len(),
    )
}

fn payload() -> serde_json::Value {
    serde_json::to_value(Envelope {
        push: samples::push(),
        execution: samples::execution("e1"),
        attempt: 0,
        input: (),
    })
    .unwrap()
}

/// Waits for the end of a process. Returns its exit code, or `None` if it has not ended soon.
async fn end_of(function: &mut Child) -> io::Result<Option<i32>> {
    for _ in 0..100 {
        if let Some(status) = function.try_wait()? {
            return Ok(status.code());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    function.kill()?;
    function.wait()?;
    Ok(None)
}

fn serve(work: impl AsyncFn(&Envelope<()>) -> Result<FetchedCommit, StorageError>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(run(Stage::Fetch, FaultyTrail::default(), work))
        .unwrap();
}

#[test]
#[ignore = "it is the function of another test"]
fn a_function_with_a_busy_thread() {
    serve(async |_| {
        let busy = || {
            loop {
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        tokio::task::spawn_blocking(busy).await.unwrap()
    });
}

#[test]
#[ignore = "it is the function of another test"]
fn a_function_that_fails() {
    serve(async |_| Err(StorageError::Unfinished { key: "k".to_owned() }));
}

#[tokio::test]
async fn a_process_whose_stage_was_stopped_ends_after_its_response() {
    let api = RuntimeApi::new().await;
    let mut function = api.start("a_function_with_a_busy_thread");
    let (kind, answer) = api.invoke(&payload()).await;
    assert_eq!(
        (kind.as_str(), &answer["errorType"]),
        ("error", &"StageTimedOut".into())
    );
    assert_eq!(end_of(&mut function).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_process_whose_stage_has_failed_goes_on() {
    let api = RuntimeApi::new().await;
    let mut function = api.start("a_function_that_fails");
    for _ in 0..2 {
        let (kind, answer) = api.invoke(&payload()).await;
        assert_eq!(kind, "error");
        assert_ne!(answer["errorType"], "StageTimedOut");
        assert_eq!(function.try_wait().unwrap(), None);
    }
    function.kill().unwrap();
    function.wait().unwrap();
}
