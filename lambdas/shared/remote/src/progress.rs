//! How far a transfer is.

use reporter::mebibytes;
use serde::{Deserialize, Serialize};

/// What git says while it prepares a pack. Nothing else of what a host says is told: it may be anything, and have a
/// credential in it.
const PHASES: [(&str, Phase); 3] = [
    ("Enumerating objects:", Phase::Lists),
    ("Counting objects:", Phase::Counts),
    ("Compressing objects:", Phase::Compresses),
];

/// What a git host does while it prepares a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It lists objects.
    Lists,
    /// It counts objects.
    Counts,
    /// It compresses objects.
    Compresses,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Lists => "lists objects",
            Self::Counts => "counts objects",
            Self::Compresses => "compresses objects",
        })
    }
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// The git host prepares the pack.
    Host {
        /// What it does.
        phase: Phase,
        /// How far it is, in objects or percent.
        done: u64,
        /// Whether that is percent.
        percent: bool,
    },
    /// The pack comes.
    Objects {
        /// The bytes that have come.
        bytes: u64,
        /// The objects that have come.
        objects: usize,
        /// The objects that will come.
        total: usize,
    },
    /// The pack is there, and its index is made.
    Deltas {
        /// The deltas that are resolved.
        deltas: usize,
        /// All deltas of the pack.
        total: usize,
    },
}

impl Progress {
    /// A line that a host says. `None` if it is not git's own progress.
    pub(crate) fn host(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (rest, phase) = PHASES
            .into_iter()
            .find_map(|(begin, phase)| Some((line.strip_prefix(begin)?.trim_start(), phase)))?;
        let end = rest
            .find(|next: char| !next.is_ascii_digit())
            .unwrap_or(rest.len());
        Some(Self::Host {
            phase,
            done: rest[..end].parse().ok()?,
            percent: rest[end..].starts_with('%'),
        })
    }

    pub(crate) fn transfer(progress: &git2::Progress<'_>) -> Self {
        let total = progress.total_objects();
        if progress.received_objects() == total && progress.total_deltas() > 0 {
            return Self::Deltas {
                deltas: progress.indexed_deltas(),
                total: progress.total_deltas(),
            };
        }
        Self::Objects {
            bytes: progress.received_bytes() as u64,
            objects: progress.received_objects(),
            total,
        }
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host { phase, done, percent } => {
                let unit = if *percent { " %" } else { "" };
                write!(formatter, "the git host {phase}: {done}{unit}")
            }
            Self::Objects {
                bytes,
                objects,
                total,
            } => {
                write!(formatter, "{objects} of {total} objects, {}", mebibytes(*bytes))
            }
            Self::Deltas { deltas, total } => write!(formatter, "{deltas} of {total} deltas resolved"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8]) -> Option<String> {
        Progress::host(bytes).map(|progress| progress.to_string())
    }

    #[test]
    fn gits_own_progress_is_told() {
        assert_eq!(
            said(b"Compressing objects:  40% (2/5)").as_deref(),
            Some("the git host compresses objects: 40 %")
        );
        assert_eq!(
            said(b"Enumerating objects: 4801, done.").as_deref(),
            Some("the git host lists objects: 4801")
        );
    }

    #[test]
    fn what_is_not_gits_own_progress_is_not_told() {
        for bytes in [
            b"".as_slice(),
            b" \r\n",
            b"Counting objects: ",
            b"Counting objects: glpat-t0ken",
            b"Counting objects: 99999999999999999999",
            b"\x1b]0;title\x07",
            b"Welcome, glpat-t0ken!",
            b"\xff\xfe",
            &[b'x'; 60_000],
        ] {
            assert_eq!(said(bytes), None, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
