//! The file `SHA256SUMS`, as `sha256sum` writes and checks it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::Error;
use crate::layout::SUMS;

/// Writes `SHA256SUMS` of these files in a folder.
///
/// # Errors
/// Returns an error if a file cannot be read or written.
pub fn write(folder: &Path, names: &[String]) -> Result<(), Error> {
    let mut text = String::new();
    for name in names {
        let path = folder.join(name);
        let mut file = File::open(&path).map_err(Error::io("read", &path))?;
        let sum = sha256(&mut file).map_err(Error::io("read", &path))?;
        let _ = writeln!(text, "{sum}  {name}");
    }
    let path = folder.join(SUMS);
    std::fs::write(&path, text).map_err(Error::io("write", &path))
}

/// Checks an archive, which is read to its end, against `SHA256SUMS` beside it. Returns `false` if there is no such
/// file.
///
/// # Errors
/// Returns [`Error::WrongChecksum`] or [`Error::NoChecksum`] if the archive is not the one that is named there.
pub(crate) fn check(path: &Path, archive: &mut impl Read) -> Result<bool, Error> {
    let sums = path.with_file_name(SUMS);
    let text = match std::fs::read_to_string(&sums) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::io("read", &sums)(error)),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let expected = expected(&text, &name).ok_or_else(|| Error::NoChecksum {
        path: path.to_owned(),
    })?;
    let found = sha256(archive).map_err(Error::io("read", path))?;
    if found.eq_ignore_ascii_case(expected) {
        return Ok(true);
    }
    Err(Error::WrongChecksum {
        path: path.to_owned(),
        found,
        expected: expected.to_owned(),
    })
}

/// Returns the checksum of the file of this name. `sha256sum` marks files that it has read as binary with `*`.
fn expected<'a>(sums: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = sums.lines().filter_map(|line| line.split_once(' '));
    let (sum, _) = lines.find(|(_, rest)| rest.strip_prefix([' ', '*']) == Some(name))?;
    Some(sum)
}

fn sha256(file: &mut impl Read) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.tar.gz");
        let check = |path: &Path| check(path, &mut File::open(path).unwrap());
        std::fs::write(&archive, "one").unwrap();
        assert!(!check(&archive).unwrap());

        write(folder.path(), &["a.tar.gz".to_owned()]).unwrap();
        assert!(check(&archive).unwrap());
        let sums = std::fs::read_to_string(folder.path().join(SUMS)).unwrap();
        // What sha256sum prints of it.
        assert_eq!(
            sums,
            "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed  a.tar.gz\n"
        );

        std::fs::write(&archive, "other").unwrap();
        let error = check(&archive).unwrap_err();
        assert!(matches!(error, Error::WrongChecksum { .. }), "{error}");
        let other = folder.path().join("b.tar.gz");
        std::fs::write(&other, "one").unwrap();
        let error = check(&other).unwrap_err();
        assert!(matches!(error, Error::NoChecksum { .. }), "{error}");
    }

    #[test]
    fn a_checksum_is_found_by_the_whole_name() {
        let sums = "aa  x/a.tar.gz\nbb  a.tar.gz.asc\ncc *a.tar.gz\n";
        assert_eq!(expected(sums, "a.tar.gz"), Some("cc"));
        assert_eq!(expected(sums, "tar.gz"), None);
        assert_eq!(expected("", "a.tar.gz"), None);
    }
}
