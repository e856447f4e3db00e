//! Whether the read models in the table, and the records of what was delivered, are what their events fold to, and how
//! they become so again.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::Utc;
use domain::aggregate::{Aggregate, RecordedEvent};

use super::images::id_in;
use super::{AwsFailure, DELIVERED, DynamoTrail, Item, delivered_item, delivered_key, read_model, text};
use crate::error::partition_key;
use crate::{AuditError, EventStore, MAX_ATTEMPTS, backoff};

/// How a read model, or the record of what was delivered, is not what the events fold to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// There are events, and no read model.
    Missing,
    /// There is a read model, and no event.
    Added,
    /// These attributes have other values, or are missing, or should not be there.
    Attributes(Vec<String>),
    /// The record of what was delivered is missing, or is another, or should not be there.
    Delivered,
    /// The trail has expired, so DynamoDB may have deleted some of its items and not yet the others.
    Expired,
    /// The events are not those of one trail, because one is missing, was added or was changed.
    Events(String),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => formatter.write_str("the read model is missing"),
            Self::Added => formatter.write_str("the read model has no events"),
            Self::Attributes(names) => {
                write!(formatter, "the read model differs in {}", names.join(", "))
            }
            Self::Delivered => {
                formatter.write_str("the record of what was delivered is not what the events say")
            }
            Self::Expired => formatter.write_str("the trail has expired"),
            Self::Events(reason) => write!(formatter, "the events do not follow each other: {reason}"),
        }
    }
}

/// Where the reading of the table goes on.
#[derive(Debug, Clone)]
pub struct Continuation(HashMap<String, AttributeValue>);

impl<A: Aggregate> DynamoTrail<A> {
    /// Returns the ids in a part of the table, in no order, and where the next part begins, or `None` after the last
    /// part. One at the border of two parts may be the last of one and the first of the next.
    ///
    /// This reads everything that there is, so it is nothing to wait for: [`crate::StateIndex`] finds what people ask
    /// for.
    ///
    /// # Errors
    /// Returns an error if the table cannot be read.
    pub async fn ids(
        &self,
        from: Option<Continuation>,
    ) -> Result<(Vec<A::Id>, Option<Continuation>), AuditError> {
        let scan = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression("begins_with(pk, :kind) AND (sk = :model OR sk = :first)")
            .expression_attribute_values(":kind", text(&format!("{}#", A::KIND)))
            .expression_attribute_values(":model", text(A::KIND))
            .expression_attribute_values(":first", text("EVENT#000001"))
            .projection_expression("pk")
            .set_exclusive_start_key(from.map(|from| from.0));
        let read = scan.send().await;
        let read = read.map_err(|error| self.failed(AwsFailure::new("dynamodb:Scan", &error)))?;
        let mut ids = Vec::new();
        for item in read.items() {
            let pk = item.get("pk").and_then(|pk| pk.as_s().ok());
            let id = pk.and_then(|pk| id_in::<A>(pk));
            // The first event and the read model are next to each other.
            if let Some(id) = id
                && ids.last() != Some(&id)
            {
                ids.push(id);
            }
        }
        let next = read.last_evaluated_key.map(Continuation);
        Ok((ids, next))
    }

    /// Compares the read model and the record of what was delivered with the events, and returns how they differ, or
    /// `None` if they do not.
    ///
    /// # Errors
    /// Returns an error if the table cannot be read.
    pub async fn compare(&self, id: A::Id) -> Result<Option<Difference>, AuditError> {
        Ok(self.compare_events(id).await?.0)
    }

    /// Compares as [`DynamoTrail::compare`] does, and returns the events too, or none if they cannot be read.
    ///
    /// # Errors
    /// Returns an error if the table cannot be read.
    pub async fn compare_events(
        &self,
        id: A::Id,
    ) -> Result<(Option<Difference>, Vec<RecordedEvent<A::Event>>), AuditError> {
        let (stored, events, folded) = self.at_rest(id).await?;
        Ok((stored.difference_to(&folded), events))
    }

    /// Writes the read model and the record of what was delivered as the events have them, if they differ. Returns how
    /// they differed. Events are never written, so a [`Difference::Events`] stays, and so does a read model without
    /// events.
    ///
    /// # Errors
    /// Returns [`AuditError::Contended`] if an event was appended at the same time, which has written the read model:
    /// compare again. Returns other errors if the table cannot be read or written.
    pub async fn rebuild(&self, id: A::Id) -> Result<Option<Difference>, AuditError> {
        let (mut stored, _, folded) = self.at_rest(id).await?;
        let difference = stored.difference_to(&folded);
        let Some(folded) = folded.ok().filter(|_| difference != Some(Difference::Expired)) else {
            return Ok(difference);
        };
        if let Some(delivered) = &folded.delivered
            && stored.delivered.as_ref() != Some(delivered)
        {
            self.put_always(delivered.clone()).await?;
        }
        if let Some(model) = folded.model
            && stored.model.as_ref() != Some(&model)
        {
            let version = stored.model.as_mut().and_then(|stored| stored.remove("version"));
            self.put_model(id, model, version).await?;
        }
        Ok(difference)
    }

    /// Replaces the read model, if the stored one has this version.
    async fn put_model(
        &self,
        id: A::Id,
        model: Item,
        version: Option<AttributeValue>,
    ) -> Result<(), AuditError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(model));
        let put = match version {
            None => put.condition_expression("attribute_not_exists(#version)"),
            Some(version) => put
                .condition_expression("#version = :version")
                .expression_attribute_values(":version", version),
        };
        let put = put.expression_attribute_names("#version", "version");
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = AwsFailure::new("dynamodb:PutItem", &error);
                if failure.is("ConditionalCheckFailedException") {
                    return Err(AuditError::contended::<A>(id));
                }
                Err(self.failed(failure))
            }
        }
    }

    /// Returns the items of an aggregate, its events, and the items that they fold to or why they do not fold. Nothing
    /// was appended between the reads.
    async fn at_rest(&self, id: A::Id) -> Result<AtRest<A>, AuditError> {
        let pk = partition_key::<A>(id);
        let mut model = self.raw(&pk, A::KIND).await?;
        for attempt in 0..MAX_ATTEMPTS {
            let (events, folded) = match self.events(id).await {
                Ok(events) => {
                    let folded = Items::of::<A>(&events, &pk).map_err(|error| error.to_string());
                    (events, folded)
                }
                Err(error @ AuditError::Unreadable { .. }) => (Vec::new(), Err(error.to_string())),
                Err(error) => return Err(error),
            };
            let delivered = self.raw(&delivered_key(id), DELIVERED).await?;
            let again = self.raw(&pk, A::KIND).await?;
            if again == model {
                let stored = Items { model, delivered };
                return Ok((stored, events, folded));
            }
            model = again;
            tokio::time::sleep(backoff(attempt)).await;
        }
        Err(AuditError::contended::<A>(id))
    }
}

/// The items of an aggregate, its events, and the items that they fold to or why they do not fold.
type AtRest<A> = (
    Items,
    Vec<RecordedEvent<<A as Aggregate>::Event>>,
    Result<Items, String>,
);

/// What the table has of an aggregate besides its events.
#[derive(Default)]
pub(super) struct Items {
    /// The read model.
    pub(super) model: Option<Item>,
    /// What was delivered.
    pub(super) delivered: Option<Item>,
}

impl Items {
    /// Returns the items that these events fold to.
    pub(super) fn of<A: Aggregate>(events: &[RecordedEvent<A::Event>], pk: &str) -> Result<Self, AuditError> {
        let (mut state, mut delivered) = (None, None);
        for recorded in events {
            let next = A::follow(state, recorded)?;
            if let Some(last) = A::delivered(&recorded.event, &next) {
                delivered = Some(delivered_item::<A>(A::id(&next), &last)?);
            }
            state = Some(next);
        }
        Ok(Self {
            model: state.map(|state| read_model::<A>(&state, pk)).transpose()?,
            delivered,
        })
    }

    /// Returns whether DynamoDB may have deleted some items of the trail.
    fn have_expired_by(&self, now: i64) -> bool {
        let items = self.model.iter().chain(&self.delivered);
        let mut times = items.filter_map(|item| item.get("expires_at")?.as_n().ok()?.parse::<i64>().ok());
        times.any(|expires_at| expires_at <= now)
    }

    /// Returns how these items differ from those that the events fold to.
    fn difference_to(&self, folded: &Result<Self, String>) -> Option<Difference> {
        let now = Utc::now().timestamp();
        let is_over = |items: &Self| items.have_expired_by(now);
        if is_over(self) || folded.as_ref().is_ok_and(is_over) {
            return Some(Difference::Expired);
        }
        let folded = match folded {
            Ok(folded) => folded,
            Err(reason) => return Some(Difference::Events(reason.clone())),
        };
        match (&self.model, &folded.model) {
            (None, Some(_)) => return Some(Difference::Missing),
            (Some(_), None) => return Some(Difference::Added),
            (Some(stored), Some(model)) if stored != model => {
                return Some(Difference::Attributes(differing(stored, model)));
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        (self.delivered != folded.delivered).then_some(Difference::Delivered)
    }
}

/// Returns the names of the attributes that two items do not have alike.
fn differing(one: &Item, other: &Item) -> Vec<String> {
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let names = names
        .into_iter()
        .filter(|name| one.get(*name) != other.get(*name));
    names.cloned().collect()
}
