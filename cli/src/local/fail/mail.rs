//! The mail of a failed push: a queue that is subscribed to the failure topic, as a person would be by e-mail.

use std::time::{Duration, Instant};

use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use aws_sdk_sqs::types::QueueAttributeName;
use deployed_stack::Stack;
use domain::push::PushId;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Error;

/// The queue's name. What a command that was killed has left is found by it.
const QUEUE: &str = "push-code-local-push-fail";

/// How long the mail may take after the execution has ended, which sends it before.
pub const MAIL_TIMEOUT: Duration = Duration::from_secs(15);

/// A mail, as SNS sends it. It adds a link to unsubscribe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mail {
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
}

/// What SNS writes into a queue.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    subject: String,
    message: String,
}

impl Mail {
    /// Returns the mail that a message of the queue is, if it is about this push.
    fn about(push_id: PushId, body: &str) -> Option<Self> {
        let notification: Notification = serde_json::from_str(body).ok()?;
        let mail = Self {
            subject: notification.subject,
            text: notification.message,
        };
        mail.text.contains(&push_id.to_string()).then_some(mail)
    }
}

/// The queue that receives what the failure topic of a stack sends.
#[derive(Debug)]
pub struct Inbox {
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
    topic_arn: String,
    queue_arn: String,
}

impl Inbox {
    /// Returns the inbox of a stack, which receives nothing before it is [opened](Self::open).
    ///
    /// # Errors
    /// Returns an error if the stack has no output that names the topic.
    pub fn of(stack: &Stack) -> Result<Self, Error> {
        let topic_arn = stack.output("FailureTopicArn")?.to_owned();
        let (place, _) = topic_arn.rsplit_once(':').unwrap_or_default();
        Ok(Self {
            sns: aws_sdk_sns::Client::new(stack.config()),
            sqs: aws_sdk_sqs::Client::new(stack.config()),
            queue_arn: format!("{}:{QUEUE}", place.replacen(":sns:", ":sqs:", 1)),
            topic_arn,
        })
    }

    /// Creates the queue, and subscribes it to the topic.
    ///
    /// # Errors
    /// Returns an error if SQS or SNS refuses it.
    pub async fn open(&self) -> Result<(), Error> {
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": self.queue_arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": self.topic_arn}},
        }]});
        let create = self.sqs.create_queue().queue_name(QUEUE);
        let create = create.attributes(QueueAttributeName::Policy, policy.to_string());
        create
            .send()
            .await
            .map_err(deployed_stack::Error::aws(format!("create the queue {QUEUE}")))?;
        let subscribe = self.sns.subscribe().topic_arn(&self.topic_arn);
        let subscribe = subscribe.protocol("sqs").endpoint(&self.queue_arn);
        subscribe
            .send()
            .await
            .map_err(deployed_stack::Error::aws(format!(
                "subscribe to {}",
                self.topic_arn
            )))?;
        Ok(())
    }

    /// Waits for the mail about a push. Returns `None` if none has come in time.
    ///
    /// # Errors
    /// Returns an error if the queue cannot be read.
    pub async fn mail(&self, push_id: PushId, timeout: Duration) -> Result<Option<Mail>, Error> {
        let deadline = Instant::now() + timeout;
        let url = self.queue_url().await?.unwrap_or_default();
        loop {
            let receive = self.sqs.receive_message().queue_url(&url);
            let receive = receive.max_number_of_messages(10).wait_time_seconds(1);
            let received = receive
                .send()
                .await
                .map_err(deployed_stack::Error::aws(format!("read the queue {QUEUE}")))?;
            let mut bodies = received.messages().iter().filter_map(|message| message.body());
            if let Some(mail) = bodies.find_map(|body| Mail::about(push_id, body)) {
                return Ok(Some(mail));
            }
            if Instant::now() > deadline {
                return Ok(None);
            }
        }
    }

    /// Removes the queue and its subscription, if they are there.
    ///
    /// # Errors
    /// Returns an error if SNS or SQS refuses it.
    pub async fn close(&self) -> Result<(), Error> {
        let pages = self.sns.list_subscriptions_by_topic().topic_arn(&self.topic_arn);
        let mut subscriptions = pages.into_paginator().items().send();
        while let Some(subscription) = subscriptions.next().await {
            let subscription = subscription.map_err(deployed_stack::Error::aws(format!(
                "list the subscriptions of {}",
                self.topic_arn
            )))?;
            if subscription.endpoint() != Some(&self.queue_arn) {
                continue;
            }
            let unsubscribe = self.sns.unsubscribe();
            unsubscribe
                .set_subscription_arn(subscription.subscription_arn)
                .send()
                .await
                .map_err(deployed_stack::Error::aws(format!(
                    "unsubscribe from {}",
                    self.topic_arn
                )))?;
        }
        if let Some(url) = self.queue_url().await? {
            self.sqs
                .delete_queue()
                .queue_url(url)
                .send()
                .await
                .map_err(deployed_stack::Error::aws(format!("delete the queue {QUEUE}")))?;
        }
        Ok(())
    }

    /// Returns the URL of the queue, or `None` if there is none.
    async fn queue_url(&self) -> Result<Option<String>, Error> {
        match self.sqs.get_queue_url().queue_name(QUEUE).send().await {
            Ok(queue) => Ok(queue.queue_url),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetQueueUrlError::is_queue_does_not_exist) =>
            {
                Ok(None)
            }
            Err(error) => Err(deployed_stack::Error::aws(format!("find the queue {QUEUE}"))(error).into()),
        }
    }
}
