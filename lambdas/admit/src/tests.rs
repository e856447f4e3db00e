//! Deployments of one application in one environment, on trails in memory.

mod opening;
mod queueing;
mod scene;
mod stopping;
