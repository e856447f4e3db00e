//! Logs: one JSON object a line on standard output, at the level that the function's logging settings give.

/// Starts logging. Called once, first of all.
pub fn init() {
    lambda_runtime::tracing::init_default_subscriber();
}
