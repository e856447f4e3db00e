//! `Apply` and `CheckStack`: update the application's stack by its change set, and look how far that is. No traffic is
//! moved.

use delivery::contract::{Applied, Executed, FunctionVersions, PlannedInput};
use domain::error::{Code, Coded};
use stacks::{ChangeSetStatus, Phase, StackError, Stacks};

/// Why a stack could not be updated.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// The change set is gone, or the stack was changed since it was made.
    #[error("the change set {0} is gone, or the stack was changed since it was made")]
    Outdated(String),
    /// CloudFormation has undone the update.
    #[error("CloudFormation has undone the update of the stack {stack}, which is in {status}: {reason}")]
    RolledBack {
        stack: String,
        status: String,
        reason: String,
    },
    /// A function of the settings has no alias.
    #[error("the function {function} of the settings has no alias {alias} in the stack {stack}")]
    AliasMissing {
        function: String,
        alias: &'static str,
        stack: String,
    },
    /// The stack could not be looked at or changed.
    #[error(transparent)]
    Stack(#[from] StackError),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Outdated(_) => Code::PlanOutdated,
            Self::RolledBack { .. } => Code::StackRolledBack,
            Self::AliasMissing { .. } => Code::LiveAliasMissing,
            Self::Stack(error) => error.code(),
        }
    }
}

/// Executes the change set of a plan, unless it was executed before.
///
/// # Errors
/// Returns an [`Error`] if it cannot be executed.
pub async fn apply(stacks: &Stacks, input: &PlannedInput) -> Result<Executed, Error> {
    let arn = &input.plan.change_set;
    let outdated = || Error::Outdated(arn.clone());
    let stack_id = &input.plan.stack_id;
    match stacks
        .change_set(stack_id, arn)
        .await?
        .map(|change_set| change_set.status)
    {
        Some(ChangeSetStatus::Available) => {
            let token = input.request.deployment_id.to_string();
            if !stacks.execute(stack_id, arn, &token).await? {
                return Err(outdated());
            }
        }
        Some(ChangeSetStatus::Executing | ChangeSetStatus::Executed | ChangeSetStatus::Failed) => {}
        Some(_) => return Err(outdated()),
        None => {
            let stack = stacks.stack(&input.request.settings.stack).await?;
            if stack.and_then(|stack| stack.change_set).as_ref() != Some(arn) {
                return Err(outdated());
            }
        }
    }
    Ok(Executed {
        change_set: arn.clone(),
    })
}

/// Returns how far the update is.
///
/// # Errors
/// Returns an [`Error`] if it has failed.
pub async fn check(stacks: &Stacks, input: &PlannedInput) -> Result<Applied, Error> {
    let settings = &input.request.settings;
    let change_set = stacks
        .change_set(&input.plan.stack_id, &input.plan.change_set)
        .await?;
    let stack = match &change_set {
        // A stack that was deleted after its creation has failed is only found by its ARN.
        Some(change_set) => stacks.stack(&change_set.stack_id).await?,
        None => stacks.stack(&settings.stack).await?,
    };
    let stack = stack.ok_or_else(|| Error::Outdated(input.plan.change_set.clone()))?;
    let mut applied = Applied {
        complete: false,
        status: stack.status.clone(),
        functions: vec![],
        outputs: stack.outputs.clone(),
    };
    let status = change_set.map(|change_set| change_set.status);
    // The execution begins a moment after it was asked for. Until then the stack's status is that of its last update.
    let has_begun = status != Some(ChangeSetStatus::Available);
    match stack.phase() {
        _ if !has_begun => {}
        Phase::Empty | Phase::Busy => {}
        // As long as the change set is being executed, the status may be the previous one.
        _ if status == Some(ChangeSetStatus::Executing) => {}
        Phase::Ready => {
            applied.complete = true;
            applied.functions = functions(stacks, input).await?;
        }
        Phase::RolledBack | Phase::NeverCreated | Phase::Deleted => {
            return Err(Error::RolledBack {
                stack: settings.stack.clone(),
                reason: stacks.failure_of(&stack).await?,
                status: stack.status,
            });
        }
        Phase::Stuck => {
            return Err(StackError::Stuck {
                stack: settings.stack.clone(),
                reason: stacks.failure_of(&stack).await?,
                status: stack.status,
            }
            .into());
        }
    }
    Ok(applied)
}

/// Returns the versions behind the aliases of the functions that take traffic.
async fn functions(stacks: &Stacks, input: &PlannedInput) -> Result<Vec<FunctionVersions>, Error> {
    let settings = &input.request.settings;
    let resources = stacks.resources(&settings.stack).await?;
    let mut functions = Vec::new();
    for logical_id in settings.functions.keys() {
        let missing = |alias| Error::AliasMissing {
            function: logical_id.clone(),
            alias,
            stack: settings.stack.clone(),
        };
        let name = resources.get(logical_id).ok_or_else(|| missing("live"))?;
        let stable = stacks.version(name, "live").await?;
        let candidate = stacks.version(name, "next").await?;
        functions.push(FunctionVersions {
            logical_id: logical_id.clone(),
            name: name.clone(),
            stable: stable.ok_or_else(|| missing("live"))?,
            candidate: candidate.ok_or_else(|| missing("next"))?,
        });
    }
    Ok(functions)
}
