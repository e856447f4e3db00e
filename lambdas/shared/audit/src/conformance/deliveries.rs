//! Tests that every trail that keeps what was delivered must pass.

use domain::delivered::Delivery;
use domain::event::PushEvent;
use domain::push::Push;

use crate::samples::Samples;
use crate::{Deliveries, EventStore, samples};

/// What a push has delivered is there from its closing event on, and stays when another execution takes over the push.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn check_deliveries(trail: &(impl EventStore<Push> + Deliveries)) {
    let mut closed_as_delivered = 0;
    for (push_id, events) in Push::histories() {
        let mut expected = None;
        let (mut state, mut last) = (None, None);
        for event in events {
            assert_eq!(trail.delivered(push_id).await.unwrap(), expected);
            state = trail.try_append(state, event.clone()).await.unwrap();
            expected = Delivery::by(&event, state.as_ref().unwrap()).or(expected);
            last = Some(event);
        }
        assert_eq!(trail.delivered(push_id).await.unwrap(), expected);
        let Some(PushEvent::PushDelivered(zip)) = last else {
            continue;
        };
        closed_as_delivered += 1;
        let delivered = expected.unwrap();
        assert_eq!((delivered.push.push_id, &delivered.zip), (push_id, &zip));
        trail.try_append(state, samples::retried("e9")).await.unwrap();
        assert_eq!(trail.delivered(push_id).await.unwrap(), Some(delivered));
    }
    assert!(closed_as_delivered > 0);
}
