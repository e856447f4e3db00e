//! What was changed in a stack by hand.

use aws_sdk_cloudformation::operation::describe_stack_drift_detection_status::DescribeStackDriftDetectionStatusOutput;
use aws_sdk_cloudformation::types::{
    PropertyDifference, StackDriftDetectionStatus, StackResourceDrift, StackResourceDriftStatus,
};

/// How far the detection of drift is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriftStatus {
    /// It runs.
    InProgress,
    /// It has ended.
    Complete,
    /// It has ended, and some resources could not be looked at.
    Failed(String),
}

/// A resource that was changed or deleted by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceDrift {
    /// The resource's logical id.
    pub logical_id: String,
    /// The resource's type.
    pub resource_type: String,
    /// The resource's physical id.
    pub physical_id: String,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// What was changed.
    pub properties: Vec<PropertyDrift>,
}

/// A property that was changed by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyDrift {
    /// The property's path, such as `/Environment/Variables/H`.
    pub path: String,
    /// Its value by the template.
    pub expected: String,
    /// Its value now.
    pub actual: String,
}

impl From<DescribeStackDriftDetectionStatusOutput> for DriftStatus {
    fn from(output: DescribeStackDriftDetectionStatusOutput) -> Self {
        match output.detection_status {
            Some(StackDriftDetectionStatus::DetectionComplete) => Self::Complete,
            Some(StackDriftDetectionStatus::DetectionFailed) => {
                Self::Failed(output.detection_status_reason.unwrap_or_default())
            }
            _ => Self::InProgress,
        }
    }
}

impl From<StackResourceDrift> for ResourceDrift {
    fn from(drift: StackResourceDrift) -> Self {
        let properties = drift.property_differences.unwrap_or_default();
        Self {
            logical_id: drift.logical_resource_id.unwrap_or_default(),
            resource_type: drift.resource_type.unwrap_or_default(),
            physical_id: drift.physical_resource_id.unwrap_or_default(),
            is_deleted: drift.stack_resource_drift_status == Some(StackResourceDriftStatus::Deleted),
            properties: properties.into_iter().map(PropertyDrift::from).collect(),
        }
    }
}

impl From<PropertyDifference> for PropertyDrift {
    fn from(difference: PropertyDifference) -> Self {
        Self {
            path: difference.property_path.unwrap_or_default(),
            expected: difference.expected_value.unwrap_or_default(),
            actual: difference.actual_value.unwrap_or_default(),
        }
    }
}
