//! An environment: an account of the local AWS with the stack of the pushes, a delivery stack, and a CodeBuild.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use delivery::deployment::DeploymentId;
use delivery::state::DeploymentStatus;
use deployed_stack::Stack;
use deployed_stack::deployments::{Deployments, Shown};
use deployed_stack::follow::{self, Moment};
use local_aws::application::{DEEPEST_THREAD, DELIVERY};
use local_aws::aws::{LocalAws, StackOptions};
use serde_json::json;
use shell::progress::Progress;
use tokio::time::Instant;
use webhook::gitlab::{Delivery, Person, PushHook};

use super::super::execution::check_succeeded;
use super::super::stack::SOURCE;
use super::scratch::{DIRECTORY, REPOSITORY};
use crate::Error;
use crate::states::States;

/// How long EventBridge may take to start a deployment.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// What an environment is made of.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// Its name.
    pub name: &'static str,
    /// The access key id of the administrator of its account.
    pub access_key: &'a str,
    /// The ref that is deployed.
    pub ref_name: &'static str,
    /// The URL of its CodeBuild.
    pub codebuild: &'a str,
    /// The URLs of Hacker News, of the search and of single items.
    pub news: [String; 2],
    /// Further parameters of the delivery stack.
    pub parameters: Vec<(&'static str, String)>,
}

/// An environment.
#[derive(Debug)]
pub struct Environment {
    name: &'static str,
    ref_name: &'static str,
    pushes: Stack,
    /// Its deployments.
    pub deployments: Deployments,
}

impl Environment {
    /// Deploys the delivery stack beside `pushes`.
    ///
    /// # Errors
    /// Returns an error if that fails.
    pub async fn deploy(
        local: &mut LocalAws,
        pushes: Stack,
        options: &StackOptions,
        settings: Settings<'_>,
    ) -> Result<Self, Error> {
        // The event is that of API Gateway, in format version 2.0.
        let probe = json!({
            "version": "2.0",
            "routeKey": "GET /deepest",
            "rawPath": "/deepest",
            "rawQueryString": "hours=1",
            "queryStringParameters": { "hours": "1" },
            "headers": { "accept": "application/json" },
            "requestContext": {
                "accountId": "000000000000", "apiId": "probe", "domainName": "probe", "domainPrefix": "probe",
                "http": { "method": "GET", "path": "/deepest", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "probe" },
                "requestId": "probe", "routeKey": "GET /deepest", "stage": "$default",
                "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": 1_767_225_600_000_i64,
            },
            "isBase64Encoded": false,
        });
        let functions = json!({
            "AskFunction": { "probe": { "payload": probe, "expect": { "statusCode": 200 } } },
            "FindFunction": {},
        });
        let [search, items] = settings.news;
        let application = json!({ "SearchUrl": search, "ItemsUrl": items });
        let mut parameters: BTreeMap<String, String> = [
            ("ApplicationName", DEEPEST_THREAD.name.to_owned()),
            ("Environment", settings.name.to_owned()),
            ("SourceName", SOURCE.to_owned()),
            ("Repository", REPOSITORY.to_owned()),
            ("Ref", settings.ref_name.to_owned()),
            ("Directory", DIRECTORY.to_owned()),
            ("AuditTableName", pushes.output("TableName")?.to_owned()),
            ("SourceBucketName", pushes.output("DestinationBucket")?.to_owned()),
            ("FailureTopicArn", pushes.output("FailureTopicArn")?.to_owned()),
            (
                "ApplicationStackName",
                format!("{}-{}-app", DEEPEST_THREAD.name, settings.name),
            ),
            ("Functions", functions.to_string()),
            ("ApplicationParameters", application.to_string()),
            ("BakeSeconds", "3".to_owned()),
            ("PollSeconds", "1".to_owned()),
            ("Alarms", alarm(settings.name)),
            ("CodeBuildEndpointUrl", settings.codebuild.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        parameters.extend(
            settings
                .parameters
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        let options = StackOptions {
            name: format!("{}-{}", DEEPEST_THREAD.name, settings.name),
            parameters,
            access_key: settings.access_key.to_owned(),
            profile: options.profile,
            ..StackOptions::of(DELIVERY)
        };
        let deployed = local.deploy(&options).await?;
        Ok(Self {
            name: settings.name,
            ref_name: settings.ref_name,
            pushes,
            deployments: Deployments::of(deployed)?,
        })
    }

    /// Sends the webhook that the environment's ref has moved, and follows the push and its deployment to the end. `on`
    /// is called while traffic is shared.
    ///
    /// # Errors
    /// Returns an error if the push is not delivered, or if its deployment does not begin.
    pub async fn push(
        &self,
        origin: &str,
        before: Option<String>,
        after: &str,
        progress: Progress,
        on_shared: impl AsyncFn() -> Result<(), Error>,
    ) -> Result<Shown, Error> {
        let hook = PushHook {
            repository: REPOSITORY.to_owned(),
            git_http_url: format!("{origin}/{REPOSITORY}.git"),
            git_ssh_url: format!("git@127.0.0.1:{REPOSITORY}.git"),
            ref_name: self.ref_name.to_owned(),
            before,
            after: Some(after.to_owned()),
            commit: Some(after.to_owned()),
            commits: vec![],
            total_commits: 0,
            user: Person {
                name: "Push Code".to_owned(),
                email: String::new(),
            },
        };
        let step = progress.step(format!("{}: delivering the push", self.name));
        let accepted = self
            .pushes
            .webhook()
            .await?
            .send(&hook, &Delivery::fresh())
            .await?;
        let push = accepted
            .first()
            .map_err(|reason| Error::NothingStarted { reason })?;
        let client = self.pushes.step_functions();
        let ended = follow::follow(&client, &self.pushes.execution_arn(&push.push_id)?, |_| ()).await?;
        let took = ended.took.as_secs_f64();
        check_succeeded(&push.push_id, &ended)?;
        step.done(&format!(
            "{}: delivered push {} in {took:.1} s",
            self.name, push.push_id
        ));
        let id = self.deployments.id_of(push.id()?)?;
        self.follow(id, progress, on_shared).await
    }

    /// Follows a deployment to its end.
    async fn follow(
        &self,
        id: DeploymentId,
        progress: Progress,
        on_shared: impl AsyncFn() -> Result<(), Error>,
    ) -> Result<Shown, Error> {
        let step = progress.step(format!("{}: waiting for deployment {id} to begin", self.name));
        let deadline = Instant::now() + START_TIMEOUT;
        let began = loop {
            match self.deployments.show(id).await {
                Ok(shown) => break shown,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        };
        step.done(&format!("{}: deployment {id} has begun", self.name));
        let arn = began.state.executions.last().cloned().unwrap_or_default();
        let client = self.pushes.step_functions();
        let mut states = States::new(progress);
        let mut looked = HashSet::new();
        let follow = follow::follow(&client, &arn, |moment| {
            if !is_another_look(&moment, &mut looked) {
                states.show(moment);
            }
        });
        let watch = async {
            loop {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let shown = self.deployments.show(id).await?;
                if shown.state.status == DeploymentStatus::Shifting {
                    return on_shared().await;
                }
            }
        };
        tokio::pin!(follow);
        tokio::select! {
            followed = &mut follow => {
                followed?;
            }
            shared = watch => {
                if let Err(error) = shared {
                    progress.line(&format!("the alarm cannot be raised: {error}"));
                }
                follow.await?;
            }
        }
        Ok(self.deployments.show(id).await?)
    }
}

/// Returns whether a state that looks how far something is, again and again, is entered or left once more.
fn is_another_look(moment: &Moment, looked: &mut HashSet<String>) -> bool {
    match moment {
        Moment::Entered { state } => looked.contains(state),
        Moment::Exited { state, failed, .. } if state.starts_with("Check") => {
            !failed && !looked.insert(state.clone())
        }
        _ => false,
    }
}

/// Returns the name of the alarm that judges the example in an environment.
pub fn alarm(environment: &str) -> String {
    format!("{}-{environment}-local", DEEPEST_THREAD.name)
}
