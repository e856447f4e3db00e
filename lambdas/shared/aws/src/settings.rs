//! A function's settings: environment variables that the template gives it.

/// A setting that is not there.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {0} is not set: deploy the template again, it sets it")]
pub struct Missing(&'static str);

/// The value of the environment variable `name`.
///
/// # Errors
/// [`Missing`] where it is unset or empty.
pub fn required(name: &'static str) -> Result<String, Missing> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .ok_or(Missing(name))
}
