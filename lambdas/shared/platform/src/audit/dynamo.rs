//! The trail in DynamoDB: one table, see docs/architecture.md for its items.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use chrono::{SecondsFormat, Utc};
use domain::event::{PushEvent, RecordedEvent, SCHEMA};
use domain::push::{Push, PushId};
use domain::state::{self, PushState};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{AuditError, AuditTrail, LastPush, Number, stands};
use crate::aws::AwsFailure;

type Item = HashMap<String, AttributeValue>;

/// How often a conditional write is tried where others write too.
const ATTEMPTS: u32 = 8;

/// See the module.
#[derive(Debug, Clone)]
pub struct DynamoTrail {
    client: Client,
    table: String,
}

impl DynamoTrail {
    /// The trail in `table`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, table: String) -> Self {
        Self {
            client: Client::new(config),
            table,
        }
    }

    /// The events of a push, the first one first, read consistently.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn events(&self, push_id: PushId) -> Result<Vec<RecordedEvent>, AuditError> {
        let pk = push_key(push_id);
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :event)")
            .expression_attribute_values(":pk", text(&pk))
            .expression_attribute_values(":event", text("EVENT#"))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut events = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| self.failed(AwsFailure::new("dynamodb:Query", &error)))?;
            events.push(from_item(item, &pk)?);
        }
        Ok(events)
    }

    fn failed(&self, source: AwsFailure) -> AuditError {
        let table = self.table.clone();
        if source.transient {
            AuditError::Unavailable { table, source }
        } else {
            AuditError::Refused { table, source }
        }
    }

    /// Writes the event and the read model, or neither. `false` where somebody else has written in between.
    async fn write(&self, event: &RecordedEvent, next: &PushState) -> Result<bool, AuditError> {
        let pk = push_key(next.push_id());
        let event_sk = format!("EVENT#{:06}", event.version);
        let put_event = self.put(to_item(event, &pk, &event_sk)?);
        let put_event = put_event.condition_expression("attribute_not_exists(pk)");
        let mut model = to_item(next, &pk, "PUSH")?;
        let push = &next.push;
        let received_at = next.received_at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let repository = format!("REPOSITORY#{}#{}", push.source, push.repository);
        model.insert("gsi1pk".to_owned(), text(&repository));
        model.insert("gsi1sk".to_owned(), text(&received_at));
        model.insert("gsi2pk".to_owned(), text(&format!("STATUS#{}", next.status)));
        model.insert("gsi2sk".to_owned(), text(&received_at));
        let put_model = self.put(model);
        let put_model = if event.version == 1 {
            put_model.condition_expression("attribute_not_exists(pk)")
        } else {
            put_model
                .condition_expression("#version = :before")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":before", AttributeValue::N((event.version - 1).to_string()))
        };
        let mut request = self.client.transact_write_items();
        for put in [put_event, put_model] {
            let put = put.build().map_err(|error| unreadable(&pk, &error))?;
            request = request.transact_items(TransactWriteItem::builder().put(put).build());
        }
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled))
                    if canceled.cancellation_reasons().iter().all(|reason| {
                        matches!(
                            reason.code(),
                            None | Some("None" | "ConditionalCheckFailed" | "TransactionConflict")
                        )
                    }) =>
                {
                    Ok(false)
                }
                _ => Err(self.failed(AwsFailure::new("dynamodb:TransactWriteItems", &error))),
            },
        }
    }

    fn put(&self, item: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder().table_name(&self.table).set_item(Some(item))
    }

    async fn last_push(&self, pk: &str) -> Result<Option<LastPush>, AuditError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", text(pk))
            .key("sk", text("SEQUENCE"))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed(AwsFailure::new("dynamodb:GetItem", &error)))?;
        output.item.map(|item| from_item(item, pk)).transpose()
    }

    /// `false` where somebody else has written in between.
    async fn replace_last_push(
        &self,
        pk: &str,
        before: Option<&LastPush>,
        next: &LastPush,
    ) -> Result<bool, AuditError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(next, pk, "SEQUENCE")?));
        let put = match before {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(before) => put
                .condition_expression("#sequence = :before")
                .expression_attribute_names("#sequence", "sequence")
                .expression_attribute_values(":before", AttributeValue::N(before.sequence.to_string())),
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_dynamodb::operation::put_item::PutItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(self.failed(AwsFailure::new("dynamodb:PutItem", &error))),
        }
    }
}

impl AuditTrail for DynamoTrail {
    async fn load(&self, push_id: PushId) -> Result<Option<PushState>, AuditError> {
        Ok(state::fold(&self.events(push_id).await?)?)
    }

    async fn append(&self, state: Option<PushState>, event: PushEvent) -> Result<PushState, AuditError> {
        let mut state = state;
        for attempt in 0..ATTEMPTS {
            let recorded = RecordedEvent {
                version: state.as_ref().map_or(0, |state| state.version) + 1,
                schema: SCHEMA,
                recorded_at: Utc::now(),
                event: event.clone(),
            };
            let next = state::apply(state, &recorded)?;
            if self.write(&recorded, &next).await? {
                return Ok(next);
            }
            tokio::time::sleep(backoff(attempt)).await;
            let events = self.events(next.push_id()).await?;
            state = state::fold(&events)?;
            // Somebody else was first with the same: another run of this stage, or a write of this one whose answer
            // was lost.
            let there = usize::try_from(recorded.version - 1)
                .ok()
                .and_then(|index| events.get(index));
            if let (Some(there), Some(state)) = (there, &state)
                && there.event == event
            {
                return Ok(state.clone());
            }
        }
        Err(AuditError::Contended {
            item: state.map_or_else(|| "PUSH#".to_owned(), |state| push_key(state.push_id())),
        })
    }

    async fn number(&self, push: &Push) -> Result<Number, AuditError> {
        let pk = format!("REF#{}#{}#{}", push.source, push.repository, push.ref_name);
        for attempt in 0..ATTEMPTS {
            let last = self.last_push(&pk).await?;
            if let Some(last) = &last {
                if last.push_id == push.push_id {
                    return Ok(Number::Sequence(last.sequence));
                }
                if last.is_repeated_by(push) && stands(self.load(last.push_id).await?.as_ref()) {
                    return Ok(Number::DuplicateOf(last.push_id));
                }
            }
            let sequence = last.as_ref().map_or(1, |last| last.sequence + 1);
            let next = LastPush::new(push, sequence);
            if self.replace_last_push(&pk, last.as_ref(), &next).await? {
                return Ok(Number::Sequence(sequence));
            }
            tokio::time::sleep(backoff(attempt)).await;
        }
        Err(AuditError::Contended { item: pk })
    }
}

fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(20 << attempt)
}

fn push_key(push_id: PushId) -> String {
    format!("PUSH#{push_id}")
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

fn unreadable(item: &str, error: &impl std::fmt::Display) -> AuditError {
    AuditError::Unreadable {
        item: item.to_owned(),
        reason: error.to_string(),
    }
}
