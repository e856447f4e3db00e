//! Which post has the deepest thread, from the items of Hacker News: no I/O, no clock.
//!
//! The comments of a window of time are collected in a [`Forest`] as links from a comment to its parent, whatever post
//! they belong to. It knows which parents are missing ([`Forest::holes`]), and which post has to be read whole before
//! the deepest thread is certain ([`Forest::next_to_read`]).

mod answer;
mod forest;
mod standing;

pub use answer::{Answer, DeepestComment, Examined, Excerpt, Post, Unanswered};
pub use forest::{Cycle, Forest, Hole};
pub use standing::{Node, Standing};

/// The number of a post or a comment. Numbers rise with the time at which items were made.
pub type Id = u64;

/// The longest window, in hours.
pub const MAX_HOURS: u32 = 720;

/// A number of hours that may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Hours(u32);

/// The number of hours is missing, no number, or out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("hours must be a whole number from 1 to {MAX_HOURS}, as in hours=24")]
pub struct HoursInvalid;

impl Hours {
    /// Returns the number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// Returns the same time in seconds.
    #[must_use]
    pub fn seconds(self) -> i64 {
        i64::from(self.0) * 3600
    }
}

impl TryFrom<u32> for Hours {
    type Error = HoursInvalid;

    fn try_from(hours: u32) -> Result<Self, HoursInvalid> {
        if (1..=MAX_HOURS).contains(&hours) {
            Ok(Self(hours))
        } else {
            Err(HoursInvalid)
        }
    }
}

impl From<Hours> for u32 {
    fn from(hours: Hours) -> Self {
        hours.0
    }
}

impl std::str::FromStr for Hours {
    type Err = HoursInvalid;

    /// Parses decimal digits, without a sign, a blank or a leading zero.
    fn from_str(text: &str) -> Result<Self, HoursInvalid> {
        if text.starts_with(['0', '+']) {
            return Err(HoursInvalid);
        }
        text.parse::<u32>().map_err(|_| HoursInvalid)?.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_from_1_to_720_in_plain_digits() {
        for (text, hours) in [("1", 1), ("24", 24), ("720", 720)] {
            assert_eq!(text.parse::<Hours>().unwrap().get(), hours);
        }
        for text in [
            "",
            "0",
            "721",
            "-1",
            "+1",
            "1.5",
            "024",
            " 24",
            "99999999999",
            "x",
        ] {
            assert_eq!(text.parse::<Hours>(), Err(HoursInvalid), "{text:?}");
        }
        assert!(HoursInvalid.to_string().contains("1 to 720"));
    }
}
