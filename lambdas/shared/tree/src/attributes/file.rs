//! Reads the lines of a `.gitattributes` as git does.

use gix_attributes::parse::{Iter, Kind};
use gix_attributes::{AssignmentRef, StateRef};

use super::State;

/// git ignores a line of at least this length.
const LINE_BYTES: usize = 2_048;

/// Calls `line` with each line that git does not ignore.
pub fn each_line<'a>(bytes: &'a [u8], mut line: impl FnMut(Kind, Vec<AssignmentRef<'a>>)) {
    // git stops at the first NUL, as it reads C strings.
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    for raw in text.split(|byte| *byte == b'\n') {
        // When git reads from a tree, a byte order mark is part of the first pattern, which then matches nothing.
        if raw.len() >= LINE_BYTES || raw.starts_with("\u{feff}".as_bytes()) {
            continue;
        }
        for (kind, assignments, _) in gix_attributes::parse(raw).flatten() {
            if let Some(assignments) = all(assignments) {
                line(kind, assignments);
            }
        }
    }
}

/// Returns the assignments of a line, or `None` if one of them has an invalid name: git then ignores the whole line.
fn all<'a>(assignments: Iter<'a>) -> Option<Vec<AssignmentRef<'a>>> {
    assignments.collect::<Result<_, _>>().ok()
}

pub fn state(state: StateRef<'_>) -> State {
    match state {
        StateRef::Set => State::Set,
        StateRef::Unset => State::Unset,
        StateRef::Unspecified => State::Unspecified,
        StateRef::Value(value) => State::Value(value.as_bstr().to_vec()),
    }
}
