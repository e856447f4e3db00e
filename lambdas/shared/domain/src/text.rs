//! String newtypes, each with one parser that both `FromStr` and serde use.

/// Returns the first `characters` of an untrusted text in a form that may be shown to people. Control characters, and
/// the marks that change the direction of text
/// (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>), are replaced, so that the text cannot
/// move a terminal's cursor, begin a line of its own, or be read as something else.
#[must_use]
pub fn plain(text: &str, characters: usize) -> String {
    text.chars()
        .take(characters)
        .map(|char| match char {
            '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => ' ',
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                char::REPLACEMENT_CHARACTER
            }
            char if char.is_control() => char::REPLACEMENT_CHARACTER,
            char => char,
        })
        .collect()
}

/// A value that violates a rule of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid {kind}: {rule}")]
pub struct Invalid {
    /// The users' term for the type.
    pub kind: &'static str,
    /// The value, cut to 200 characters because it may come from anyone.
    pub value: String,
    /// The rule that it violates.
    pub rule: String,
}

impl Invalid {
    /// Creates the error of a `value` that is not a valid `kind`, because of the `rule` that it violates.
    pub fn new(kind: &'static str, value: &str, rule: impl Into<String>) -> Self {
        Self {
            kind,
            value: plain(value, 200),
            rule: rule.into(),
        }
    }
}

/// Defines a newtype over a string that `$parse: fn(&str) -> Result<String, Invalid>` has accepted.
#[macro_export]
macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, $parse:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the value as text.
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

/// Defines an id that is a UUID, which people know as a `$kind`.
#[macro_export]
macro_rules! id_newtype {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Invalid;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                uuid::Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|error| $crate::Invalid::new($kind, text, error.to_string()))
            }
        }
    };
}
pub(crate) use id_newtype;

/// Parses a name that fits into the names and paths of resources: 1 to `limit` of `a-z`, `0-9` and `-`, a letter first.
///
/// # Errors
/// Returns [`Invalid`], with this rule, for any other text.
pub fn parse_name(kind: &'static str, text: &str, limit: usize) -> Result<String, Invalid> {
    let well_formed = text.len() <= limit
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if well_formed {
        return Ok(text.to_owned());
    }
    let rule = format!("it must have 1 to {limit} of a-z, 0-9 and -, and begin with a letter");
    Err(Invalid::new(kind, text, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_control_a_terminal_or_mislead_a_reader_are_replaced() {
        for (text, expected) in [
            ("Grüße, 世界 🎉", "Grüße, 世界 🎉"),
            ("a\r\nSubject: b\tc", "a  Subject: b c"),
            ("\u{1b}]52;c;x\u{7}\u{9b}2J\u{7f}", "�]52;c;x��2J�"),
            ("user\u{202e}gpj.exe\u{2066}", "user�gpj.exe�"),
            ("a\u{2028}b", "a b"),
        ] {
            assert_eq!(plain(text, 100), expected);
        }
        assert_eq!(plain("é\u{7}ab", 3), "é\u{fffd}a");
    }
}
