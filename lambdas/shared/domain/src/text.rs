//! The machinery of the string newtypes: one parser each, used by `FromStr` and by serde alike.

/// A value that is not what its type promises: which type, what it was, and which rule it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid {kind}: {rule}")]
pub struct Invalid {
    /// The term for the type, as a user knows it.
    pub kind: &'static str,
    /// The value, cut to 200 characters: it may come from anyone.
    pub value: String,
    /// The rule that it breaks.
    pub rule: String,
}

impl Invalid {
    pub(crate) fn new(kind: &'static str, value: &str, rule: impl Into<String>) -> Self {
        Self {
            kind,
            value: value.chars().take(200).collect(),
            rule: rule.into(),
        }
    }
}

/// A newtype over a string that `$parse: fn(&str) -> Result<String, Invalid>` has accepted.
macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, $parse:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The value as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Invalid;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $parse(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::Invalid;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text_newtype;
