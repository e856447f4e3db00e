//! `Checkpoint`: signs what the trails of yesterday's and today's pushes are, so that a trail that is changed later is
//! found, even if someone with write access to the table changed it.

use attestation::{Envelope, Signer, SigningError};
use audit::checkpoints::{Checkpoints, MEDIA_TYPE, PreviousDay, StoredCheckpoint, checkpoint};
use audit::{AuditError, EventStore, StateIndex};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::error::{Code, Coded};
use domain::push::Push;
use serde::{Deserialize, Serialize};

/// An event counts once it is this old, in seconds; by then it is in the table and in its indexes, or never will be.
const SETTLED_SECONDS: u32 = 600;

/// How far back the last checkpoint of an earlier day is looked for. It is that of the day before, unless none was
/// signed for days, and a year of checkpoints is too much to read each hour.
const LOOK_BACK: [Days; 2] = [Days::new(1), Days::new(400)];

/// Why there is no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The audit trail failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The checkpoint could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The checkpoint has no form in JSON.
    #[error("the checkpoint cannot be written as JSON")]
    Unwritable(#[from] serde_json::Error),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Audit(error) => error.code(),
            Self::Signing(error) => error.code(),
            Self::Unwritable(_) => Code::AuditInvalid,
        }
    }
}

/// The event of the function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Request {
    /// How long after it was recorded an event counts, in seconds, if not 600.
    #[serde(default)]
    pub settled_seconds: Option<u32>,
}

/// What was signed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The days.
    pub days: Vec<NaiveDate>,
    /// The pushes of these days.
    pub pushes: usize,
}

/// Signs the checkpoints of yesterday and today.
///
/// # Errors
/// Returns an error if the trail cannot be read or written, or if nothing can be signed.
pub async fn handle(
    trail: &(impl EventStore<Push> + StateIndex<Push> + Checkpoints),
    signer: &impl Signer,
    request: Request,
    now: DateTime<Utc>,
) -> Result<Report, Error> {
    let settled = request.settled_seconds.unwrap_or(SETTLED_SECONDS);
    let up_to = now - TimeDelta::seconds(settled.into());
    let today = now.date_naive();
    let yesterday = today.checked_sub_days(Days::new(1)).unwrap_or(today);
    let mut previous = last_before(trail, yesterday).await?;
    let mut pushes = 0;
    for day in [yesterday, today] {
        let mut signed = Vec::new();
        for part in checkpoint(trail, day, up_to, previous.take()).await? {
            pushes += part.pushes.len();
            let payload = serde_json::to_vec(&part)?;
            let Some(envelope) = Envelope::sign(signer, MEDIA_TYPE, &payload).await? else {
                continue;
            };
            let stored = StoredCheckpoint {
                day,
                part: part.part,
                envelope: serde_json::to_string(&envelope)?,
            };
            trail.put_checkpoint(&stored).await?;
            signed.push(stored);
        }
        previous = PreviousDay::of(&signed);
    }
    Ok(Report {
        days: vec![yesterday, today],
        pushes,
    })
}

async fn last_before(trail: &impl Checkpoints, day: NaiveDate) -> Result<Option<PreviousDay>, Error> {
    for look_back in LOOK_BACK {
        let since = day.checked_sub_days(look_back).unwrap_or(day);
        let mut stored = trail.checkpoints(since).await?;
        stored.retain(|stored| stored.day < day);
        if let Some(last) = stored.last().map(|last| last.day) {
            stored.retain(|stored| stored.day == last);
            return Ok(PreviousDay::of(&stored));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
