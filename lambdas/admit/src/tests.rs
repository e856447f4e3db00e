//! Deployments of one application in one environment, on trails in memory.

mod alarms;
mod histories;
mod opening;
mod queueing;
mod scene;
mod stopping;
