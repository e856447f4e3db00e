//! Logs: one JSON object a line on standard output, at the level that the function's logging settings give.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging. Called once, first of all.
///
/// The level and the format are those of [Lambda's logging controls](
/// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html). The runtime's own subscriber has
/// filters by target too, which nothing sets, and brings regular expressions along for them.
pub fn init() {
    let setting = |name| std::env::var(name).ok();
    let level = setting("AWS_LAMBDA_LOG_LEVEL");
    if setting("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        json(level.as_deref(), io::stdout).init();
    } else {
        tracing_subscriber::fmt()
            .with_target(false)
            .without_time()
            .with_max_level(self::level(level.as_deref()))
            .init();
    }
}

/// Returns what writes one JSON object a line to `writer`, at this level of Lambda's. The template's metric filters
/// read the lines' `fields`.
pub fn json<W>(level: Option<&str>, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_target(false)
        .without_time()
        .with_max_level(self::level(level))
        .json()
        .with_writer(writer)
        .finish()
}

/// Returns the level of a setting, or `INFO` if it is not known.
fn level(setting: Option<&str>) -> LevelFilter {
    match setting {
        // Lambda's highest level, which `tracing` does not have.
        Some("FATAL") => LevelFilter::ERROR,
        Some(setting) => setting.parse().unwrap_or(LevelFilter::INFO),
        None => LevelFilter::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_of_lambda_is_known() {
        let known = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"].map(|name| level(Some(name)));
        assert_eq!(
            known,
            [
                LevelFilter::TRACE,
                LevelFilter::DEBUG,
                LevelFilter::INFO,
                LevelFilter::WARN,
                LevelFilter::ERROR,
                LevelFilter::ERROR,
            ]
        );
        assert_eq!([level(None), level(Some("loud"))], [LevelFilter::INFO; 2]);
    }
}
