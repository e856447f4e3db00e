//! The JSON schema of a source's settings.

use domain::source::SourceSettings;
use serde_json::Value;

/// Returns the JSON schema of a source's settings.
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(SourceSettings).to_value()
}
