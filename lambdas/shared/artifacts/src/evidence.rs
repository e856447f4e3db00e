//! The evidence of what was built of a tree: one item for each application and tree, in the table of the audit trail.

use std::collections::HashMap;

use aws::AwsFailure;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use delivery::artifact::Artifact;
use delivery::deployment::ApplicationName;
use domain::git::ObjectId;

use crate::ArtifactError;

/// The sort key of an item.
const SORT_KEY: &str = "ARTIFACT";

/// The evidence of one account.
pub trait EvidenceStore: Send + Sync {
    /// Returns what was built of a tree, or `None` if it was not built.
    fn find(
        &self,
        application: &ApplicationName,
        tree: &ObjectId,
    ) -> impl Future<Output = Result<Option<Artifact>, ArtifactError>> + Send;

    /// Stores `artifact` if there is no evidence of its tree, or if that is the evidence `replaced`. Returns whether it
    /// was stored.
    fn put(
        &self,
        artifact: &Artifact,
        replaced: Option<&Artifact>,
    ) -> impl Future<Output = Result<bool, ArtifactError>> + Send;
}

/// Evidence in DynamoDB.
#[derive(Debug, Clone)]
pub struct DynamoEvidence {
    client: Client,
    table: String,
}

impl DynamoEvidence {
    /// Creates a client of the evidence in `table`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, table: String) -> Self {
        Self {
            client: Client::new(config),
            table,
        }
    }

    fn failed(&self, item: String, source: AwsFailure) -> ArtifactError {
        let table = self.table.clone();
        if source.transient {
            ArtifactError::TableUnavailable { item, table, source }
        } else {
            ArtifactError::TableRefused { item, table, source }
        }
    }

    fn unreadable(&self, item: String, reason: &impl std::fmt::Display) -> ArtifactError {
        ArtifactError::Unreadable {
            item,
            table: self.table.clone(),
            reason: reason.to_string(),
        }
    }
}

impl EvidenceStore for DynamoEvidence {
    async fn find(
        &self,
        application: &ApplicationName,
        tree: &ObjectId,
    ) -> Result<Option<Artifact>, ArtifactError> {
        let key = partition_key(application, tree);
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(key.clone()))
            .key("sk", AttributeValue::S(SORT_KEY.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed(key.clone(), AwsFailure::new("dynamodb:GetItem", &error)))?;
        let artifact = output.item.map(serde_dynamo::from_item).transpose();
        artifact.map_err(|error| self.unreadable(key, &error))
    }

    async fn put(&self, artifact: &Artifact, replaced: Option<&Artifact>) -> Result<bool, ArtifactError> {
        let key = partition_key(&artifact.application, &artifact.tree);
        let item: Result<HashMap<_, _>, _> = serde_dynamo::to_item(artifact);
        let mut item = item.map_err(|error| self.unreadable(key.clone(), &error))?;
        item.insert("pk".to_owned(), AttributeValue::S(key.clone()));
        item.insert("sk".to_owned(), AttributeValue::S(SORT_KEY.to_owned()));
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let request = match replaced {
            None => request.condition_expression("attribute_not_exists(pk)"),
            Some(replaced) => request
                .condition_expression("provenance = :replaced")
                .expression_attribute_values(":replaced", AttributeValue::S(replaced.provenance.to_string())),
        };
        let Err(error) = request.send().await else {
            return Ok(true);
        };
        let failure = AwsFailure::new("dynamodb:PutItem", &error);
        if failure.is("ConditionalCheckFailedException") {
            return Ok(false);
        }
        Err(self.failed(key, failure))
    }
}

fn partition_key(application: &ApplicationName, tree: &ObjectId) -> String {
    format!("ARTIFACT#{application}#{tree}")
}
