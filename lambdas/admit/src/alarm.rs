//! An alarm that was raised after a release, which is taken back then.

use audit::DeploymentTrail;
use chrono::{DateTime, TimeDelta, Utc};
use delivery::deployment::Cause;
use delivery::slot::SlotKey;
use serde::Deserialize;
use serde_json::{Error, Value};
use tasks::Executions;

use crate::{Deps, take_back};

/// The type of the events
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html>).
const DETAIL_TYPE: &str = "CloudWatch Alarm State Change";

/// An alarm that was raised.
#[derive(Debug, Deserialize)]
pub struct Raised {
    /// When it was.
    time: DateTime<Utc>,
    detail: Detail,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    alarm_name: String,
}

/// Parses the event of an alarm. Returns `None` if the payload is something else.
pub fn parse(payload: &Value) -> Result<Option<Raised>, Error> {
    if payload["detail-type"] != DETAIL_TYPE {
        return Ok(None);
    }
    Raised::deserialize(payload).map(Some)
}

/// Starts a rollback to the release before the last one, if the last one is as new as the alarm has to follow it.
///
/// A rollback is not taken back: what it has made live was live before.
pub async fn handle<P, D: DeploymentTrail, T: Executions>(
    deps: &Deps<'_, P, D, T>,
    raised: Raised,
) -> Result<(), crate::Error> {
    let key = SlotKey {
        environment: deps.environment.clone(),
        application: deps.application.clone(),
    };
    let releases = deps.deployments.releases(&key, 2).await?;
    let [last, before] = &releases[..] else {
        return Ok(());
    };
    let since = raised.time - last.released_at;
    let minutes = TimeDelta::minutes(i64::from(deps.alarm_rollback_minutes));
    if last.rollback_to.is_some() || since < TimeDelta::zero() || since > minutes {
        return Ok(());
    }
    let taken_back = last.deployment_id;
    let by = format!("the alarm {}", raised.detail.alarm_name);
    let cause = Cause::taking_back(taken_back, before.deployment_id, &taken_back.to_string(), by);
    take_back::start(deps, &deps.deployment(cause)).await
}
