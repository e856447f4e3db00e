//! Why there is no answer.

use lambda_runtime::Diagnostic;
use thread::Cycle;

/// Why there is no answer. The name of the variant is the error's name in Step Functions.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The function was called with something else than a question.
    #[error("the input is not a question such as {{\"hours\": 24, \"as_of\": 1770000000}}: {0}")]
    InputInvalid(String),
    /// The search does not answer.
    #[error("the search does not answer, ask again in some minutes: {0}")]
    SearchUnavailable(String),
    /// The items do not answer.
    #[error("the API of single items does not answer, ask again in some minutes: {0}")]
    ItemUnavailable(String),
    /// The search answers what this function does not understand.
    #[error("the search answers what it never did, so this function has to be changed: {0}")]
    SearchChanged(String),
    /// The items are answered in a form that this function does not understand.
    #[error("the API of single items answers what it never did, so this function has to be changed: {0}")]
    ItemChanged(String),
    /// A slice has more hits than the search gives, however short it is.
    #[error("the search does not give all hits of a slice of time, however short it is: {0}")]
    SliceTooDense(String),
    /// A comment is below itself.
    #[error("{0}, according to the sources")]
    ThreadCyclic(#[from] Cycle),
}

impl FindError {
    /// The names of the errors after which the same question may be answered a little later.
    pub const TRANSIENT: [&str; 2] = ["ItemUnavailable", "SearchUnavailable"];

    /// Returns the error's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::InputInvalid(_) => "InputInvalid",
            Self::SearchUnavailable(_) => "SearchUnavailable",
            Self::ItemUnavailable(_) => "ItemUnavailable",
            Self::SearchChanged(_) => "SearchChanged",
            Self::ItemChanged(_) => "ItemChanged",
            Self::SliceTooDense(_) => "SliceTooDense",
            Self::ThreadCyclic(_) => "ThreadCyclic",
        }
    }

    /// Returns whether the same question may be answered a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        Self::TRANSIENT.contains(&self.name())
    }
}

impl From<FindError> for Diagnostic {
    fn from(error: FindError) -> Self {
        Self {
            error_type: error.name().to_owned(),
            error_message: error.to_string(),
        }
    }
}
