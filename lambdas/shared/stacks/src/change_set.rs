//! A change set: how far it is, and what it would do.

use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{
    Change, ChangeSetStatus as Status, EvaluationType, ExecutionStatus, ResourceChangeDetail,
};

/// How CloudFormation says that a change set has nothing to do. It has no code of its own.
const NOTHING_TO_DO: [&str; 2] = ["didn't contain changes", "No updates are to be performed"];

/// A change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// Its ARN.
    pub id: String,
    /// The ARN of its stack.
    pub stack_id: String,
    /// How far it is.
    pub status: ChangeSetStatus,
    /// What it would do.
    pub changes: Vec<ResourceChange>,
}

/// How far a change set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeSetStatus {
    /// It is being created.
    Creating,
    /// It can be executed.
    Available,
    /// There is nothing to do.
    NothingToDo,
    /// CloudFormation does not accept it.
    Refused(String),
    /// It is being executed.
    Executing,
    /// It was executed.
    Executed,
    /// Its execution has failed.
    Failed,
    /// The stack was changed after the change set was made, or the change set is being deleted.
    Outdated,
}

/// What a change set would do to a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChange {
    /// `Add`, `Modify`, `Remove`, `Import` or `Dynamic`.
    pub action: String,
    /// The resource's logical id.
    pub logical_id: String,
    /// The resource's type.
    pub resource_type: String,
    /// `True`, `False` or `Conditional`. Empty if the resource is added or removed.
    pub replacement: String,
    /// Why it changes.
    pub details: Vec<Detail>,
}

/// Why a resource changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// The property's name, or if another attribute changes, its name, such as `Tags`.
    pub name: String,
    /// Whether CloudFormation only knows when it makes the change whether there is one.
    pub is_dynamic: bool,
    /// What the change depends on: a parameter, or a resource or its attribute, such as `Role.Arn`.
    pub cause: Option<String>,
}

impl From<DescribeChangeSetOutput> for ChangeSet {
    fn from(output: DescribeChangeSetOutput) -> Self {
        let reason = output.status_reason.unwrap_or_default();
        let changes = output.changes.unwrap_or_default();
        Self {
            id: output.change_set_id.unwrap_or_default(),
            stack_id: output.stack_id.unwrap_or_default(),
            status: status(output.status.as_ref(), output.execution_status.as_ref(), reason),
            changes: changes.into_iter().filter_map(change).collect(),
        }
    }
}

fn status(status: Option<&Status>, execution: Option<&ExecutionStatus>, reason: String) -> ChangeSetStatus {
    match (status, execution) {
        (Some(Status::Failed), _) if NOTHING_TO_DO.iter().any(|text| reason.contains(text)) => {
            ChangeSetStatus::NothingToDo
        }
        (Some(Status::Failed), _) => ChangeSetStatus::Refused(reason),
        (Some(Status::CreateComplete), Some(execution)) => match execution {
            ExecutionStatus::Available => ChangeSetStatus::Available,
            ExecutionStatus::ExecuteInProgress => ChangeSetStatus::Executing,
            ExecutionStatus::ExecuteComplete => ChangeSetStatus::Executed,
            ExecutionStatus::ExecuteFailed => ChangeSetStatus::Failed,
            ExecutionStatus::Obsolete => ChangeSetStatus::Outdated,
            _ => ChangeSetStatus::Creating,
        },
        (Some(Status::DeletePending | Status::DeleteInProgress | Status::DeleteComplete), _) => {
            ChangeSetStatus::Outdated
        }
        _ => ChangeSetStatus::Creating,
    }
}

fn change(change: Change) -> Option<ResourceChange> {
    let change = change.resource_change?;
    let details = change.details.unwrap_or_default().into_iter().filter_map(detail);
    Some(ResourceChange {
        action: change.action.map(|action| action.as_str().to_owned())?,
        logical_id: change.logical_resource_id?,
        resource_type: change.resource_type.unwrap_or_default(),
        replacement: change
            .replacement
            .map(|replacement| replacement.as_str().to_owned())
            .unwrap_or_default(),
        details: details.collect(),
    })
}

fn detail(detail: ResourceChangeDetail) -> Option<Detail> {
    let target = detail.target?;
    let attribute = target.attribute?;
    Some(Detail {
        name: target.name.unwrap_or_else(|| attribute.as_str().to_owned()),
        is_dynamic: detail.evaluation == Some(EvaluationType::Dynamic),
        cause: detail.causing_entity,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_one_that_the_workflow_knows() {
        let of = |a: &str, b: &str, reason: &str| {
            status(
                Some(&Status::from(a)),
                Some(&ExecutionStatus::from(b)),
                reason.to_owned(),
            )
        };
        use ChangeSetStatus as S;
        for (first, second, reason, expected) in [
            ("CREATE_PENDING", "UNAVAILABLE", "", S::Creating),
            ("CREATE_IN_PROGRESS", "UNAVAILABLE", "", S::Creating),
            ("CREATE_COMPLETE", "UNAVAILABLE", "", S::Creating),
            ("CREATE_COMPLETE", "AVAILABLE", "", S::Available),
            ("CREATE_COMPLETE", "EXECUTE_IN_PROGRESS", "", S::Executing),
            ("CREATE_COMPLETE", "EXECUTE_COMPLETE", "", S::Executed),
            ("CREATE_COMPLETE", "EXECUTE_FAILED", "", S::Failed),
            ("CREATE_COMPLETE", "OBSOLETE", "", S::Outdated),
            ("DELETE_PENDING", "UNAVAILABLE", "", S::Outdated),
            (
                "FAILED",
                "UNAVAILABLE",
                "No updates are to be performed.",
                S::NothingToDo,
            ),
            (
                "FAILED",
                "UNAVAILABLE",
                "The submitted information didn't contain changes. Submit different information to create a change set.",
                S::NothingToDo,
            ),
            (
                "FAILED",
                "UNAVAILABLE",
                "no such role",
                S::Refused("no such role".to_owned()),
            ),
        ] {
            assert_eq!(of(first, second, reason), expected, "{first} {second}");
        }
    }
}
