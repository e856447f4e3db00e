//! Where people look further: the pages of an execution and of a function's log in the AWS console.

use chrono::{DateTime, Utc};
use domain::contract::Stage;
use domain::execution::Execution;
use domain::push::PushId;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The AWS console, for the region of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// The URL of CloudWatch, without a fragment.
    cloudwatch: String,
    stack: String,
}

impl Console {
    /// Creates the console by the URL of the stack's dashboard. Returns `None` if that is no page of the console.
    #[must_use]
    pub fn of(dashboard: &str, stack: impl Into<String>) -> Option<Self> {
        let (cloudwatch, _) = dashboard.split_once('#')?;
        let is_console = cloudwatch.starts_with("https://") && cloudwatch.contains("/cloudwatch/");
        is_console.then(|| Self {
            cloudwatch: cloudwatch.to_owned(),
            stack: stack.into(),
        })
    }

    /// Returns the URL of an execution, by the id that the trail has for it.
    #[must_use]
    pub fn execution(&self, id: &str) -> String {
        let states = self.cloudwatch.replace("/cloudwatch/", "/states/");
        format!("{states}#/v2/executions/details/{}", Execution::arn(id))
    }

    /// Returns the URL of what a state's function has logged about a push since then, or `None` if the state calls no
    /// function.
    #[must_use]
    pub fn log(&self, state: &str, push_id: PushId, since: DateTime<Utc>) -> Option<String> {
        let function = Stage::of_state(state)?.function();
        let group = format!("/aws/lambda/{}/{function}", self.stack);
        let query = format!(
            "?filterPattern={}&start={}",
            encode(&format!("\"{push_id}\"")),
            since.timestamp_millis()
        );
        let group = escape(&encode(&group));
        Some(format!(
            "{}#logsV2:log-groups/log-group/{group}/log-events{}",
            self.cloudwatch,
            escape(&query)
        ))
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Escapes a part of a fragment as CloudWatch's pages do, which is percent-encoding with `$`.
fn escape(text: &str) -> String {
    encode(text).replace('%', "$")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DASHBOARD: &str = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#dashboards/dashboard/push-code";

    #[test]
    fn an_execution_and_the_log_of_its_stage_have_pages() {
        let console = Console::of(DASHBOARD, "push-code").unwrap();
        assert_eq!(
            console.execution("arn:aws:states:eu-west-1:1:execution:push-code:8751#2"),
            "https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/arn:aws:states:eu-west-1:1:execution:push-code:8751"
        );
        let push_id = "87513765-0933-52f9-8a01-27081a19c5c8".parse().unwrap();
        let since = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let log = |state: &str| console.log(state, push_id, since);
        assert_eq!(
            log("FindVersion").unwrap(),
            "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/\
             $252Faws$252Flambda$252Fpush$252Dcode$252Ffetch/log-events\
             $3FfilterPattern$3D$252287513765$252D0933$252D52f9$252D8a01$252D27081a19c5c8$2522$26start$3D1700000000000"
        );
        assert_eq!(log("Publish"), None);
    }

    #[test]
    fn a_local_stack_has_none() {
        assert_eq!(Console::of("http://127.0.0.1:4566/cloudwatch/home#x", "s"), None);
        assert_eq!(Console::of("", "s"), None);
    }
}
