//! The settings of a function, which are environment variables that the template sets.

/// A setting is missing.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {0} is not set: deploy the template again, it sets it")]
pub struct Missing(&'static str);

/// Returns the value of the environment variable `name`.
///
/// # Errors
/// Returns [`Missing`] if it is unset or empty.
pub fn required(name: &'static str) -> Result<String, Missing> {
    optional(name).ok_or(Missing(name))
}

/// Returns the value of the environment variable `name`, or `None` if it is unset or empty.
#[must_use]
pub fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the memory of this function in MiB, which Lambda tells it, or 0 outside of Lambda.
#[must_use]
pub fn memory_mib() -> u32 {
    let memory = optional("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
    memory.and_then(|memory| memory.parse().ok()).unwrap_or_default()
}
