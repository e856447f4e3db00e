//! `push-code local push --fail`: a push that fails, and what people are told of it.
//!
//! Nothing is simulated in the functions: the push is made so that they fail by themselves. What is changed for that is
//! put back.

mod kind;
mod mail;
mod obstacle;
mod report;

use std::io::Write;

use deployed_stack::webhook_client::Webhook;
use domain::destination::KeyTemplate;
use local_aws::aws::{LocalAws, StackOptions};
use local_aws::checkout::Checkout;
use local_aws::ministack::Settings;
use shell::progress::Progress;
use webhook::gitlab::{Delivery, PushHook};

pub use self::kind::FailureKind;

use self::mail::{Inbox, MAIL_TIMEOUT};
use self::obstacle::Obstacle;
use super::execution::{EndedPush, follow_to_end, hook, logins, serve, start};
use super::options::source_options;
use super::session::{push_lock, session_that_puts_back};
use super::stack::SOURCE;
use crate::Error;
use crate::origin::{self, Origin, Served};
use crate::repository::Tip;
use crate::results::Results;

/// A push that is to fail.
pub(super) struct FailingPush<'a> {
    pub kind: FailureKind,
    pub checkout: &'a Checkout,
    pub settings: &'a Settings,
    pub options: &'a StackOptions,
    /// The repository as it was named on the command line.
    pub repository: &'a str,
    pub origin: &'a Origin,
    pub tip: &'a Tip,
    pub git_port: Option<u16>,
}

impl FailingPush<'_> {
    /// Makes the push, puts back what was changed, and shows what people are told.
    pub async fn run(self, results: &mut Results<impl Write>, progress: Progress) -> Result<(), Error> {
        let mut local = LocalAws::up(self.settings, self.options, progress).await?;
        let git_port = self.git_port.unwrap_or(local.record.ministack.port + 1);
        let (ministack, stack) = (local.record.ministack.clone(), local.stack()?);
        let inbox = Inbox::of(&stack)?;
        let obstacle = match self.kind {
            FailureKind::Destination => Some(Obstacle::at(&stack, self.key()?)?),
            _ => None,
        };
        let option = self.kind.option();
        let work = async {
            if let Some((name, value)) = &option {
                let mut options = self.options.clone();
                let text = source_options(&[((*name).to_owned(), value.clone())])?;
                options.parameters.insert("SourceOptions".to_owned(), text);
                local.deploy(&options).await?;
            }
            inbox.open().await?;
            if let Some(obstacle) = &obstacle {
                obstacle.put().await?;
            }
            let push = self.make(&local, git_port, results, progress).await?;
            let _step = progress.step("Waiting for the mail");
            let mail = inbox.mail(push.push_id, MAIL_TIMEOUT).await?;
            Ok((push, mail))
        };
        let put_back = async {
            let closed = inbox.close().await;
            let removed = match &obstacle {
                Some(obstacle) => obstacle.remove().await,
                None => Ok(()),
            };
            let deployed = match &option {
                Some(_) => LocalAws::up(self.settings, self.options, progress)
                    .await
                    .map(drop),
                None => Ok(()),
            };
            closed?;
            removed?;
            Ok(deployed?)
        };
        let lock = push_lock(self.checkout)?;
        let (push, mail) =
            session_that_puts_back(&lock, &ministack, &stack, progress, work, put_back).await?;
        let folder = match self.origin {
            Origin::Folder(_) => Some(self.repository),
            Origin::Remote { .. } => None,
        };
        report::report((self.kind, folder), &push, mail.as_ref(), results)
    }

    /// Returns the key of the zip by the template's default, which the local stack has.
    fn key(&self) -> Result<String, Error> {
        let url = origin::served_url("http://127.0.0.1", &self.origin.repository())?;
        let push = crate::push::push(self.origin, self.tip, &url, SOURCE, None)?;
        let key = KeyTemplate::default().render(&push);
        let key = key.map_err(|error| Error::Usage(error.to_string()))?;
        Ok(key.to_string())
    }

    async fn make(
        &self,
        local: &LocalAws,
        git_port: u16,
        results: &mut Results<impl Write>,
        progress: Progress,
    ) -> Result<EndedPush, Error> {
        let served = serve(local, self.origin, self.tip, git_port).await?;
        let url = served.as_ref().map(Served::origin);
        let _served = served.filter(|_| self.kind != FailureKind::Host);
        let stack = local.stack()?;
        let logins = logins(local, self.origin, git_port).await?;
        stack.write_git_secret(&self.kind.git_secret(logins)).await?;
        let last = local.last_pushed(&self.origin.repository(), &self.tip.ref_name);
        let mut hook = hook(self.origin, self.tip, last, url).await?;
        self.kind.spoil_hook(&mut hook);
        let send = async |webhook: &Webhook, hook: &PushHook| {
            webhook.send(hook, &Delivery::fresh()).await.map_err(Error::from)
        };
        // It is not recorded as the last push of the ref: as for the next push, this one has not been.
        let started = start(&stack, &hook, progress, send).await?;
        follow_to_end(local, &started, results, progress).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
    use deployed_stack::Stack;
    use domain::samples;
    use local_aws::ministack::Ministack;
    use local_aws::tools::Tools;

    use super::*;

    #[tokio::test]
    async fn what_is_changed_in_the_local_aws_is_put_back() {
        let tools = Tools::install(Progress::Silent).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (ministack, mut process) = Ministack::start(&tools, &Settings::default(), folder.path(), true)
            .await
            .unwrap();
        let config = ministack.sdk_config();
        let sns = aws_sdk_sns::Client::new(&config);
        let topic = sns.create_topic().name("failures").send().await.unwrap();
        let topic_arn = topic.topic_arn.unwrap();
        let outputs = [("FailureTopicArn", &*topic_arn), ("DestinationBucket", "zips")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let stack = Stack::new("push-code", BTreeMap::from(outputs), config);
        assert_mail_is_received(&stack, &sns, &topic_arn).await;
        assert_obstacle_is_removed(&stack).await;
        process.kill().unwrap();
        process.wait().unwrap();
    }

    async fn assert_mail_is_received(stack: &Stack, sns: &aws_sdk_sns::Client, topic_arn: &str) {
        let id = |delivery: &str| samples::push(delivery, "refs/heads/main").push_id;
        let (mine, other) = (id("1"), id("2"));
        let inbox = Inbox::of(stack).unwrap();
        inbox.open().await.unwrap();
        // As if another command had been killed.
        inbox.open().await.unwrap();
        for push_id in [other, mine] {
            let publish = sns.publish().topic_arn(topic_arn).subject("Push failed");
            publish
                .message(format!("A push has failed.\n{push_id}"))
                .send()
                .await
                .unwrap();
        }
        let mail = inbox.mail(mine, MAIL_TIMEOUT).await.unwrap().unwrap();
        assert_eq!(
            (mail.subject.as_str(), mail.text),
            ("Push failed", format!("A push has failed.\n{mine}"))
        );
        assert_eq!(inbox.mail(id("3"), Duration::ZERO).await.unwrap(), None);

        inbox.close().await.unwrap();
        let listed = sns.list_subscriptions_by_topic().topic_arn(topic_arn);
        assert_eq!(listed.send().await.unwrap().subscriptions(), []);
        let queues = aws_sdk_sqs::Client::new(stack.config()).list_queues();
        assert_eq!(queues.send().await.unwrap().queue_urls(), [""; 0]);
        inbox.close().await.unwrap();
    }

    async fn assert_obstacle_is_removed(stack: &Stack) {
        let s3 = stack.s3();
        s3.create_bucket().bucket("zips").send().await.unwrap();
        let versioning = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        let put = s3.put_bucket_versioning().bucket("zips");
        put.versioning_configuration(versioning).send().await.unwrap();
        let version = async || {
            let head = s3.head_object().bucket("zips").key("a.zip").send().await;
            head.ok().and_then(|object| object.version_id)
        };
        let obstacle = Obstacle::at(stack, "a.zip".to_owned()).unwrap();
        obstacle.remove().await.unwrap();
        obstacle.put().await.unwrap();
        assert!(version().await.is_some());
        obstacle.remove().await.unwrap();
        assert_eq!(version().await, None);

        let zip = s3.put_object().bucket("zips").key("a.zip").send().await.unwrap();
        obstacle.put().await.unwrap();
        assert_ne!(version().await, zip.version_id);
        // What is not the obstacle stays.
        for _ in 0..2 {
            obstacle.remove().await.unwrap();
            assert_eq!(version().await, zip.version_id);
        }
    }
}
