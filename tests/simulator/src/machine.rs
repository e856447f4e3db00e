//! Step Functions: the executions that there are, by name.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use accept::{ExecutionStatus, Executions};
use aws::AwsFailure;

use crate::core::{Core, OF_READS, OF_WRITES};
use crate::definition::Definition;
use crate::scheduler::{TaskId, lock};
use crate::weather::Port;

const ARN: &str = "arn:aws:states:eu-west-1:123456789012:execution:push:";

/// How an execution is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It goes on.
    Running,
    /// It has ended in a `Succeed` state, with this status in its output.
    Succeeded(String),
    /// It has ended in a `Fail` state, after this error.
    Failed(String),
    /// It was stopped, or has met its time limit.
    Stopped(&'static str),
}

impl Status {
    /// Whether the execution is one that people are told of as failed.
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Stopped(_))
    }

    /// Whether it has ended with the output `status`.
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
    /// How it is.
    pub status: Status,
    /// When it began, since the history began.
    pub begun: Duration,
    /// The task that goes through its states. `None` if it has not begun yet.
    pub task: Option<TaskId>,
    /// The tasks of its functions.
    pub functions: Vec<TaskId>,
}

/// See the module.
#[derive(Debug)]
pub struct Machine {
    core: Arc<Core>,
    /// What it does after which error.
    pub definition: &'static Definition,
    executions: Mutex<Vec<Execution>>,
}

impl Machine {
    /// A machine that has run nothing yet.
    pub fn new(core: Arc<Core>, definition: &'static Definition) -> Self {
        Self {
            core,
            definition,
            executions: Mutex::default(),
        }
    }

    /// All executions, the first one first.
    pub fn executions(&self) -> Vec<Execution> {
        lock(&self.executions).clone()
    }

    /// The executions that were started and have no task yet.
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

    /// Starts an execution, and gives its ARN. `None` if there has been another one of this name. One that runs is given
    /// again for the same input.
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
        // What accept makes of a status and an output.
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
