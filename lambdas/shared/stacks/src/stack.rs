//! A stack, and what happens to it.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::StackEvent;

/// The end of the reasons of resources that have not failed themselves.
const CANCELLED: &str = "cancelled";

/// A stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Its ARN.
    pub id: String,
    /// Its status, such as `UPDATE_COMPLETE`.
    pub status: String,
    /// Why it has this status.
    pub reason: String,
    /// The ARN of the change set that was executed last, if that is known.
    pub change_set: Option<String>,
    /// The values of its template's parameters.
    pub parameters: BTreeMap<String, String>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// What can be done with a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has a name, and nothing was ever created in it.
    Empty,
    /// It is being changed.
    Busy,
    /// It is as its last update has left it.
    Ready,
    /// It is as it was before its last update, which CloudFormation has undone.
    RolledBack,
    /// Its creation has failed, and was undone. Nothing but deletion is possible.
    NeverCreated,
    /// It was deleted.
    Deleted,
    /// It cannot be changed until somebody helps.
    Stuck,
}

impl Stack {
    /// Returns what can be done with it
    /// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html>).
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.status.as_str() {
            "REVIEW_IN_PROGRESS" => Phase::Empty,
            "ROLLBACK_COMPLETE" => Phase::NeverCreated,
            "DELETE_COMPLETE" => Phase::Deleted,
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Phase::Ready,
            "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => Phase::RolledBack,
            status if status.ends_with("_IN_PROGRESS") => Phase::Busy,
            _ => Phase::Stuck,
        }
    }
}

impl From<aws_sdk_cloudformation::types::Stack> for Stack {
    fn from(stack: aws_sdk_cloudformation::types::Stack) -> Self {
        let parameters = stack.parameters.unwrap_or_default().into_iter();
        let outputs = stack.outputs.unwrap_or_default().into_iter();
        let tags = stack.tags.unwrap_or_default().into_iter();
        Self {
            id: stack.stack_id.unwrap_or_default(),
            status: stack
                .stack_status
                .map(|status| status.as_str().to_owned())
                .unwrap_or_default(),
            reason: stack.stack_status_reason.unwrap_or_default(),
            change_set: stack.change_set_id,
            parameters: parameters
                .filter_map(|parameter| Some((parameter.parameter_key?, parameter.parameter_value?)))
                .collect(),
            outputs: outputs
                .filter_map(|output| Some((output.output_key?, output.output_value?)))
                .collect(),
            tags: tags.filter_map(|tag| Some((tag.key?, tag.value?))).collect(),
        }
    }
}

/// A resource that could not be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedResource {
    /// Its logical id.
    pub logical_id: String,
    /// Its type.
    pub resource_type: String,
    /// Why it has failed.
    pub reason: String,
}

impl std::fmt::Display for FailedResource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} ({}): {}",
            self.logical_id, self.resource_type, self.reason
        )
    }
}

impl FailedResource {
    pub(crate) fn of(event: StackEvent) -> Option<Self> {
        let status = event.resource_status?.as_str().to_owned();
        let reason = event.resource_status_reason.unwrap_or_default();
        if !status.ends_with("_FAILED") || reason.to_lowercase().trim_end().ends_with(CANCELLED) {
            return None;
        }
        Some(Self {
            logical_id: event.logical_resource_id.unwrap_or_default(),
            resource_type: event.resource_type.unwrap_or_default(),
            reason,
        })
    }
}

/// Returns whether an event is of the stack itself.
pub(crate) fn is_of_stack(event: &StackEvent) -> bool {
    event.physical_resource_id == event.stack_id
}

/// Returns whether an operation on the stack begins with this event.
pub(crate) fn is_begin(event: &StackEvent) -> bool {
    let status = event
        .resource_status
        .as_ref()
        .map(aws_sdk_cloudformation::types::ResourceStatus::as_str);
    is_of_stack(event)
        && matches!(
            status,
            Some("CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS")
        )
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::types::{ResourceStatus, StackStatus};

    use super::*;

    #[test]
    fn every_status_has_a_phase() {
        let phase = |status: &str| {
            let stack = aws_sdk_cloudformation::types::Stack::builder();
            Stack::from(stack.stack_status(StackStatus::from(status)).build()).phase()
        };
        for status in StackStatus::values() {
            let expected = match *status {
                "REVIEW_IN_PROGRESS" => Phase::Empty,
                "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Phase::Ready,
                "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => Phase::RolledBack,
                "ROLLBACK_COMPLETE" => Phase::NeverCreated,
                "DELETE_COMPLETE" => Phase::Deleted,
                failed if failed.ends_with("_FAILED") => Phase::Stuck,
                _ => Phase::Busy,
            };
            assert_eq!(phase(status), expected, "{status}");
        }
        assert_eq!(phase("WHATEVER_COMES_NEXT"), Phase::Stuck);
    }

    fn event(id: &str, status: &str, reason: &str) -> StackEvent {
        StackEvent::builder()
            .stack_id("stack")
            .physical_resource_id(id)
            .logical_resource_id("Table")
            .resource_type("AWS::DynamoDB::Table")
            .resource_status(ResourceStatus::from(status))
            .resource_status_reason(reason)
            .build()
    }

    #[test]
    fn a_resource_that_was_cancelled_has_not_failed_itself() {
        let failed =
            |id, status, reason| FailedResource::of(event(id, status, reason)).map(|failed| failed.reason);
        assert_eq!(failed("t", "CREATE_FAILED", "no").as_deref(), Some("no"));
        assert_eq!(failed("t", "CREATE_FAILED", "Resource creation cancelled"), None);
        assert_eq!(failed("t", "UPDATE_FAILED", "Resource update cancelled "), None);
        assert_eq!(failed("t", "CREATE_COMPLETE", ""), None);
        assert!(is_of_stack(&event("stack", "UPDATE_FAILED", "x")));
        assert!(!is_of_stack(&event("t", "UPDATE_FAILED", "x")));
        assert!(is_begin(&event("stack", "UPDATE_IN_PROGRESS", "User Initiated")));
        assert!(!is_begin(&event("t", "UPDATE_IN_PROGRESS", "")));
        assert!(!is_begin(&event("stack", "UPDATE_ROLLBACK_IN_PROGRESS", "")));
    }
}
