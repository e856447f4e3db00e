//! A question, which is the name of its execution.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use thread::Hours;

/// What is asked in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The length of the window.
    pub hours: Hours,
    /// The minute since 1970 in which it was asked, whose begin is the end of the window.
    minute: u32,
}

/// The name is not that of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameInvalid;

impl Question {
    /// Returns the question of the minute of `now`.
    #[must_use]
    pub fn new(hours: Hours, now: SystemTime) -> Self {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            hours,
            minute: u32::try_from(seconds / 60).unwrap_or(u32::MAX),
        }
    }

    /// Returns the input of the execution.
    #[must_use]
    pub fn input(self) -> Value {
        json!({ "hours": self.hours, "as_of": i64::from(self.minute) * 60 })
    }
}

impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "deepest-{}-{}", self.hours.get(), self.minute)
    }
}

impl FromStr for Question {
    type Err = NameInvalid;

    fn from_str(name: &str) -> Result<Self, NameInvalid> {
        let rest = name.strip_prefix("deepest-").ok_or(NameInvalid)?;
        let (hours, minute) = rest.split_once('-').ok_or(NameInvalid)?;
        let question = Self {
            hours: hours.parse().map_err(|_| NameInvalid)?,
            minute: minute.parse().map_err(|_| NameInvalid)?,
        };
        // There is one way to write it.
        if question.to_string() == name {
            Ok(question)
        } else {
            Err(NameInvalid)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_question_of_one_minute_has_one_name_and_one_input() {
        let at = |seconds| Question::new("24".parse().unwrap(), UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(600).to_string(), "deepest-24-10");
        assert_eq!(at(659), at(600));
        assert_ne!(at(660), at(600));
        assert_eq!(at(659).input(), json!({ "hours": 24, "as_of": 600 }));
    }

    #[test]
    fn a_name_is_that_of_a_question_or_of_none() {
        assert_eq!(
            "deepest-24-10".parse::<Question>().unwrap().to_string(),
            "deepest-24-10"
        );
        for name in [
            "",
            "deepest",
            "deepest-24",
            "deepest-0-1",
            "deepest-721-1",
            "deepest-24-01",
            "deepest-024-1",
            "deepest-24-+1",
            "deepest-24-1-1",
            "x-24-1",
            "deepest-24-99999999999",
            "deepest-24-1/..",
        ] {
            assert_eq!(name.parse::<Question>(), Err(NameInvalid), "{name}");
        }
    }
}
