//! Events from outside: pushes, webhooks, and what people do in the console.

use std::time::Duration;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use domain::execution::Execution;
use domain::git::ObjectId;
use domain::push::{DeliveryId, PushId, SourceName};
use serde_json::{Value, json};

use crate::execution::time_of;
use crate::functions::{TOKEN, short};
use crate::machine::Status;
use crate::scheduler::Label;
use crate::world::{REPOSITORY, SOURCE, Simulation};

/// How often Lambda calls a function for an asynchronous event.
const EVENT_ATTEMPTS: usize = 3;

/// The prefix of the names of executions that were started in the console.
const CONSOLE: &str = "console-";

/// A webhook's delivery of a movement of the ref.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its name in the trace, which is its id too.
    pub name: String,
    /// The push that it reports.
    pub push_id: PushId,
    /// The ref.
    pub ref_name: String,
    /// What the ref pointed to before, or `None` if it was created.
    pub before: Option<ObjectId>,
    /// What the ref points to now, or `None` if it was deleted.
    pub after: Option<ObjectId>,
}

impl Delivery {
    /// Creates the delivery with the id `name`, or returns `None` if the id is malformed.
    pub fn new(
        name: String,
        ref_name: &str,
        before: Option<ObjectId>,
        after: Option<ObjectId>,
    ) -> Option<Self> {
        let source: SourceName = SOURCE.parse().ok()?;
        let delivery_id: DeliveryId = name.parse().ok()?;
        Some(Self {
            push_id: PushId::new(&source, &delivery_id, &ref_name.parse().ok()?),
            name,
            ref_name: ref_name.to_owned(),
            before,
            after,
        })
    }

    fn request(&self) -> ApiGatewayV2httpRequest {
        let is_tag = self.ref_name.starts_with("refs/tags/");
        let id = |object: &Option<ObjectId>| match object {
            Some(object) => object.to_string(),
            None => "0".repeat(40),
        };
        let body = json!({
            "object_kind": if is_tag { "tag_push" } else { "push" },
            "before": id(&self.before),
            "after": id(&self.after),
            "ref": self.ref_name,
            "project": {
                "path_with_namespace": REPOSITORY,
                "git_http_url": format!("https://gitlab.example.com/{REPOSITORY}.git"),
            },
        });
        let mut request = ApiGatewayV2httpRequest::default();
        request
            .path_parameters
            .insert("source".to_owned(), SOURCE.to_owned());
        let event = if is_tag { "Tag Push Hook" } else { "Push Hook" };
        let headers = [
            ("x-gitlab-event", event),
            ("x-gitlab-token", TOKEN),
            ("idempotency-key", self.name.as_str()),
        ];
        for (name, value) in headers {
            if let Ok(value) = value.parse() {
                request.headers.insert(name, value);
            }
        }
        request.body = Some(body.to_string());
        request
    }
}

impl Simulation {
    /// Begins a task that happens outside.
    pub fn outside(&self, name: &str, work: impl Future<Output = ()> + 'static) {
        let label = Label {
            name: name.to_owned(),
            execution: None,
            slowness: 0,
        };
        self.tasks.begin(label, work);
    }

    /// Calls the webhook. Returns the HTTP status of the response.
    pub async fn deliver(&self, delivery: &Delivery) -> i64 {
        let answer = self.accept(&delivery.name, delivery.request()).answer().await;
        // If the function has died or failed, the gateway responds with a server error.
        let status = answer.and_then(Result::ok).unwrap_or(500);
        self.world.core.say(|| {
            format!(
                "webhook of push {} answered {status}",
                short(&delivery.push_id.to_string())
            )
        });
        status
    }

    /// Starts an execution in the console, with the input of an earlier one. Returns `false` if there was none.
    pub fn start_again(&self, push_id: PushId) -> bool {
        let machine = &self.world.machine;
        let executions = machine.executions();
        let input = executions.iter().map(|execution| &execution.input);
        let Some(input) = input.clone().find(|input| is_of(input, push_id)) else {
            return false;
        };
        let name = format!("{CONSOLE}{}", executions.len());
        self.world.core.say(|| format!("starts {name} in the console"));
        machine.start_now(&name, input).is_some()
    }

    /// Redrives the last execution of a push that has failed or was stopped. Returns `false` if there is none.
    pub fn redrive(&self, push_id: PushId) -> bool {
        let machine = &self.world.machine;
        let executions = machine.executions();
        let mut failed = executions
            .iter()
            .rev()
            .filter(|execution| is_of(&execution.input, push_id) && execution.status.is_failed());
        failed.next().is_some_and(|execution| {
            let name = short(&execution.arn);
            self.world.core.say(|| format!("REDRIVES {name}"));
            machine.redrive(&execution.arn)
        })
    }

    /// Returns whether the push has failed in an execution that was started or redriven in the console. The webhook
    /// does not know of the former, and may have started a later one than the latter.
    pub fn has_failed_in_console(&self, push_id: PushId) -> bool {
        let failure = self.world.trail.model_of(push_id).and_then(|state| state.failure);
        failure.is_some_and(|failed| {
            let id = &failed.execution_id;
            short(id).starts_with(CONSOLE) || Execution::arn(id) != id
        })
    }

    /// Stops a running execution. Its function continues or dies, and the event that reports the stop comes some time
    /// later.
    pub fn stop(&self, id: &str) {
        let arn = Execution::arn(id);
        let world = self.world.clone();
        let Some(execution) = world
            .machine
            .executions()
            .into_iter()
            .find(|execution| execution.arn == arn)
        else {
            return;
        };
        if execution.status != Status::Running {
            return;
        }
        let core = &world.core;
        let status = *core.dice.pick(&["ABORTED", "TIMED_OUT"]);
        core.say(|| format!("{status} {}", short(arn)));
        world
            .machine
            .change(arn, |execution| execution.status = Status::Stopped(status));
        if let Some(task) = execution.task {
            self.tasks.drop_task(task);
        }
        if core.dice.happens(300) {
            for function in &execution.functions {
                self.tasks.drop_task(*function);
            }
        }
        let event = json!({
            "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change",
            "detail": {
                "executionArn": arn,
                "status": status,
                "redriveCount": execution.redrive_count,
                "startDate": time_of(execution.begun).timestamp_millis(),
                "input": execution.input,
            },
        });
        let simulation = self.clone();
        self.outside(&format!("{} event", short(arn)), async move {
            simulation.report(event).await;
        });
    }

    async fn report(&self, event: Value) {
        let core = &self.world.core;
        let latest = *core.dice.pick(&[1, 60, 6_000]);
        tokio::time::sleep(Duration::from_secs(core.dice.between(0, latest))).await;
        for _ in 0..EVENT_ATTEMPTS {
            let Ok(envelope) = record::parse(event.clone()) else {
                core.is_wrong("Record cannot read the event of an execution that was stopped".to_owned());
                return;
            };
            if matches!(self.record(envelope).answer().await, Some(Ok(_))) {
                return;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }
}

/// Returns whether the input of an execution is the push with this id.
pub fn is_of(input: &str, push_id: PushId) -> bool {
    input.contains(&push_id.to_string())
}
