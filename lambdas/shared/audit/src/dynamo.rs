//! The trail in DynamoDB, in one table, whose items docs/architecture.md describes.

mod images;
#[cfg(any(test, feature = "conformance"))]
mod items;
mod read_models;

use std::collections::HashMap;
use std::marker::PhantomData;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, Put, TransactWriteItem};
use chrono::{NaiveDate, SecondsFormat, TimeDelta};
use delivery::deployment::{Deployment, DeploymentId};
use delivery::slot::{ApprovalToken, Release, Slot, SlotKey};
use domain::aggregate::{Aggregate, RecordedEvent};
use domain::delivered::Delivery;
use domain::destination::Destination;
use domain::digest::Digest;
use domain::git::RepositoryPath;
use domain::index::Index;
use domain::push::{Push, PushId, SourceName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::checkpoints::{Checkpoints, StoredCheckpoint};
use super::error::partition_key;
use super::{
    AuditError, Deliveries, DeploymentTrail, DestinationRecord, EventStore, LastPush, PushTrail, RefKey,
    SortKeys, SourceRef, SourceRefs, StateIndex,
};
use aws::AwsFailure;

pub use images::event_of_image;
#[cfg(any(test, feature = "conformance"))]
pub use items::items_of;
pub use read_models::{Continuation, Difference};

/// The sort key of what a push has delivered, and how its partition key begins.
const DELIVERED: &str = "DELIVERED";

/// The sort key of how the next sweep of a source goes on.
const SWEEP: &str = "SWEEP";

type Item = HashMap<String, AttributeValue>;

/// The trail in DynamoDB, of pushes or of another kind of aggregate.
#[derive(Debug, Clone)]
pub struct DynamoTrail<A = Push> {
    client: Client,
    table: String,
    retention: Option<TimeDelta>,
    aggregate: PhantomData<A>,
}

impl<A> DynamoTrail<A> {
    /// Creates a client of the trail in `table`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, table: String) -> Self {
        Self {
            client: Client::new(config),
            table,
            retention: None,
            aggregate: PhantomData,
        }
    }

    /// Lets trails that begin from now on be deleted after so many days, or keeps them for ever if it is 0.
    #[must_use]
    pub fn keeping(self, days: u32) -> Self {
        let retention = (days > 0).then(|| TimeDelta::days(days.into()));
        Self { retention, ..self }
    }

    /// Returns the trail of another kind of aggregate in the same table.
    #[must_use]
    pub fn of<B>(&self) -> DynamoTrail<B> {
        DynamoTrail {
            client: self.client.clone(),
            table: self.table.clone(),
            retention: self.retention,
            aggregate: PhantomData,
        }
    }

    fn failed(&self, source: AwsFailure) -> AuditError {
        let table = self.table.clone();
        if source.transient {
            AuditError::Unavailable { table, source }
        } else {
            AuditError::Refused { table, source }
        }
    }

    fn put(&self, item: Item) -> PutBuilder {
        Put::builder().table_name(&self.table).set_item(Some(item))
    }

    async fn item<T: DeserializeOwned>(&self, pk: &str, sk: &str) -> Result<Option<T>, AuditError> {
        let item = self.raw(pk, sk).await?;
        item.map(|item| from_item(item, pk)).transpose()
    }

    /// Returns an item as it is in the table. The read is consistent.
    async fn raw(&self, pk: &str, sk: &str) -> Result<Option<Item>, AuditError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", text(pk))
            .key("sk", text(sk))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed(AwsFailure::new("dynamodb:GetItem", &error)))?;
        Ok(output.item)
    }

    /// Returns all items that a query of the table finds.
    async fn query_all(&self, query: QueryFluentBuilder) -> Result<Vec<Item>, AuditError> {
        let pages = query.table_name(&self.table).into_paginator().items().send();
        let items: Result<Vec<Item>, _> = pages.collect().await;
        items.map_err(|error| self.failed(AwsFailure::new("dynamodb:Query", &error)))
    }

    /// Writes an item, whether or not it exists.
    async fn put_always(&self, item: Item) -> Result<(), AuditError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let put = put.send().await;
        put.map_err(|error| self.failed(AwsFailure::new("dynamodb:PutItem", &error)))?;
        Ok(())
    }

    /// Writes all of these items or none of them. Returns `false` if a condition does not hold, or if others write to
    /// the same items. `what` is for messages.
    async fn put_all(
        &self,
        what: &str,
        puts: impl IntoIterator<Item = PutBuilder>,
    ) -> Result<bool, AuditError> {
        let mut request = self.client.transact_write_items();
        for put in puts {
            let put = put.build().map_err(|error| unreadable(what, &error))?;
            request = request.transact_items(TransactWriteItem::builder().put(put).build());
        }
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => {
                let failure = AwsFailure::new("dynamodb:TransactWriteItems", &error);
                let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
                    error.as_service_error()
                else {
                    return Err(self.failed(failure));
                };
                let reasons = canceled.cancellation_reasons();
                if is_conflict(reasons) {
                    return Ok(false);
                }
                Err(self.failed(failure.or_transient(is_throttled(reasons))))
            }
        }
    }

    /// Writes an item if the number `field` of the existing item is `before`, or if `before` is `None` and there is no
    /// item. Returns `false` otherwise.
    async fn put_if(&self, item: Item, field: &str, before: Option<u64>) -> Result<bool, AuditError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let put: PutItemFluentBuilder = match before {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(before) => put
                .condition_expression("#field = :before")
                .expression_attribute_names("#field", field)
                .expression_attribute_values(":before", AttributeValue::N(before.to_string())),
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => {
                let failure = AwsFailure::new("dynamodb:PutItem", &error);
                if failure.is("ConditionalCheckFailedException") || failure.is("TransactionConflictException")
                {
                    return Ok(false);
                }
                Err(self.failed(failure))
            }
        }
    }
}

impl<A: Aggregate> StateIndex<A> for DynamoTrail<A> {
    async fn find(
        &self,
        index: Index,
        partition: &str,
        sort: SortKeys<'_>,
        limit: usize,
    ) -> Result<Vec<A::State>, AuditError> {
        let [pk, sk] = index.attributes();
        let condition = match sort {
            SortKeys::All => String::new(),
            SortKeys::Before(_) => format!(" AND {sk} < :sort"),
            SortKeys::StartingWith(_) => format!(" AND begins_with({sk}, :sort)"),
        };
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index.name())
            .key_condition_expression(format!("{pk} = :partition{condition}"))
            .expression_attribute_values(":partition", text(partition))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let query = match sort {
            SortKeys::All => query,
            SortKeys::Before(key) | SortKeys::StartingWith(key) => {
                query.expression_attribute_values(":sort", text(key))
            }
        };
        let mut items = query.into_paginator().items().send();
        let mut states = Vec::new();
        while states.len() < limit
            && let Some(item) = items.next().await
        {
            let item = item.map_err(|error| self.failed(AwsFailure::new("dynamodb:Query", &error)))?;
            states.push(from_item(item, partition)?);
        }
        Ok(states)
    }
}

/// Returns whether a transaction was canceled only because others write to the same items.
fn is_conflict(reasons: &[CancellationReason]) -> bool {
    let mut codes = reasons.iter().filter_map(CancellationReason::code);
    codes.all(|code| matches!(code, "None" | "ConditionalCheckFailed" | "TransactionConflict"))
}

/// Returns whether a transaction was canceled because the table or one of its indexes is throttled.
fn is_throttled(reasons: &[CancellationReason]) -> bool {
    let mut codes = reasons.iter().filter_map(CancellationReason::code);
    codes.any(|code| matches!(code, "ThrottlingError" | "ProvisionedThroughputExceeded"))
}

impl<A: Aggregate> EventStore<A> for DynamoTrail<A> {
    async fn events(&self, id: A::Id) -> Result<Vec<RecordedEvent<A::Event>>, AuditError> {
        let pk = partition_key::<A>(id);
        let query = self
            .client
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :event)")
            .expression_attribute_values(":pk", text(&pk))
            .expression_attribute_values(":event", text("EVENT#"))
            .consistent_read(true);
        let items = self.query_all(query).await?.into_iter();
        items.map(|item| event_of(item, &pk)).collect()
    }

    fn retention(&self) -> Option<TimeDelta> {
        self.retention
    }

    async fn put_event(&self, event: &RecordedEvent<A::Event>, next: &A::State) -> Result<bool, AuditError> {
        let pk = partition_key::<A>(A::id(next));
        let event_sk = format!("EVENT#{:06}", event.version);
        let put_event = self.put(to_item(event, &pk, &event_sk)?);
        let put_event = put_event.condition_expression("attribute_not_exists(pk)");
        let put_model = self.put(read_model::<A>(next, &pk)?);
        let put_model = if event.version == 1 {
            put_model.condition_expression("attribute_not_exists(pk)")
        } else {
            put_model
                .condition_expression("#version = :before")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":before", AttributeValue::N((event.version - 1).to_string()))
        };
        let delivered = A::delivered(&event.event, next);
        let put_delivered = delivered
            .map(|delivered| delivered_item::<A>(A::id(next), &delivered))
            .transpose()?;
        let put_delivered = put_delivered.map(|item| self.put(item));
        let puts = [put_event, put_model].into_iter().chain(put_delivered);
        self.put_all(&pk, puts).await
    }
}

impl Deliveries for DynamoTrail<Push> {
    async fn delivered(&self, push_id: PushId) -> Result<Option<Delivery>, AuditError> {
        self.item(&delivered_key(push_id), DELIVERED).await
    }
}

/// The partition key of all checkpoints, of which there is one a day.
const CHECKPOINT: &str = "CHECKPOINT";

impl Checkpoints for DynamoTrail<Push> {
    async fn put_checkpoint(&self, checkpoint: &StoredCheckpoint) -> Result<(), AuditError> {
        let sk = format!("{}#{:04}", checkpoint.day, checkpoint.part);
        self.put_always(to_item(checkpoint, CHECKPOINT, &sk)?).await
    }

    async fn checkpoints(&self, since: NaiveDate) -> Result<Vec<StoredCheckpoint>, AuditError> {
        let query = self
            .client
            .query()
            .key_condition_expression("pk = :pk AND sk >= :since")
            .expression_attribute_values(":pk", text(CHECKPOINT))
            .expression_attribute_values(":since", text(&since.to_string()))
            .consistent_read(true);
        let items = self.query_all(query).await?.into_iter();
        items.map(|item| from_item(item, CHECKPOINT)).collect()
    }
}

impl PushTrail for DynamoTrail<Push> {
    async fn last_push(&self, key: &RefKey) -> Result<Option<LastPush>, AuditError> {
        self.item(&key.to_string(), "SEQUENCE").await
    }

    async fn replace_last_push(
        &self,
        key: &RefKey,
        before: Option<&LastPush>,
        next: &LastPush,
    ) -> Result<bool, AuditError> {
        let pk = key.to_string();
        let put = self.put(to_item(next, &pk, "SEQUENCE")?);
        let put = match before {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(before) => put
                .condition_expression("#field = :before")
                .expression_attribute_names("#field", "sequence")
                .expression_attribute_values(":before", AttributeValue::N(before.sequence.to_string())),
        };
        // A sort key has at most 1,024 bytes, which the names of a repository and a ref may exceed.
        let sk = format!("REF#{}", Digest::of(&pk));
        let of_source = to_item(&SourceRef::of(key, next), &source_key(&key.source), &sk)?;
        self.put_all(&pk, [put, self.put(of_source)]).await
    }

    async fn destination(&self, destination: &Destination) -> Result<Option<DestinationRecord>, AuditError> {
        self.item(&destination_key(destination), "DESTINATION").await
    }

    async fn put_destination(
        &self,
        destination: &Destination,
        next: &DestinationRecord,
    ) -> Result<bool, AuditError> {
        let item = to_item(next, &destination_key(destination), "DESTINATION")?;
        let before = next.version - 1;
        self.put_if(item, "version", (before > 0).then_some(before)).await
    }
}

impl SourceRefs for DynamoTrail<Push> {
    async fn refs(&self, source: &SourceName) -> Result<Vec<SourceRef>, AuditError> {
        let pk = source_key(source);
        let query = self
            .client
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :ref)")
            .expression_attribute_values(":pk", text(&pk))
            .expression_attribute_values(":ref", text("REF#"));
        let items = self.query_all(query).await?.into_iter();
        items.map(|item| from_item(item, &pk)).collect()
    }

    async fn sweep_begins_with(&self, source: &SourceName) -> Result<Option<RepositoryPath>, AuditError> {
        let next: Option<NextSweep> = self.item(&source_key(source), SWEEP).await?;
        Ok(next.and_then(|next| next.begins_with))
    }

    async fn put_sweep_begins_with(
        &self,
        source: &SourceName,
        repository: Option<&RepositoryPath>,
    ) -> Result<(), AuditError> {
        let next = NextSweep {
            begins_with: repository.cloned(),
        };
        self.put_always(to_item(&next, &source_key(source), SWEEP)?).await
    }
}

/// How the next sweep of a source goes on.
#[derive(Serialize, Deserialize)]
struct NextSweep {
    begins_with: Option<RepositoryPath>,
}

impl DeploymentTrail for DynamoTrail<Deployment> {
    async fn slot(&self, key: &SlotKey) -> Result<Slot, AuditError> {
        Ok(self.item(&slot_key(key), "SLOT").await?.unwrap_or_default())
    }

    async fn put_slot(&self, key: &SlotKey, next: &Slot) -> Result<bool, AuditError> {
        let item = to_item(next, &slot_key(key), "SLOT")?;
        let before = next.version - 1;
        self.put_if(item, "version", (before > 0).then_some(before)).await
    }

    async fn put_release(&self, key: &SlotKey, release: &Release) -> Result<(), AuditError> {
        let released_at = release.released_at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let item = to_item(release, &environment_key(key), &format!("RELEASED#{released_at}"))?;
        self.put_always(item).await
    }

    async fn releases(&self, key: &SlotKey, limit: i32) -> Result<Vec<Release>, AuditError> {
        let pk = environment_key(key);
        let response = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :released)")
            .expression_attribute_values(":pk", text(&pk))
            .expression_attribute_values(":released", text("RELEASED#"))
            .scan_index_forward(false)
            .limit(limit)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed(AwsFailure::new("dynamodb:Query", &error)))?;
        let items = response.items.unwrap_or_default();
        items.into_iter().map(|item| from_item(item, &pk)).collect()
    }

    async fn put_approval(&self, token: &ApprovalToken) -> Result<(), AuditError> {
        let item = to_item(token, &approval_key(token.deployment_id), "APPROVAL")?;
        self.put_always(item).await
    }

    async fn approval(&self, deployment_id: DeploymentId) -> Result<Option<ApprovalToken>, AuditError> {
        self.item(&approval_key(deployment_id), "APPROVAL").await
    }
}

/// Returns the item of a read model, with the keys of the indexes.
fn read_model<A: Aggregate>(state: &A::State, pk: &str) -> Result<Item, AuditError> {
    let mut model = to_item(state, pk, A::KIND)?;
    for key in A::index_keys(state) {
        let [partition, sort] = key.index.attributes();
        model.insert(partition.to_owned(), AttributeValue::S(key.partition));
        model.insert(sort.to_owned(), AttributeValue::S(key.sort));
    }
    Ok(model)
}

fn delivered_item<A: Aggregate>(id: A::Id, delivered: &A::Delivery) -> Result<Item, AuditError> {
    to_item(delivered, &delivered_key(id), DELIVERED)
}

fn delivered_key(id: impl std::fmt::Display) -> String {
    format!("{DELIVERED}#{id}")
}

fn source_key(source: &SourceName) -> String {
    format!("SOURCE#{source}")
}

fn slot_key(key: &SlotKey) -> String {
    format!("SLOT#{key}")
}

fn environment_key(key: &SlotKey) -> String {
    format!("ENVIRONMENT#{key}")
}

fn approval_key(deployment_id: DeploymentId) -> String {
    format!("APPROVAL#{deployment_id}")
}

fn destination_key(destination: &Destination) -> String {
    format!("DESTINATION#{}#{}", destination.bucket, destination.key)
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn to_item(value: &impl Serialize, pk: &str, sk: &str) -> Result<Item, AuditError> {
    let mut item: Item = serde_dynamo::to_item(value).map_err(|error| unreadable(pk, &error))?;
    item.insert("pk".to_owned(), text(pk));
    item.insert("sk".to_owned(), text(sk));
    Ok(item)
}

fn from_item<T: DeserializeOwned>(item: Item, pk: &str) -> Result<T, AuditError> {
    serde_dynamo::from_item(item).map_err(|error| unreadable(pk, &error))
}

/// Returns the event of an item, without the item's key, which is not part of the event and of its digest.
fn event_of<E: DeserializeOwned>(mut item: Item, pk: &str) -> Result<RecordedEvent<E>, AuditError> {
    for key in ["pk", "sk"] {
        item.remove(key);
    }
    from_item(item, pk)
}

fn unreadable(item: &str, error: &impl std::fmt::Display) -> AuditError {
    AuditError::Unreadable {
        item: item.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use delivery::event::DeploymentEvent;
    use domain::event::PushEvent;

    use super::*;

    fn assert_comes_back<E>(events: Vec<RecordedEvent<E>>)
    where
        E: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        assert!(!events.is_empty());
        for event in events {
            let item = to_item(&event, "PUSH#1", "EVENT#000001").unwrap();
            assert_eq!(event_of::<E>(item, "PUSH#1").unwrap(), event);
        }
    }

    /// The digest that is computed when an event is written is the one of what is read.
    #[test]
    fn events_of_every_kind_come_back_from_items_with_the_same_digest() {
        let of_pushes: Vec<RecordedEvent<PushEvent>> =
            serde_json::from_str(include_str!("../../domain/tests/events.json")).unwrap();
        assert_comes_back(of_pushes);
        let of_deployments: Vec<Vec<RecordedEvent<DeploymentEvent>>> =
            serde_json::from_str(include_str!("../../delivery/tests/events.json")).unwrap();
        assert_comes_back(of_deployments.into_iter().flatten().collect());
    }
}
