//! Whether the read models in the table are what their events fold to, and how they become so again.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::aggregate::Aggregate;

use super::{AwsFailure, DynamoTrail, Item, read_model, text};
use crate::error::partition_key;
use crate::{AuditError, EventStore, MAX_ATTEMPTS, backoff};

/// A read model that is not what its events fold to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// There are events, and no read model.
    Missing,
    /// There is a read model, and no event.
    Added,
    /// These attributes have other values, or are missing, or should not be there.
    Attributes(Vec<String>),
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
            Self::Events(reason) => write!(formatter, "the events do not follow each other: {reason}"),
        }
    }
}

/// Where the reading of the table goes on.
#[derive(Debug, Clone)]
pub struct Continuation(HashMap<String, AttributeValue>);

impl<A: Aggregate> DynamoTrail<A> {
    /// Returns the ids in a part of the table, in no order, and where the next part begins, or `None` after the last part.
    /// One at the border of two parts may be the last of one and the first of the next.
    ///
    /// This reads everything that there is, so it is nothing to wait for: [`crate::StateIndex`] finds what people ask for.
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
            let id = pk.and_then(|pk| pk.strip_prefix(A::KIND)?.strip_prefix('#'));
            let id = id.and_then(|id| A::Id::from_str(id).ok());
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

    /// Compares the read model with the events, and returns how it differs, or `None` if it does not.
    ///
    /// # Errors
    /// Returns an error if the table cannot be read.
    pub async fn compare(&self, id: A::Id) -> Result<Option<Difference>, AuditError> {
        Ok(self.examine(id).await?.difference)
    }

    /// Writes the read model as the events have it, if it differs. Returns how it differed. Events are never written, so a
    /// [`Difference::Events`] stays, and so does a read model without events.
    ///
    /// # Errors
    /// Returns [`AuditError::Contended`] if an event was appended at the same time, which has written the read model: compare
    /// again. Returns other errors if the table cannot be read or written.
    pub async fn rebuild(&self, id: A::Id) -> Result<Option<Difference>, AuditError> {
        let examined = self.examine(id).await?;
        let Some(model) = examined.model.filter(|_| examined.difference.is_some()) else {
            return Ok(examined.difference);
        };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(model));
        let put = match examined.stored.and_then(|mut stored| stored.remove("version")) {
            None => put.condition_expression("attribute_not_exists(#version)"),
            Some(version) => put
                .condition_expression("#version = :version")
                .expression_attribute_values(":version", version),
        };
        let put = put.expression_attribute_names("#version", "version");
        match put.send().await {
            Ok(_) => Ok(examined.difference),
            Err(error) => {
                let failure = AwsFailure::new("dynamodb:PutItem", &error);
                if failure.is("ConditionalCheckFailedException") {
                    return Err(AuditError::contended::<A>(id));
                }
                Err(self.failed(failure))
            }
        }
    }

    async fn examine(&self, id: A::Id) -> Result<Examined, AuditError> {
        let pk = partition_key::<A>(id);
        let (stored, folded) = self.at_rest(id, &pk).await?;
        let folded = match folded {
            Ok(folded) => folded,
            Err(reason) => {
                return Ok(Examined {
                    stored,
                    model: None,
                    difference: Some(Difference::Events(reason)),
                });
            }
        };
        let model = folded.map(|state| read_model::<A>(&state, &pk)).transpose()?;
        let difference = match (&stored, &model) {
            (None, None) => None,
            (None, Some(_)) => Some(Difference::Missing),
            (Some(_), None) => Some(Difference::Added),
            (Some(stored), Some(model)) => {
                let names = differing(stored, model);
                (!names.is_empty()).then_some(Difference::Attributes(names))
            }
        };
        Ok(Examined {
            stored,
            model,
            difference,
        })
    }

    /// Returns the read model, and what the events fold to or why they do not. Nothing was appended between the two.
    async fn at_rest(&self, id: A::Id, pk: &str) -> Result<(Option<Item>, Folded<A>), AuditError> {
        let mut stored = self.raw(pk, A::KIND).await?;
        for attempt in 0..MAX_ATTEMPTS {
            let folded = match self.load(id).await {
                Ok(folded) => Ok(folded),
                Err(error @ (AuditError::Illegal(_) | AuditError::Unreadable { .. })) => {
                    Err(error.to_string())
                }
                Err(error) => return Err(error),
            };
            let again = self.raw(pk, A::KIND).await?;
            if again == stored {
                return Ok((stored, folded));
            }
            stored = again;
            tokio::time::sleep(backoff(attempt)).await;
        }
        Err(AuditError::contended::<A>(id))
    }
}

type Folded<A> = Result<Option<<A as Aggregate>::State>, String>;

/// A read model that was compared with the events.
struct Examined {
    /// As it is in the table.
    stored: Option<Item>,
    /// As the events have it.
    model: Option<Item>,
    difference: Option<Difference>,
}

/// Returns the names of the attributes that two items do not have alike.
fn differing(one: &Item, other: &Item) -> Vec<String> {
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let names = names
        .into_iter()
        .filter(|name| one.get(*name) != other.get(*name));
    names.cloned().collect()
}
