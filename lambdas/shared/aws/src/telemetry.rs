//! Logs: one JSON object a line on standard output, at the level that the function's logging settings give.

use tracing_subscriber::filter::LevelFilter;

/// Starts logging. Called once, first of all.
///
/// The level and the format are those of [Lambda's logging controls](
/// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html). The runtime's own subscriber has
/// filters by target too, which nothing sets, and brings regular expressions along for them.
pub fn init() {
    let setting = |name| std::env::var(name).ok();
    let subscriber = tracing_subscriber::fmt()
        .with_target(false)
        .without_time()
        .with_max_level(level(setting("AWS_LAMBDA_LOG_LEVEL").as_deref()));
    if setting("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        subscriber.json().init();
    } else {
        subscriber.init();
    }
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
