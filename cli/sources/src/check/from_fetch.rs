//! Whether the function that fetches reaches a git host, from its own network and by its own role.

use aws::AwsFailure;
use aws::failure::chain;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use deployed_stack::Stack;
use domain::contract::{Probe, Probed};
use domain::push::SourceName;
use domain::remote_url::RemoteUrl;

use crate::check::outcome::Check;

/// The longest answer that is shown, in characters.
const MAX_ANSWER_CHARACTERS: usize = 300;

/// The function of the state `Fetch`.
pub struct FetchFunction<'a> {
    stack: &'a Stack,
    source: &'a SourceName,
}

impl<'a> FetchFunction<'a> {
    /// Creates a client of the stack's function, which logs in as it does for this source.
    pub fn of(stack: &'a Stack, source: &'a SourceName) -> Self {
        Self { stack, source }
    }

    /// Has the function list the refs of a repository.
    pub async fn check(&self, url: &RemoteUrl) -> Check {
        let subject = format!("{url} from the function fetch");
        match self.ask(url).await {
            Ok(Probed::Listed { refs }) => Check::ok(subject, format!("it lists {refs} refs")),
            Ok(Probed::Failed { error, cause }) => Check::of_error(subject, &error, &cause),
            Err(reason) => Check::not_checked(subject, reason),
        }
    }

    /// Returns the function's answer, or why it cannot be asked.
    async fn ask(&self, url: &RemoteUrl) -> Result<Probed, String> {
        let function = self
            .stack
            .output("FetchFunctionName")
            .map_err(|error| chain(&error))?;
        let probe = Probe {
            source_name: self.source.clone(),
            probe: url.clone(),
        };
        let payload = serde_json::to_vec(&probe).map_err(|error| error.to_string())?;
        let invoke = Client::new(self.stack.config()).invoke();
        let invoked = invoke
            .function_name(function)
            .payload(Blob::new(payload))
            .send()
            .await;
        let answer = invoked.map_err(|error| AwsFailure::new("lambda:InvokeFunction", &error).to_string())?;
        let text = answer
            .payload
            .unwrap_or_else(|| Blob::new(Vec::new()))
            .into_inner();
        serde_json::from_slice(&text).map_err(|_| {
            let text = String::from_utf8_lossy(&text).into_owned();
            format!(
                "the function answers: {}",
                domain::plain(&text, MAX_ANSWER_CHARACTERS)
            )
        })
    }
}
