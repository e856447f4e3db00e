//! Git LFS pointers: the small files that stand in a tree for large ones.
//!
//! The form is that of git-lfs's `docs/spec.md`. What git-lfs tolerates (blank lines, CRLF, space around the whole) is
//! accepted here too: a checkout has the large file in place of such a pointer, so the zip should have it as well.

use std::fmt;

/// A pointer file has fewer bytes than this.
pub const POINTER_BYTES: usize = 1024;

/// The values of the first line: the current one, and those that git-lfs wrote under its earlier names.
const VERSIONS: [&str; 3] = [
    "https://git-lfs.github.com/spec/v1",
    "https://hawser.github.com/spec/v1",
    "http://git-media.io/v/2",
];

/// What a pointer file points to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer {
    /// The object's id.
    pub oid: LfsOid,
    /// The object's size in bytes.
    pub size: u64,
    /// Whether extensions make the file from the object. Extensions are programs in the configuration of whoever checks
    /// the file out, so the object alone is not the file.
    pub extended: bool,
}

/// The id of an LFS object: its SHA-256 as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LfsOid(String);

impl LfsOid {
    /// Returns the id, or `None` if `text` is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// Returns the 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LfsOid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Pointer {
    /// Parses the content of a pointer file. Returns `None` if it is an ordinary file.
    #[must_use]
    pub fn parse(content: &[u8]) -> Option<Self> {
        if content.len() >= POINTER_BYTES {
            return None;
        }
        let mut lines = std::str::from_utf8(content)
            .ok()?
            .trim()
            .lines()
            .filter(|line| !line.is_empty());
        let version = lines.next()?.strip_prefix("version ")?;
        if !VERSIONS.contains(&version) {
            return None;
        }
        let mut extended = false;
        // The keys are sorted, so all extensions come before the id.
        let oid = loop {
            let (key, value) = lines.next()?.split_once(' ')?;
            match key {
                "oid" => break LfsOid::parse(value.strip_prefix("sha256:")?)?,
                _ if is_extension(key) => extended = true,
                _ => return None,
            }
        };
        let size = parse_size(lines.next()?.strip_prefix("size ")?)?;
        // An unknown key may change the meaning of the others.
        lines.next().is_none().then_some(Self { oid, size, extended })
    }
}

/// Returns whether the key is `ext-{order}-{name}`, where the order is one digit.
fn is_extension(key: &str) -> bool {
    let mut rest = key.strip_prefix("ext-").unwrap_or_default().chars();
    rest.next().is_some_and(|order| order.is_ascii_digit())
        && rest.next() == Some('-')
        && rest
            .next()
            .is_some_and(|first| first.is_alphanumeric() || first == '_')
}

fn parse_size(text: &str) -> Option<u64> {
    // Rust would also accept a sign.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    const OID: &str = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";

    fn pointer(text: &str) -> Option<(String, u64, bool)> {
        Pointer::parse(text.as_bytes())
            .map(|pointer| (pointer.oid.to_string(), pointer.size, pointer.extended))
    }

    #[test]
    fn the_pointer_of_the_specification_is_read() {
        for version in VERSIONS {
            let text = format!("version {version}\noid sha256:{OID}\nsize 12345\n");
            assert_eq!(pointer(&text), Some((OID.to_owned(), 12345, false)), "{version}");
        }
    }

    #[test]
    fn extensions_are_seen() {
        let text = format!(
            "version {}\next-0-foo sha256:{OID}\next-1-bar sha256:{OID}\noid sha256:{OID}\nsize 1\n",
            VERSIONS[0]
        );
        assert_eq!(pointer(&text), Some((OID.to_owned(), 1, true)));
    }

    #[test]
    fn an_ordinary_file_is_not_a_pointer() {
        let version = format!("version {}", VERSIONS[0]);
        let (oid, size) = (format!("oid sha256:{OID}"), "size 12345");
        let long = "x".repeat(POINTER_BYTES);
        for text in [
            String::new(),
            "\n".to_owned(),
            "hello\n".to_owned(),
            version.clone(),
            format!("{version}\n{oid}\n"),
            format!("{version}\n{size}\n{oid}\n"),
            format!("{oid}\n{size}\n{version}\n"),
            format!("version https://git-lfs.github.com/spec/v2\n{oid}\n{size}\n"),
            format!("{version}\n{}\n{size}\n", oid.to_uppercase()),
            format!("{version}\noid sha256:{}\n{size}\n", &OID[1..]),
            format!("{version}\noid md5:{OID}\n{size}\n"),
            format!("{version}\n{oid}\nsize -1\n"),
            format!("{version}\n{oid}\nsize +1\n"),
            format!("{version}\n{oid}\nsize 1 2\n"),
            format!("{version}\n{oid}\nsize \n"),
            format!("{version}\n{oid}\nsize 99999999999999999999\n"),
            format!("{version}\n{oid}\n{size}\nzebra 1\n"),
            format!("{version}\nalpha 1\n{oid}\n{size}\n"),
            format!("{version}\next-x-foo sha256:{OID}\n{oid}\n{size}\n"),
            format!("{version}\n{oid}\n{size}\n{long}"),
        ] {
            assert_eq!(pointer(&text), None, "{text:?}");
        }
    }

    /// Runs git-lfs's own command for pointers.
    fn git_lfs(arguments: &[&str], input: &[u8]) -> std::process::Output {
        let mut child = Command::new(tools::program("git-lfs"))
            .arg("pointer")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    #[test]
    fn what_git_lfs_writes_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("large");
        for size in [1, 1024, 100_000] {
            std::fs::write(&file, "x".repeat(size)).unwrap();
            let written = git_lfs(&["--file", file.to_str().unwrap()], b"").stdout;
            let read = Pointer::parse(&written).unwrap();
            assert_eq!((read.size, read.extended), (size as u64, false));
            assert!(String::from_utf8(written).unwrap().contains(read.oid.as_str()));
        }
    }

    #[test]
    fn what_git_lfs_takes_for_a_pointer_is_one() {
        let version = format!("version {}", VERSIONS[0]);
        let (oid, size) = (format!("oid sha256:{OID}"), "size 12345");
        for text in [
            format!("{version}\n{oid}\n{size}\n"),
            format!("{version}\n{oid}\n{size}"),
            format!("{version}\r\n{oid}\r\n{size}\r\n"),
            format!("\n{version}\n\n{oid}\n{size}\n\n"),
            format!("{version}\next-0-foo sha256:{OID}\n{oid}\n{size}\n"),
            format!("{version}\n{oid}\n{size}\nzebra 1\n"),
            format!("{version}\n{size}\n{oid}\n"),
            format!("{version}\n{oid}\nsize\n"),
            format!("{version}\n{oid} \n{size}\n"),
            format!("{version} \n{oid}\n{size}\n"),
            format!("{version}\n \n{oid}\n{size}\n"),
            format!("{version}\n{oid}\nsize  12345\n"),
        ] {
            let taken = git_lfs(&["--check", "--stdin"], text.as_bytes()).status.success();
            assert_eq!(pointer(&text).is_some(), taken, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_left_alone(content in prop::collection::vec(any::<u8>(), 0..2 * POINTER_BYTES)) {
            let _ = Pointer::parse(&content);
        }

        #[test]
        fn lines_that_are_much_like_a_pointer_are_read_or_left_alone(
            parts in prop::collection::vec(prop::sample::select(vec![
                "version ", "https://git-lfs.github.com/spec/v1", "oid ", "sha256:", OID, "size ", "7", "\n", "\r\n",
                "ext-", "0-", "ext-0-x ", " ", "\u{e9}", "\0",
            ]), 0..24),
        ) {
            let _ = Pointer::parse(parts.concat().as_bytes());
        }

        #[test]
        fn every_pointer_is_read_back(oid in "[0-9a-f]{64}", size in any::<u64>()) {
            let text = format!("version {}\noid sha256:{oid}\nsize {size}\n", VERSIONS[0]);
            prop_assert_eq!(pointer(&text), Some((oid, size, false)));
        }
    }
}
