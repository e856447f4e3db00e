//! The lease of a destination, which allows one writer at a time.
//!
//! S3's conditional write compares entity tags, and equal bytes have equal tags. So it would miss that a ref was moved
//! away and back between a writer's look at the destination and its write. A writer therefore holds the destination's
//! lease for that time; the condition of the write guards against writers without a lease.

use chrono::{DateTime, TimeDelta, Utc};
use domain::destination::Destination;
use domain::order::DeliveredPush;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AuditError, MAX_ATTEMPTS, PushTrail, backoff};

/// The longest time for which a lease is held, in seconds. It is longer than a function may run (Lambda allows 900), so
/// that a holder whose lease has expired no longer runs.
const LEASE_SECONDS: i64 = 960;

/// The record of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationRecord {
    /// How often the record was written.
    pub version: u64,
    /// The lease, or `None` if it is free.
    pub lease: Option<Lease>,
    /// The last push that was delivered there.
    pub last: Option<DeliveredPush>,
}

/// The right to write to a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The id of the holder, which differs each time that the lease is acquired.
    pub holder: Uuid,
    /// When it expires, unless it is released before.
    pub until: DateTime<Utc>,
}

/// See [`PushTrail::acquire`].
pub(super) async fn acquire(
    trail: &(impl PushTrail + ?Sized),
    destination: &Destination,
) -> Result<DestinationRecord, AuditError> {
    let holder = Uuid::new_v4();
    let mut held_until = None;
    // The last round only reads what the last attempt has written.
    for attempt in 0..=MAX_ATTEMPTS {
        let record = trail.destination(destination).await?;
        let now = Utc::now();
        let held = record.as_ref().and_then(|record| record.lease.as_ref());
        // An earlier attempt has acquired the lease, but its response was lost.
        if let (Some(record), true) = (&record, held.is_some_and(|lease| lease.holder == holder)) {
            return Ok(record.clone());
        }
        held_until = held.map(|lease| lease.until).filter(|until| *until > now);
        if attempt == MAX_ATTEMPTS {
            break;
        }
        if held_until.is_none() {
            let next = DestinationRecord {
                version: record.as_ref().map_or(0, |record| record.version) + 1,
                lease: Some(Lease {
                    holder,
                    until: now + TimeDelta::seconds(LEASE_SECONDS),
                }),
                last: record.and_then(|record| record.last),
            };
            if trail.put_destination(destination, &next).await? {
                return Ok(next);
            }
        }
        tokio::time::sleep(backoff(attempt)).await;
    }
    let destination = destination.to_string();
    Err(match held_until {
        Some(until) => AuditError::Leased { destination, until },
        None => AuditError::Contended { item: destination },
    })
}

/// See [`PushTrail::release`].
pub(super) async fn release(
    trail: &(impl PushTrail + ?Sized),
    destination: &Destination,
    record: DestinationRecord,
) -> Result<(), AuditError> {
    let next = DestinationRecord {
        version: record.version + 1,
        lease: None,
        last: record.last,
    };
    if trail.put_destination(destination, &next).await? {
        return Ok(());
    }
    // Either an earlier attempt of this write has succeeded, but its response was lost, or the lease has expired and
    // another writer has it.
    match trail.destination(destination).await? {
        Some(there) if there.last == next.last => Ok(()),
        _ => Err(AuditError::Contended {
            item: destination.to_string(),
        }),
    }
}
