//! Judges where symbolic links lead.
//!
//! On Linux and macOS only a slash separates the parts of a target; on Windows a backslash does too. Either reading may
//! go up more often than the other one, so a target is judged by both.

use domain::source::Symlinks;
use git2::{Odb, Oid};

use crate::entry::{Content, Entry};
use crate::error::Error;
use crate::fold::{self, Key, ROOT};
use crate::links::Links;
use crate::lossy;
use crate::repository::{check_blob, unreadable};

/// The longest target that is allowed, in bytes: Linux's `PATH_MAX`.
const TARGET_BYTES: usize = 4_096;

/// Checks that the option `symlinks` allows all links of `entries`. Each target is read once, however many links have
/// it.
///
/// # Errors
/// Returns [`Error::Symlink`] if a link is not allowed, [`Error::Path`] if a target is too long, and [`Error::Object`]
/// if one cannot be read.
pub fn check(odb: &Odb<'_>, entries: &[Entry], links: &Links<'_>, symlinks: Symlinks) -> Result<(), Error> {
    let mut all: Vec<(Oid, &[u8])> = entries
        .iter()
        .filter_map(|entry| match entry.content {
            Content::Symlink { blob } => Some((blob, entry.path.as_slice())),
            _ => None,
        })
        .collect();
    all.sort_unstable();
    for same in all.chunk_by(|(one, _), (other, _)| one == other) {
        let (blob, first) = same[0];
        let (size, kind) = odb.read_header(blob).map_err(unreadable(blob, first))?;
        check_blob(kind, blob, first)?;
        if size > TARGET_BYTES {
            return Err(Error::Path {
                path: lossy(first),
                reason: "it is a symbolic link of more than 4,096 bytes",
            });
        }
        if symlinks == Symlinks::Keep {
            continue;
        }
        let object = odb.read(blob).map_err(unreadable(blob, first))?;
        let refused = |path: &[u8], reason| {
            Err(Error::Symlink {
                path: lossy(path),
                target: lossy(object.data()),
                reason,
            })
        };
        if symlinks == Symlinks::Refuse {
            return refused(first, "the option symlinks is \"refuse\"");
        }
        let target = Target::new(object.data());
        let mut last = None;
        for (_, path) in same {
            let folder = folder(path);
            // Links of one folder with the same target all lead to the same place.
            if last.replace(folder) == Some(folder) {
                continue;
            }
            if target.leaves(folder) {
                return refused(path, "the option symlinks is \"inside\"");
            }
            if target.turns(folder, links) {
                return refused(
                    path,
                    "the option symlinks is \"inside\": it goes up after another link",
                );
            }
        }
    }
    Ok(())
}

/// Returns the folder that `path` is in, without a slash at its end. The root is empty.
fn folder(path: &[u8]) -> &[u8] {
    path.iter()
        .rposition(|byte| *byte == b'/')
        .map_or(&[], |slash| &path[..slash])
}

/// The target of a link.
struct Target {
    /// Whether it leads out of the tree from whatever folder.
    absolute: bool,
    readings: [Reading; 2],
}

/// A system's rules for reading a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    /// Only a slash separates.
    Posix,
    /// A slash and a backslash separate, and blanks at the end of a name are ignored.
    Windows,
}

/// A target as a system reads it.
struct Reading {
    system: System,
    /// How many folders it goes up from the link's own, at its highest point.
    up: usize,
    /// The parts up to the last `..` that follows a name, separated by slashes and with folded names. Mostly empty.
    before_turn: Vec<u8>,
}

impl Target {
    fn new(target: &[u8]) -> Self {
        Self {
            absolute: matches!(target, [b'/' | b'\\', ..] | [b'A'..=b'Z' | b'a'..=b'z', b':', ..])
                                // Programs that read C strings would see only the part before the NUL.
                || target.contains(&0),
            readings: [System::Posix, System::Windows].map(|system| Reading::new(system, target)),
        }
    }

    /// Returns whether a link in `folder` leads out of the tree by its text alone: to an absolute path, or above the
    /// root on the way. A link that leads through another link is checked by [`Self::turns`].
    fn leaves(&self, folder: &[u8]) -> bool {
        self.absolute
            || self
                .readings
                .iter()
                .any(|reading| reading.up > reading.system.parts(folder).count())
    }

    /// Returns whether a link in `folder` leads through another link and goes up afterwards. It then goes up from
    /// wherever the other link leads to, which the text does not tell: it may be the root.
    fn turns(&self, folder: &[u8], links: &Links<'_>) -> bool {
        self.readings.iter().any(|reading| reading.turns(folder, links))
    }
}

impl System {
    /// Splits a path into the parts that this system goes through, without empty ones and `.`.
    fn parts(self, path: &[u8]) -> impl Iterator<Item = &[u8]> {
        path.split(move |byte| *byte == b'/' || (self == Self::Windows && *byte == b'\\'))
            .map(move |part| match self {
                Self::Posix => part,
                Self::Windows => {
                    let end = part.iter().rposition(|byte| *byte != b' ');
                    &part[..end.map_or(0, |end| end + 1)]
                }
            })
            .filter(|part| !matches!(*part, b"" | b"."))
    }
}

impl Reading {
    fn new(system: System, target: &[u8]) -> Self {
        let (mut depth, mut lowest) = (0_isize, 0);
        let mut before_turn = Vec::new();
        let (mut named, mut turn) = (false, 0);
        for part in system.parts(target) {
            if !before_turn.is_empty() {
                before_turn.push(b'/');
            }
            if part == b".." {
                depth -= 1;
                lowest = lowest.min(depth);
                before_turn.extend(part);
                if named {
                    turn = before_turn.len();
                }
            } else {
                depth += 1;
                named = true;
                let folded = fold::fold(part);
                before_turn.extend(fold::parts(&folded).collect::<Vec<_>>().join(&b'\\'));
            }
        }
        before_turn.truncate(turn);
        Self {
            system,
            up: lowest.unsigned_abs(),
            before_turn,
        }
    }

    fn turns(&self, folder: &[u8], links: &Links<'_>) -> bool {
        if self.before_turn.is_empty() {
            return false;
        }
        let mut key = ROOT;
        let mut above: Vec<Key> = self
            .system
            .parts(folder)
            .map(|name| {
                key = links.keys().of(key, name);
                key
            })
            .collect();
        let mut through = false;
        for part in self.before_turn.split(|byte| *byte == b'/') {
            if part == b".." {
                if through {
                    return true;
                }
                above.pop();
            } else {
                let folder = above.last().copied().unwrap_or(ROOT);
                let key = links.keys().of_folded(folder, part);
                through |= links.has(key);
                above.push(key);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(path: &str, target: &str) -> bool {
        let entries = ["dir/other", "dir/root", "win\\a"].map(|path| Entry {
            path: path.as_bytes().to_vec(),
            content: Content::Symlink { blob: Oid::ZERO_SHA1 },
        });
        let links = Links::of(&entries).unwrap().unwrap();
        Target::new(target.as_bytes()).turns(folder(path.as_bytes()), &links)
    }

    #[test]
    fn links_that_go_up_after_another_link() {
        for (path, target, turn) in [
            ("x", "dir/root/..", true),
            ("x", "./dir//root/a/../b", true),
            ("dir/x", "root\\..", true),
            ("a/x", "../dir/root/../c", true),
            ("x", "DIR/R\u{f6}\u{f6}t/..", false),
            ("x", "DIR/Root. /..", true),
            ("x", "win\\a/..", true),
            ("x", "win/a/..", true),
            ("x", "dir/root/.. ", true),
            ("x", "dir/root", false),
            ("x", "dir/root/a", false),
            ("x", "dir/../root/..", false),
            ("a/x", "dir/root/..", false),
            ("x", "dir/\u{2025}/root/..", true),
        ] {
            assert_eq!(turns(path, target), turn, "{path} -> {target}");
        }
    }

    fn leaves(path: &str, target: &str) -> bool {
        Target::new(target.as_bytes()).leaves(folder(path.as_bytes()))
    }

    #[test]
    fn links_that_leave_the_tree() {
        for (path, target) in [
            ("a", "/etc/passwd"),
            ("a", ".."),
            ("a/b", "../.."),
            ("a/b", "c/../../../x"),
            ("a", "b/../../a"),
            ("a", "..\\x"),
            ("a", "\\\\host\\share"),
            ("a", "C:\\x"),
            ("a", ".. /x"),
            ("a", "..\0/x"),
            // One folder here, and five on Windows.
            ("a", "a\\b\\c\\d\\e/../../../../../etc/passwd"),
            // In one folder here, and in three on Windows.
            ("a\\b\\c", "../x"),
            ("a\\b/c", "../../x"),
            // The other way round.
            ("a", "b/..\\../x"),
        ] {
            assert!(leaves(path, target), "{path} -> {target}");
        }
    }

    #[test]
    fn links_that_stay() {
        for (path, target) in [
            ("a", "b"),
            ("a/b", ".."),
            ("a/b", "../c"),
            ("a/b/c", "../../d"),
            ("a", "./b/../c"),
            ("a", ""),
            ("a", "..."),
            ("a", "b\\c/../d"),
            ("a", "dev-disk-by\\x2dlabel.swap"),
        ] {
            assert!(!leaves(path, target), "{path} -> {target}");
        }
    }
}
