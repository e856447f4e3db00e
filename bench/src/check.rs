//! Checks that a zip holds what the commit holds: first against `git ls-tree`, where each entry's content has to hash
//! to the object's id, and then against `git archive`'s own zip, by names, modes, sizes and checksums.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use git2::{ObjectType, Oid};
use zip::ZipArchive;

use crate::error::Error;
use crate::peers;

/// A commit's entries, from the path's bytes to the mode in a zip and the object's id.
pub type Listing = BTreeMap<Vec<u8>, (u32, String)>;

const FOLDER_MODE: u32 = 0o040_755;

/// Lists a commit with `git ls-tree`. A submodule is an empty folder.
pub fn list(repository: &Path, commit: &str) -> Result<Listing, Error> {
    let mut command = peers::git();
    command
        .arg("-C")
        .arg(repository)
        .args(["ls-tree", "-r", "-z", commit]);
    let output = peers::output(&mut command)?;
    let lines = output.split(|byte| *byte == 0).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let strange = || Error::Git(String::from_utf8_lossy(line).into_owned());
            let tab = line.iter().position(|byte| *byte == b'\t').ok_or_else(strange)?;
            let (meta, mut path) = (String::from_utf8_lossy(&line[..tab]), line[tab + 1..].to_vec());
            let mut meta = meta.split(' ');
            let mode = match meta.next() {
                Some("160000") => {
                    path.push(b'/');
                    FOLDER_MODE
                }
                Some("120000") => 0o120_777,
                Some("100755") => 0o100_755,
                Some(_) => 0o100_644,
                None => return Err(strange()),
            };
            let id = meta.nth(1).ok_or_else(strange)?;
            Ok((path, (mode, id.to_owned())))
        })
        .collect()
}

/// Returns the sizes of the files, in ascending order.
pub fn sizes(zip: &Path) -> Result<Vec<u64>, Error> {
    let mut archive = open(zip)?;
    let mut sizes = (0..archive.len())
        .map(|index| Ok(archive.by_index_raw(index).map_err(Error::zip(zip))?.size()))
        .collect::<Result<Vec<_>, Error>>()?;
    sizes.sort_unstable();
    Ok(sizes)
}

/// Compares the zip with the listing and with git archive's zip of the same commit.
pub fn check(zip: &Path, commit: &str, listing: &Listing, theirs: &Path) -> Result<(), Error> {
    let wrong = |what: String| Error::Wrong {
        zip: zip.to_owned(),
        what,
    };
    let mut archive = open(zip)?;
    let mut summary = BTreeMap::new();
    let mut content = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(Error::zip(zip))?;
        let path = file.name_raw().to_vec();
        let shown = String::from_utf8_lossy(&path).into_owned();
        content.clear();
        // The reader compares the checksum.
        file.read_to_end(&mut content)
            .map_err(|error| wrong(format!("{shown} cannot be read: {error}")))?;
        let mode = file.unix_mode().unwrap_or_default();
        let met = match listing.get(&path) {
            Some((FOLDER_MODE, _)) => (mode == FOLDER_MODE && content.is_empty()).then_some(()),
            Some((expected, id)) => {
                let hashed = Oid::hash_object(ObjectType::Blob, &content);
                let same = hashed.is_ok_and(|hashed| hashed.to_string() == *id);
                (same && mode == *expected).then_some(())
            }
            None if path == package::BUILD_INFO.as_bytes() => says(&content, commit).then_some(()),
            None => return Err(wrong(format!("{shown} is not in the commit"))),
        };
        met.ok_or_else(|| wrong(format!("{shown} (mode {mode:o}) is not as in the commit")))?;
        if summary
            .insert(path, (mode, content.len() as u64, file.crc32()))
            .is_some()
        {
            return Err(wrong(format!("{shown} occurs twice")));
        }
    }
    if let Some(missing) = listing.keys().find(|path| !summary.contains_key(*path)) {
        return Err(wrong(format!("{} is missing", String::from_utf8_lossy(missing))));
    }
    summary.retain(|path, _| listing.contains_key(path));
    compare(zip, &summary, theirs)
}

/// Compares names, modes, sizes and checksums with git archive's.
fn compare(zip: &Path, summary: &BTreeMap<Vec<u8>, (u32, u64, u32)>, theirs: &Path) -> Result<(), Error> {
    let wrong = |path: &[u8]| Error::Wrong {
        zip: zip.to_owned(),
        what: format!("{} is not as git archive has it", String::from_utf8_lossy(path)),
    };
    let mut archive = open(theirs)?;
    let mut met = 0;
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(Error::zip(theirs))?;
        let path = file.name_raw();
        // git archive writes modes of links and of what can be run, and an entry for each folder.
        let written = file.unix_mode().unwrap_or_default();
        let mode = match written & 0o170_111 {
            _ if path.ends_with(b"/") => FOLDER_MODE,
            mode if mode & 0o170_000 == 0o120_000 => 0o120_777,
            mode if mode & 0o111 != 0 => 0o100_755,
            _ => 0o100_644,
        };
        match summary.get(path) {
            Some(ours) if *ours == (mode, file.size(), file.crc32()) => met += 1,
            None if path.ends_with(b"/") => {}
            _ => return Err(wrong(path)),
        }
    }
    if met == summary.len() {
        return Ok(());
    }
    Err(Error::Wrong {
        zip: zip.to_owned(),
        what: format!("git archive has {met} of its {} entries", summary.len()),
    })
}

fn says(build_info: &[u8], commit: &str) -> bool {
    let json = serde_json::from_slice::<serde_json::Value>(build_info);
    json.is_ok_and(|json| json["commit"] == commit)
}

fn open(zip: &Path) -> Result<ZipArchive<BufReader<File>>, Error> {
    let file = File::open(zip).map_err(Error::io("read", zip))?;
    ZipArchive::new(BufReader::new(file)).map_err(Error::zip(zip))
}
