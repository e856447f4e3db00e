//! `push-code local deepest`: asks the example application, deployed into the local AWS.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use chrono::Utc;
use fake_hn::{Fake, Shape, Weather, World};
use local_aws::application::DEEPEST_THREAD;
use local_aws::aws::{self, LocalAws, StackOptions};
use local_aws::checkout::Checkout;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, LOCATION, RETRY_AFTER};
use serde_json::Value;
use shell::output::one_line;
use shell::progress::Progress;
use thread::{Answer, MAX_HOURS};

use super::stack::{AwsArgs, settings};
use crate::Error;
use crate::results::Results;

/// The most characters of a comment on a line.
const MAX_LINE: usize = 90;

/// What to ask.
#[derive(Debug, clap::Args)]
pub struct DeepestArgs {
    /// How many hours back the post may be.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_HOURS)))]
    hours: u32,
    /// Ask the real Hacker News, by the network, instead of one that is made up.
    #[arg(long)]
    live: bool,
    /// The port of the Hacker News that is made up [default: the local AWS's port + 2].
    #[arg(long, value_name = "PORT", conflicts_with = "live")]
    news_port: Option<u16>,
    #[command(flatten)]
    aws: AwsArgs,
}

/// Runs the command.
pub(super) async fn run(
    args: DeepestArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<(), Error> {
    let checkout = Checkout::find()?;
    let settings = settings(aws::running(&checkout)?.as_ref(), &args.aws);
    let mut options = StackOptions {
        profile: args.aws.profile(),
        ..StackOptions::of(DEEPEST_THREAD)
    };
    let fake = if args.live {
        None
    } else {
        let fake = serve(args.hours, args.news_port.unwrap_or(settings.port + 2), progress).await?;
        options.parameters = BTreeMap::from([
            ("SearchUrl".to_owned(), fake.search_url()),
            ("ItemsUrl".to_owned(), fake.items_url()),
        ]);
        Some(fake)
    };
    let local = LocalAws::up(&settings, &options, progress).await?;
    let stack = local.stack_named(DEEPEST_THREAD.name)?;
    let began = Instant::now();
    let answer = ask(stack.output("DeepestUrl")?, args.hours, progress).await?;
    results.put(&answer);
    results.text(Text {
        answer: &answer,
        took: began.elapsed(),
        made_up: fake.is_some(),
    })?;
    Ok(())
}

/// Serves a Hacker News of as many hours, and a day before them.
pub(super) async fn serve(hours: u32, port: u16, progress: Progress) -> Result<Fake, Error> {
    let _step = progress.step("Making up a Hacker News");
    let world = World::grow(&Shape::real(hours + 24, Utc::now().timestamp()));
    Fake::serve(world, Weather::default(), port)
        .await
        .map_err(|source| Error::NewsPort { port, source })
}

/// Asks, and looks again where the answer will be, until it is there.
async fn ask(url: &str, hours: u32, progress: Progress) -> Result<Answer, Error> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(40))
        .build();
    let client = client.map_err(deployed_stack::Error::http("make an HTTP client"))?;
    let step = progress.step(format!("Asking {url}?hours={hours}"));
    let mut next = format!("{url}?hours={hours}");
    loop {
        let response = client.get(&next).header(ACCEPT, "application/json").send().await;
        let response = response.map_err(deployed_stack::Error::http(format!("ask {next}")))?;
        let status = response.status();
        let header = |name| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (location, seconds) = (header(LOCATION), header(RETRY_AFTER));
        let body: Value = response
            .json()
            .await
            .map_err(deployed_stack::Error::http(format!(
                "read the response of {next}"
            )))?;
        match (status, location) {
            (StatusCode::OK, _) => {
                step.done(&format!("Asked {url}?hours={hours}"));
                return serde_json::from_value(body).map_err(|error| Error::NoAnswer {
                    error: "AnswerUnreadable".to_owned(),
                    message: error.to_string(),
                });
            }
            (StatusCode::ACCEPTED, Some(location)) => {
                // The location is that of the API, and the URL ends with its first part.
                next = format!("{}{location}", url.strip_suffix("/deepest").unwrap_or(url));
                let seconds = seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(5);
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            _ => {
                let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                return Err(Error::NoAnswer {
                    error: text("error"),
                    message: text("message"),
                });
            }
        }
    }
}

/// The answer as text.
struct Text<'a> {
    answer: &'a Answer,
    took: Duration,
    made_up: bool,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = self.answer;
        let hours = answer.hours.get();
        match &answer.post {
            None => writeln!(formatter, "Nothing was posted in the last {hours} hours.")?,
            Some(post) => {
                writeln!(
                    formatter,
                    "The deepest thread of the last {hours} hours has {} levels and {} comments:\n{} (by {})\n\
                     https://news.ycombinator.com/item?id={}\n",
                    answer.depth,
                    post.comments,
                    one_line(&post.title),
                    one_line(&post.by),
                    post.id
                )?;
                for (level, said) in answer.thread.iter().enumerate() {
                    let line = match said {
                        None => "(gone)".to_owned(),
                        Some(said) => format!("{}: {}", said.by, said.text),
                    };
                    let line: String = one_line(&line).chars().take(MAX_LINE).collect();
                    writeln!(formatter, "{:>4} {line}", level + 1)?;
                }
            }
        }
        let examined = answer.examined;
        write!(
            formatter,
            "\n{} posts and {} comments, by {} requests, in {:.1} s",
            examined.posts,
            examined.comments,
            examined.requests,
            self.took.as_secs_f64()
        )?;
        if !answer.complete {
            formatter.write_str("\nSome comments could not be read, so another thread may be deeper.")?;
        }
        if self.made_up {
            formatter
                .write_str("\nThis Hacker News is made up. Ask the real one with --live, by the network.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use thread::{Excerpt, Post};

    use super::*;

    #[test]
    fn an_answer_is_lines_for_people() {
        let answer = Answer {
            as_of: 0,
            hours: "24".parse().unwrap(),
            post: Some(Post {
                id: 7,
                title: "A\ntitle".to_owned(),
                url: None,
                by: "me".to_owned(),
                time: 0,
                comments: 3,
            }),
            depth: 2,
            deepest_comment: None,
            path: vec![8, 9],
            thread: vec![
                None,
                Some(Excerpt {
                    by: "you".to_owned(),
                    text: "long ".repeat(50),
                }),
            ],
            examined: thread::Examined::default(),
            complete: false,
            unanswered: vec![],
        };
        let text = Text {
            answer: &answer,
            took: Duration::from_millis(1_540),
            made_up: true,
        };
        let text = text.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "The deepest thread of the last 24 hours has 2 levels and 3 comments:"
        );
        assert!(lines[2].ends_with("item?id=7"));
        assert_eq!(lines[4], "   1 (gone)");
        assert!(lines[5].starts_with("   2 you: long") && lines[5].len() < 100);
        assert!(text.contains("in 1.5 s") && text.contains("could not be read") && text.contains("--live"));
    }
}
