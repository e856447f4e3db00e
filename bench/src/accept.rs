//! Measures how many webhooks `accept` verifies, parses and decides, for each kind of git host. Nothing is sent: Step
//! Functions and Secrets Manager answer from memory.

use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use accept::{ExecutionStatus, Executions};
use aws::AwsFailure;
use aws::secrets::{SecretCache, SecretError, Secrets};
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use domain::push::SourceName;
use domain::source::Provider;
use futures::executor::block_on;
use secrecy::SecretString;
use serde_json::{Value, json};
use webhook::{deliver, proof};

use crate::error::Error;
use crate::report::Spread;

/// A secret for any kind of host.
const SECRET: &str = "YSBzZWNyZXQgdGhhdCBzaWducw==";

/// How many webhooks to measure.
#[derive(Debug, clap::Args)]
pub struct AcceptArgs {
    /// The size of the body, in bytes.
    #[arg(long, default_value_t = 10_240, value_parser = clap::value_parser!(u32).range(2_048..4_000_000))]
    bytes: u32,
    /// How many runs of a tenth of a second there are for each kind of host.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

/// The webhook secret of every source.
struct SecretOf(Provider);

impl Secrets for SecretOf {
    async fn read(&self, _: &SourceName, _: &'static str) -> Result<SecretString, SecretError> {
        let secret = json!({"provider": self.0, "secret": SECRET, "also_accepted": []});
        Ok(secret.to_string().into())
    }
}

/// Executions that start at once.
struct Started;

impl Executions for Started {
    async fn start(&self, name: &str, input: &str) -> Result<Option<String>, AwsFailure> {
        black_box(input);
        Ok(Some(name.to_owned()))
    }

    async fn describe(&self, name: &str) -> Result<ExecutionStatus, AwsFailure> {
        unreachable!("{name} was started")
    }
}

/// Prints a table of all kinds of hosts that call webhooks.
pub fn run(args: &AcceptArgs) -> Result<(), Error> {
    let mut out = std::io::stdout();
    let mut line =
        |text: String| writeln!(out, "{text}").map_err(Error::io("write to", Path::new("standard output")));
    line("| Host | Body | Webhooks a second and core | Time, of that of reading the JSON | For a body ten times as long |".to_owned())?;
    line("|---|---|---|---|---|".to_owned())?;
    let bytes = usize::try_from(args.bytes).unwrap_or(usize::MAX);
    for provider in Provider::ALL
        .into_iter()
        .filter(|provider| proof(*provider).header().is_some())
    {
        let (one, ten) = (request(provider, bytes), request(provider, bytes * 10));
        let mut times = Vec::new();
        for _ in 0..args.runs {
            let accepted = accept_for(provider, &one);
            let parsed = repeat(|| drop(black_box(parse(&one))));
            let longer = accept_for(provider, &ten);
            times.push((accepted, accepted / parsed, longer / accepted));
        }
        let of = |part: fn(&(f64, f64, f64)) -> f64| Spread::of(times.iter().map(part)).median;
        line(format!(
            "| {} | {} | {:.0} | {:.2} | {:.1} |",
            provider.name(),
            one.body.as_deref().map_or(0, str::len),
            1.0 / of(|times| times.0),
            of(|times| times.1),
            of(|times| times.2),
        ))?;
    }
    Ok(())
}

/// Reads the body as any JSON, which is the least that an accepted webhook takes.
fn parse(request: &ApiGatewayV2httpRequest) -> Option<Value> {
    serde_json::from_str(request.body.as_deref()?).ok()
}

/// Returns the seconds that one webhook takes.
fn accept_for(provider: Provider, request: &ApiGatewayV2httpRequest) -> f64 {
    let secrets = SecretCache::new(SecretOf(provider), "webhook");
    repeat(|| {
        let response = block_on(accept::handle(&Started, &secrets, request));
        assert_eq!(response.status_code, 202, "{:?}", response.body);
    })
}

/// Returns the seconds that one call takes, over a tenth of a second.
fn repeat(mut call: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut calls = 0_u32;
    while started.elapsed() < Duration::from_millis(100) {
        call();
        calls += 1;
    }
    started.elapsed().as_secs_f64() / f64::from(calls)
}

/// Returns the request that the gateway passes on for a push whose body has about so many bytes.
fn request(provider: Provider, bytes: usize) -> ApiGatewayV2httpRequest {
    // A host sends at most 20 commits.
    let hook = |bytes: usize| {
        let mut hook = webhook::sample("refs/heads/main");
        hook.commits[0].message = "Say why. ".repeat(bytes / 9 / 20);
        hook.commits = vec![hook.commits[0].clone(); 20];
        hook
    };
    let rest = deliver(provider, &hook(0), SECRET).body.len();
    let sent = deliver(provider, &hook(bytes.saturating_sub(rest)), SECRET);
    let mut request = ApiGatewayV2httpRequest::default();
    request.path_parameters.insert("source".into(), "source".into());
    request.headers = sent.header_map();
    request.body = String::from_utf8(sent.body).ok();
    request
}
