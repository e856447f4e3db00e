//! Step Functions, with its executions by name.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use accept::{ExecutionStatus, Executions};
use aws::AwsFailure;

use crate::core::{Core, OF_READS, OF_WRITES};
use crate::definition::Definition;
use crate::place::Place;
use crate::scheduler::{TaskId, lock};
use crate::weather::Port;

const ARN: &str = "arn:aws:states:eu-west-1:123456789012:execution:push:";

/// The status of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is running.
    Running,
    /// It has ended in a `Succeed` state, with this status in its output.
    Succeeded(String),
    /// It has ended in a `Fail` state, after this error.
    Failed(String),
    /// It was stopped, or reached its time limit.
    Stopped(&'static str),
}

impl Status {
    /// Returns whether the execution is reported as failed.
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Stopped(_))
    }

    /// Returns whether the execution has ended with the output `status`.
    pub fn is_ended_as(&self, status: &str) -> bool {
        matches!(self, Self::Succeeded(ended) if ended == status)
    }
}

/// An execution.
#[derive(Debug, Clone)]
pub struct Execution {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its input, as text.
    pub input: String,
    /// Its status.
    pub status: Status,
    /// When it began, since the history began.
    pub begun: Duration,
    /// How often it was redriven.
    pub redrive_count: u64,
    /// Where it is, or where it has ended.
    pub at: Place,
    /// The task that goes through its states. `None` if it has not begun yet.
    pub task: Option<TaskId>,
    /// The tasks of its functions.
    pub functions: Vec<TaskId>,
}

/// The state machine in Step Functions.
#[derive(Debug)]
pub struct Machine {
    core: Arc<Core>,
    /// The rules for failures.
    pub definition: &'static Definition,
    executions: Mutex<Vec<Execution>>,
}

impl Machine {
    /// Creates a machine without executions.
    pub fn new(core: Arc<Core>, definition: &'static Definition) -> Self {
        Self {
            core,
            definition,
            executions: Mutex::default(),
        }
    }

    /// Returns all executions, oldest first.
    pub fn executions(&self) -> Vec<Execution> {
        lock(&self.executions).clone()
    }

    /// Begins a task for each execution that was started and has none yet.
    pub fn take_started(&self, mut begin: impl FnMut(&Execution) -> TaskId) {
        for execution in lock(&self.executions).iter_mut() {
            if execution.task.is_none() && execution.status == Status::Running {
                execution.task = Some(begin(execution));
            }
        }
    }

    /// Changes the execution with this ARN.
    pub fn change(&self, arn: &str, change: impl FnOnce(&mut Execution)) {
        if let Some(execution) = lock(&self.executions)
            .iter_mut()
            .find(|execution| execution.arn == arn)
        {
            change(execution);
        }
    }

    /// Redrives an execution that has failed or was stopped. Returns `false` if it is no such execution.
    pub fn redrive(&self, arn: &str) -> bool {
        let mut executions = lock(&self.executions);
        let execution = executions.iter_mut().find(|execution| execution.arn == arn);
        let Some(execution) = execution.filter(|execution| execution.status.is_failed()) else {
            return false;
        };
        execution.status = Status::Running;
        execution.redrive_count += 1;
        execution.task = None;
        true
    }

    /// Starts an execution. Returns its ARN, also if an execution of this name and input is running, or `None` if there
    /// was another one of this name.
    pub fn start_now(&self, name: &str, input: &str) -> Option<String> {
        let mut executions = lock(&self.executions);
        if let Some(there) = executions.iter().find(|execution| execution.name == name) {
            let is_same = there.status == Status::Running && there.input == input;
            return is_same.then(|| there.arn.clone());
        }
        let arn = format!("{ARN}{name}");
        executions.push(Execution {
            name: name.to_owned(),
            arn: arn.clone(),
            input: input.to_owned(),
            status: Status::Running,
            begun: self.core.now(),
            redrive_count: 0,
            at: Place::default(),
            task: None,
            functions: Vec::new(),
        });
        Some(arn)
    }
}

impl Executions for Machine {
    async fn start(&self, name: &str, input: &str) -> Result<Option<String>, AwsFailure> {
        let failed = |trouble: crate::core::Trouble| trouble.failure("states:StartExecution");
        let what = || format!("starts {name}");
        let fate = self
            .core
            .call(Port::Executions, OF_WRITES, what)
            .await
            .map_err(failed)?;
        let arn = self.start_now(name, input);
        self.core.answer(fate).await.map_err(failed)?;
        Ok(arn)
    }

    async fn describe(&self, name: &str) -> Result<ExecutionStatus, AwsFailure> {
        let failed = |trouble: crate::core::Trouble| trouble.failure("states:DescribeExecution");
        let what = || format!("describes {name}");
        let fate = self
            .core
            .call(Port::Executions, OF_READS, what)
            .await
            .map_err(failed)?;
        let found = self
            .executions()
            .into_iter()
            .find(|execution| execution.name == name);
        self.core.answer(fate).await.map_err(failed)?;
        let found = found
            .ok_or_else(|| crate::core::Trouble { transient: false }.failure("states:DescribeExecution"))?;
        // The same rule as in accept.
        let may_be_followed = found.status.is_failed()
            || ["Ignored", "Replaced"]
                .iter()
                .any(|ending| found.status.is_ended_as(ending));
        Ok(ExecutionStatus {
            arn: found.arn,
            input: found.input,
            may_be_followed,
        })
    }
}
