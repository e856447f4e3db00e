//! The lease of a destination: one writer at a time.
//!
//! S3's conditional write compares entity tags, and equal bytes have equal tags: a ref that is moved away and back while a
//! writer looks at the destination would not be noticed. So whoever writes holds the destination's lease meanwhile, and
//! the condition of the write guards against those who know of no lease.

use chrono::{DateTime, TimeDelta, Utc};
use domain::destination::Destination;
use domain::order::DeliveredPush;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AuditError, AuditTrail, MAX_ATTEMPTS, backoff};

/// How long a lease is held at most, in seconds: longer than a function may run (Lambda allows 900), so that a holder
/// whose lease has expired is not there any more.
const LEASE_SECONDS: i64 = 960;

/// What is known of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationRecord {
    /// How often this was written.
    pub version: u64,
    /// Who may write to the destination. `None` if whoever comes may take the lease.
    pub lease: Option<Lease>,
    /// The newest push that was delivered there.
    pub last: Option<DeliveredPush>,
}

/// The right to write to a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it: another id each time that it is taken.
    pub holder: Uuid,
    /// When it ends, if it is not given back before.
    pub until: DateTime<Utc>,
}

/// See [`AuditTrail::acquire`].
pub(super) async fn acquire(
    trail: &(impl AuditTrail + ?Sized),
    destination: &Destination,
) -> Result<DestinationRecord, AuditError> {
    let holder = Uuid::new_v4();
    let mut held_until = None;
    // The last look is for what has come of the last try.
    for attempt in 0..=MAX_ATTEMPTS {
        let record = trail.destination(destination).await?;
        let now = Utc::now();
        let held = record.as_ref().and_then(|record| record.lease.as_ref());
        // An earlier try of this write was lost on its way back.
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
    let destination = format!("s3://{}/{}", destination.bucket, destination.key);
    Err(match held_until {
        Some(until) => AuditError::Leased { destination, until },
        None => AuditError::Contended { item: destination },
    })
}

/// See [`AuditTrail::release`].
pub(super) async fn release(
    trail: &(impl AuditTrail + ?Sized),
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
    // Either an earlier try of this write was lost on its way back, or the lease had expired, and somebody else has it.
    match trail.destination(destination).await? {
        Some(there) if there.last == next.last => Ok(()),
        _ => Err(AuditError::Contended {
            item: format!("s3://{}/{}", destination.bucket, destination.key),
        }),
    }
}
