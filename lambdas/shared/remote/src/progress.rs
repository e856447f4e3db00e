//! The progress of a transfer.

use reporter::mebibytes;
use serde::{Deserialize, Serialize};

/// What git says while it prepares a pack. Nothing else that a host says is reported, because it may be anything,
/// including a credential.
const PHASES: [(&str, Phase); 3] = [
    ("Enumerating objects:", Phase::Lists),
    ("Counting objects:", Phase::Counts),
    ("Compressing objects:", Phase::Compresses),
];

/// What a git host does while it prepares a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The host lists objects.
    Lists,
    /// The host counts objects.
    Counts,
    /// The host compresses objects.
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

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// The git host prepares the pack.
    Host {
        /// What the host does.
        phase: Phase,
        /// How far it is, in objects or percent.
        done: u64,
        /// Whether `done` is in percent.
        percent: bool,
    },
    /// The pack is being received.
    Objects {
        /// The number of bytes received so far.
        bytes: u64,
        /// The number of objects received so far.
        objects: usize,
        /// The number of all objects.
        total: usize,
    },
    /// The pack was received, and is being indexed.
    Deltas {
        /// The number of deltas resolved so far.
        deltas: usize,
        /// The number of all deltas.
        total: usize,
    },
}

impl Progress {
    /// Parses a line of a host. Returns `None` if it is not git's own progress.
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
    fn gits_own_progress_is_reported() {
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
    fn anything_but_gits_own_progress_is_not_reported() {
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
