//! How far a fetch is.

use platform::progress::mebibytes;

/// The longest text of a host that is handed on, in characters.
const HOST_CHARACTERS: usize = 100;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The git host prepares the pack. What it says of that, in printable ASCII.
    Host(String),
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
    /// Git LFS objects come.
    Lfs {
        /// The bytes that have come.
        bytes: u64,
        /// The objects that have come.
        objects: usize,
        /// The objects that will come.
        total: usize,
    },
}

impl Progress {
    /// What a host says. Anything may be in it: it must not control a terminal, and not be long.
    pub(crate) fn host(said: &[u8]) -> Option<Self> {
        let mut lines = said.rsplit(|byte| matches!(byte, b'\r' | b'\n'));
        let last = lines.find(|line| !line.trim_ascii().is_empty())?;
        let printable = |byte: &u8| {
            if (b' '..=b'~').contains(byte) {
                char::from(*byte)
            } else {
                '?'
            }
        };
        let text = last
            .trim_ascii()
            .iter()
            .take(HOST_CHARACTERS)
            .map(printable)
            .collect();
        Some(Self::Host(text))
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
            Self::Host(said) => write!(formatter, "the git host says: {said}"),
            Self::Objects {
                bytes,
                objects,
                total,
            } => {
                write!(formatter, "{objects} of {total} objects, {}", mebibytes(*bytes))
            }
            Self::Deltas { deltas, total } => write!(formatter, "{deltas} of {total} deltas resolved"),
            Self::Lfs {
                bytes,
                objects,
                total,
            } => {
                write!(
                    formatter,
                    "{objects} of {total} LFS objects, {}",
                    mebibytes(*bytes)
                )
            }
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
    fn of_what_a_host_says_the_last_line_is_told() {
        let bytes = b"Counting objects: 100% (5/5), done.\nCompressing objects:  40% (2/5)\r";
        assert_eq!(
            said(bytes).as_deref(),
            Some("the git host says: Compressing objects:  40% (2/5)")
        );
        assert_eq!(said(b" \r\n"), None);
        assert_eq!(said(b""), None);
    }

    #[test]
    fn a_host_controls_no_terminal() {
        let told = said(b"\x1b]0;title\x07\x1b[2J\xe2\x80\xae!").unwrap();
        assert_eq!(told, "the git host says: ?]0;title??[2J???!");
        assert!(said(&[b'x'; 60_000]).unwrap().len() < 150);
    }
}
