//! All items of an aggregate at once.

use domain::aggregate::{Aggregate, RecordedEvent};

use super::read_models::Items;
use super::{Item, to_item};
use crate::AuditError;
use crate::error::partition_key;

/// Returns all items that an aggregate with these events has in the table, for a benchmark that fills a table without
/// appending event after event.
///
/// # Errors
/// Returns an error if the events do not follow each other.
pub fn items_of<A: Aggregate>(
    id: A::Id,
    events: &[RecordedEvent<A::Event>],
) -> Result<Vec<Item>, AuditError> {
    let pk = partition_key::<A>(id);
    let Items { model, delivered } = Items::of::<A>(events, &pk)?;
    let events = events.iter().map(|event| {
        let sk = format!("EVENT#{:06}", event.version);
        to_item(event, &pk, &sk)
    });
    let folded = model.into_iter().chain(delivered).map(Ok);
    events.chain(folded).collect()
}
