//! Events in the images of items, as the table's stream has them.

use domain::aggregate::{Aggregate, RecordedEvent};

use super::{Item, event_of};
use crate::AuditError;

/// An event, and the id of what it happened to.
type IdAndEvent<A> = (<A as Aggregate>::Id, RecordedEvent<<A as Aggregate>::Event>);

/// Returns the event in an item, and what it happened to, or `None` if the item is not an event of this kind of
/// aggregate. The table has read models, numbers, leases and the like besides.
///
/// In the SDK, images have types of their own, which serde_dynamo converts.
///
/// # Errors
/// Returns [`AuditError::Unreadable`] if the item has the key of an event and is not an event.
pub fn event_of_image<A: Aggregate>(image: serde_dynamo::Item) -> Result<Option<IdAndEvent<A>>, AuditError> {
    let item = Item::from(image);
    let text = |key: &str| item.get(key).and_then(|value| value.as_s().ok());
    let (Some(pk), Some(sk)) = (text("pk"), text("sk")) else {
        return Ok(None);
    };
    let Some(id) = id_in::<A>(pk).filter(|_| sk.starts_with("EVENT#")) else {
        return Ok(None);
    };
    let pk = pk.clone();
    Ok(Some((id, event_of(item, &pk)?)))
}

/// Returns the id in a partition key of an aggregate, or `None` if it is a key of something else.
pub(super) fn id_in<A: Aggregate>(pk: &str) -> Option<A::Id> {
    pk.strip_prefix(A::KIND)?.strip_prefix('#')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use domain::event::PushEvent;
    use domain::push::Push;

    use super::super::items_of;
    use super::*;
    use crate::samples::Job;
    use crate::samples::Samples as _;

    #[test]
    fn of_all_items_of_a_push_only_the_events_are_events() {
        for (id, events) in Push::histories() {
            let mut state = None;
            let mut recorded = Vec::new();
            for event in events {
                let version = recorded.len() as u64 + 1;
                let previous = state.as_ref().and_then(Push::head).cloned();
                let event = RecordedEvent::new(version, previous, chrono::Utc::now(), event).unwrap();
                state = Some(Push::follow(state, &event).unwrap());
                recorded.push(event);
            }
            let items = items_of::<Push>(id, &recorded).unwrap();
            assert!(items.len() > recorded.len());
            let found: Vec<(_, RecordedEvent<PushEvent>)> = items
                .iter()
                .filter_map(|item| event_of_image::<Push>(item.clone().into()).unwrap())
                .collect();
            let expected: Vec<_> = recorded.into_iter().map(|event| (id, event)).collect();
            assert_eq!(found, expected);
            // They are not those of another kind of aggregate.
            let others = items
                .into_iter()
                .map(|item| event_of_image::<Job>(item.into()).unwrap());
            assert_eq!(others.flatten().count(), 0);
        }
    }

    #[test]
    fn an_item_with_the_key_of_an_event_that_is_none_is_named() {
        let key = [
            ("pk", "PUSH#87513765-0933-52f9-8a01-27081a19c5c8"),
            ("sk", "EVENT#000099"),
        ];
        let item: Item = key
            .map(|(name, value)| (name.to_owned(), super::super::text(value)))
            .into();
        let error = event_of_image::<Push>(item.into()).unwrap_err().to_string();
        assert!(error.contains("PUSH#87513765"), "{error}");
        assert_eq!(event_of_image::<Push>(Item::new().into()).unwrap(), None);
    }
}
