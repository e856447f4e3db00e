//! An application's CloudFormation stack, its change sets and drift, and the versions behind the aliases of its
//! functions.
//!
//! CloudFormation knows the physical ids of aliases and not the versions that they point to, because the workflow moves
//! them. So those are read from Lambda.

mod change_set;
mod drift;
mod error;
mod stack;

use std::collections::BTreeMap;

use aws::AwsFailure;
use aws_sdk_cloudformation::types::{Capability, ChangeSetType, EventFilter, Parameter};
use serde_json::Value;

pub use change_set::{ChangeSet, ChangeSetStatus, Detail, ResourceChange};
pub use drift::{DriftStatus, PropertyDrift, ResourceDrift};
pub use error::StackError;
pub use stack::{FailedResource, Phase, Stack};

/// The largest template that a request may have in its body, in bytes.
pub const MAX_BODY_BYTES: usize = 51_200;

/// What a template is allowed to do.
const CAPABILITIES: [Capability; 3] = [
    Capability::CapabilityIam,
    Capability::CapabilityNamedIam,
    Capability::CapabilityAutoExpand,
];

/// A template, in the request or at a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateSource {
    /// The template's text, of at most [`MAX_BODY_BYTES`].
    Body(String),
    /// The URL of an object in S3.
    Url(String),
}

/// A change set that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedChangeSet {
    /// Its ARN.
    pub id: String,
    /// The ARN of its stack.
    pub stack_id: String,
}

/// A change set to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChangeSet {
    /// The stack's name.
    pub stack: String,
    /// The change set's name, of letters, digits and hyphens, a letter first.
    pub name: String,
    /// Whether the stack is new.
    pub creates: bool,
    /// The template.
    pub template: TemplateSource,
    /// The values of the template's parameters.
    pub parameters: BTreeMap<String, String>,
    /// The role with which CloudFormation makes the changes.
    pub role_arn: String,
}

/// The stacks of an account.
#[derive(Debug, Clone)]
pub struct Stacks {
    cloudformation: aws_sdk_cloudformation::Client,
    lambda: aws_sdk_lambda::Client,
}

impl Stacks {
    /// Creates a client of CloudFormation and Lambda.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self {
            cloudformation: aws_sdk_cloudformation::Client::new(config),
            lambda: aws_sdk_lambda::Client::new(config),
        }
    }

    /// Returns a stack by its name or ARN, or `None` if there is none.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation fails.
    pub async fn stack(&self, name: &str) -> Result<Option<Stack>, StackError> {
        let output = self
            .cloudformation
            .describe_stacks()
            .stack_name(name)
            .send()
            .await;
        match output {
            Ok(output) => Ok(output
                .stacks
                .unwrap_or_default()
                .into_iter()
                .next()
                .map(Stack::from)),
            Err(error) => {
                let failure = AwsFailure::new("cloudformation:DescribeStacks", &error);
                if failure.is("ValidationError") && failure.to_string().contains("does not exist") {
                    return Ok(None);
                }
                Err(StackError::new(name, failure))
            }
        }
    }

    /// Returns the physical ids of a stack's resources, by their logical ids.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation fails.
    pub async fn resources(&self, stack: &str) -> Result<BTreeMap<String, String>, StackError> {
        let request = self.cloudformation.list_stack_resources().stack_name(stack);
        let mut pages = request.into_paginator().send();
        let mut resources = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                StackError::new(
                    stack,
                    AwsFailure::new("cloudformation:ListStackResources", &error),
                )
            })?;
            let page = page.stack_resource_summaries.unwrap_or_default().into_iter();
            resources.extend(page.filter_map(|resource| {
                Some((resource.logical_resource_id?, resource.physical_resource_id?))
            }));
        }
        Ok(resources)
    }

    /// Returns the template of a stack, or of one of its change sets, after its transforms.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation fails.
    pub async fn template(&self, stack: &str, change_set: Option<&str>) -> Result<Value, StackError> {
        let request = self
            .cloudformation
            .get_template()
            .template_stage(aws_sdk_cloudformation::types::TemplateStage::Processed);
        let request = request
            .stack_name(stack)
            .set_change_set_name(change_set.map(str::to_owned));
        let output = request
            .send()
            .await
            .map_err(|error| StackError::new(stack, AwsFailure::new("cloudformation:GetTemplate", &error)))?;
        let text = output.template_body.unwrap_or_default();
        // What this project deploys is JSON, and so is what transforms make of it.
        serde_json::from_str(&text).map_err(|error| StackError::Unexpected {
            subject: format!("the template of {stack}"),
            reason: format!("it is not JSON, as this project writes it: {error}"),
        })
    }

    /// Creates a change set, or finds the one that was there under this name.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation refuses it.
    pub async fn create_change_set(&self, new: &NewChangeSet) -> Result<CreatedChangeSet, StackError> {
        let parameters = new.parameters.iter().map(|(name, value)| {
            Parameter::builder()
                .parameter_key(name)
                .parameter_value(value)
                .build()
        });
        let kind = if new.creates {
            ChangeSetType::Create
        } else {
            ChangeSetType::Update
        };
        let request = self
            .cloudformation
            .create_change_set()
            .stack_name(&new.stack)
            .change_set_name(&new.name)
            .change_set_type(kind)
            .set_parameters(Some(parameters.collect()))
            .set_capabilities(Some(CAPABILITIES.to_vec()))
            .role_arn(&new.role_arn);
        let request = match &new.template {
            TemplateSource::Body(text) => request.template_body(text),
            TemplateSource::Url(url) => request.template_url(url),
        };
        let created = match request.send().await {
            Ok(output) => output.id.zip(output.stack_id),
            Err(error) => {
                let failure = AwsFailure::new("cloudformation:CreateChangeSet", &error);
                if !failure.is("AlreadyExistsException") {
                    return Err(StackError::new(&new.stack, failure));
                }
                self.change_set(&new.stack, &new.name)
                    .await?
                    .map(|change_set| (change_set.id, change_set.stack_id))
            }
        };
        let (id, stack_id) = created.ok_or_else(|| StackError::Unexpected {
            subject: new.stack.clone(),
            reason: format!("the change set {} has no ARN", new.name),
        })?;
        Ok(CreatedChangeSet { id, stack_id })
    }

    /// Returns a change set of a stack, or `None` if there is none. Both are named or given by their ARNs. A stack that
    /// was deleted is found only by its ARN.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation fails.
    pub async fn change_set(&self, stack: &str, name: &str) -> Result<Option<ChangeSet>, StackError> {
        let mut described: Option<ChangeSet> = None;
        let mut next = None;
        loop {
            let request = self.cloudformation.describe_change_set().change_set_name(name);
            let request = request.stack_name(stack);
            let output = match request.set_next_token(next.take()).send().await {
                Ok(output) => output,
                Err(error) => {
                    let failure = AwsFailure::new("cloudformation:DescribeChangeSet", &error);
                    let gone = failure.is("ChangeSetNotFound") || failure.is("ChangeSetNotFoundException");
                    // A stack that is not there has no change sets.
                    let no_stack = failure.to_string().contains("does not exist");
                    if gone || no_stack {
                        return Ok(None);
                    }
                    return Err(StackError::new(stack, failure));
                }
            };
            next.clone_from(&output.next_token);
            let page = ChangeSet::from(output);
            match &mut described {
                None => described = Some(page),
                Some(described) => described.changes.extend(page.changes),
            }
            if next.is_none() {
                return Ok(described);
            }
        }
    }

    /// Executes a change set of a stack. Returns `false` if it cannot be executed any more.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation fails.
    pub async fn execute(&self, stack: &str, change_set: &str, token: &str) -> Result<bool, StackError> {
        let request = self
            .cloudformation
            .execute_change_set()
            .stack_name(stack)
            .change_set_name(change_set)
            .client_request_token(token);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => {
                let failure = AwsFailure::new("cloudformation:ExecuteChangeSet", &error);
                let outdated = [
                    "ChangeSetNotFound",
                    "ChangeSetNotFoundException",
                    "InvalidChangeSetStatus",
                ];
                if outdated.iter().any(|code| failure.is(code)) {
                    return Ok(false);
                }
                Err(StackError::new(change_set, failure))
            }
        }
    }

    /// Deletes a change set of a stack, if it is there.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation refuses it.
    pub async fn delete_change_set(&self, stack: &str, change_set: &str) -> Result<(), StackError> {
        let request = self
            .cloudformation
            .delete_change_set()
            .stack_name(stack)
            .change_set_name(change_set);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = AwsFailure::new("cloudformation:DeleteChangeSet", &error);
                if failure.is("ChangeSetNotFound") || failure.is("ChangeSetNotFoundException") {
                    return Ok(());
                }
                Err(StackError::new(change_set, failure))
            }
        }
    }

    /// Deletes a stack whose creation was rolled back, which has nothing left but its name.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation refuses it.
    pub async fn delete(&self, stack: &str, role_arn: &str) -> Result<(), StackError> {
        let request = self
            .cloudformation
            .delete_stack()
            .stack_name(stack)
            .role_arn(role_arn);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = AwsFailure::new("cloudformation:DeleteStack", &error);
                Err(StackError::new(stack, failure))
            }
        }
    }

    /// Starts to look for what was changed in a stack by hand. Returns the detection's id.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation fails.
    pub async fn detect_drift(&self, stack: &str) -> Result<String, StackError> {
        let output = self
            .cloudformation
            .detect_stack_drift()
            .stack_name(stack)
            .send()
            .await;
        let output = output.map_err(|error| {
            StackError::new(stack, AwsFailure::new("cloudformation:DetectStackDrift", &error))
        })?;
        Ok(output.stack_drift_detection_id.unwrap_or_default())
    }

    /// Returns how far the detection of drift is.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation fails.
    pub async fn drift_status(&self, stack: &str, detection: &str) -> Result<DriftStatus, StackError> {
        let request = self.cloudformation.describe_stack_drift_detection_status();
        let output = request.stack_drift_detection_id(detection).send().await;
        let output = output.map_err(|error| {
            let operation = "cloudformation:DescribeStackDriftDetectionStatus";
            StackError::new(stack, AwsFailure::new(operation, &error))
        })?;
        Ok(DriftStatus::from(output))
    }

    /// Returns the resources of a stack that were changed or deleted by hand, by the last detection.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation fails.
    pub async fn drifts(&self, stack: &str) -> Result<Vec<ResourceDrift>, StackError> {
        use aws_sdk_cloudformation::types::StackResourceDriftStatus::{Deleted, Modified};
        let mut drifts = Vec::new();
        let mut next = None;
        loop {
            let request = self
                .cloudformation
                .describe_stack_resource_drifts()
                .stack_name(stack)
                .set_stack_resource_drift_status_filters(Some(vec![Modified, Deleted]))
                .set_next_token(next);
            let output = request.send().await.map_err(|error| {
                let operation = "cloudformation:DescribeStackResourceDrifts";
                StackError::new(stack, AwsFailure::new(operation, &error))
            })?;
            let page = output.stack_resource_drifts.unwrap_or_default().into_iter();
            drifts.extend(page.map(ResourceDrift::from));
            next = output.next_token;
            if next.is_none() {
                return Ok(drifts);
            }
        }
    }

    /// Returns the resource that has failed first in the last operation on a stack, or if none has, the stack itself,
    /// or `None` if there was no failure.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation fails.
    pub async fn first_failure(&self, stack_id: &str) -> Result<Option<FailedResource>, StackError> {
        let request = self.cloudformation.describe_stack_events().stack_name(stack_id);
        let mut events = request.into_paginator().items().send();
        let (mut first, mut of_stack) = (None, None);
        // The newest event comes first.
        while let Some(event) = events.next().await {
            let event = event.map_err(|error| {
                StackError::new(
                    stack_id,
                    AwsFailure::new("cloudformation:DescribeStackEvents", &error),
                )
            })?;
            if stack::is_begin(&event) {
                break;
            }
            let is_stack = stack::is_of_stack(&event);
            let failed = FailedResource::of(event);
            if is_stack {
                of_stack = failed.or(of_stack);
            } else {
                first = failed.or(first);
            }
        }
        match (first, of_stack) {
            // What fails before any resource is touched is an event of the operation, not of the stack.
            (None, Some(of_stack)) => Ok(self.validation(stack_id).await.or(Some(of_stack))),
            (first, _) => Ok(first),
        }
    }

    /// Returns why the last operation on a stack has failed: the first resource that did, or else what the stack says.
    ///
    /// # Errors
    /// Returns a [`StackError`] if CloudFormation fails.
    pub async fn failure_of(&self, stack: &Stack) -> Result<String, StackError> {
        let failed = self.first_failure(&stack.id).await?;
        Ok(failed.map_or_else(|| stack.reason.clone(), |failed| failed.to_string()))
    }

    /// Returns what CloudFormation has found in the last operation before it has touched a resource, if it can be
    /// asked.
    async fn validation(&self, stack_id: &str) -> Option<FailedResource> {
        let filter = EventFilter::builder().failed_events(true).build();
        let request = self.cloudformation.describe_events().stack_name(stack_id);
        let output = request.filters(filter).send().await.ok()?;
        let mut events = output.operation_events.unwrap_or_default().into_iter();
        events.find_map(|event| {
            Some(FailedResource {
                reason: event.validation_status_reason?,
                logical_id: event.logical_resource_id.unwrap_or_default(),
                resource_type: event.resource_type.unwrap_or_default(),
            })
        })
    }

    /// Returns the version that an alias of a function points to, or `None` if there is no such function or alias.
    ///
    /// # Errors
    /// Returns a [`StackError`] if Lambda fails.
    pub async fn version(&self, function: &str, alias: &str) -> Result<Option<String>, StackError> {
        let request = self.lambda.get_alias().function_name(function).name(alias);
        match request.send().await {
            Ok(output) => Ok(output.function_version),
            Err(error) => {
                let failure = AwsFailure::new("lambda:GetAlias", &error);
                if failure.is("ResourceNotFoundException") {
                    return Ok(None);
                }
                Err(StackError::new(function, failure))
            }
        }
    }
}
