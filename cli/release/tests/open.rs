//! Opens releases as `push-code deploy --release` does.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use local_aws::application::PUSH_CODE;
use local_aws::architecture::Architecture;
use release::pack::{Content, Entry, pack};
use release::{Error, Release, layout, sums};
use shell::progress::Progress;
use tar::{EntryType, Header};

const VERSION: &str = "1.2.3";

/// Writes the archive of a release that has functions for these processors. Returns its path.
fn archive(folder: &Path, architectures: &[Architecture]) -> PathBuf {
    let text = |text: &str| Entry {
        content: Content::Text(text.to_owned()),
        is_program: false,
    };
    let mut entries = BTreeMap::from([(PathBuf::from("samconfig.toml"), text("version = 0.1"))]);
    for &architecture in architectures {
        let path = layout::template_path(&PUSH_CODE, architecture);
        entries.insert(path, text("Outputs:\n  Version:\n    Value: 1.2.3\n"));
    }
    let archive = folder.join(layout::archive(VERSION));
    pack(&archive, &layout::name(VERSION), &entries, 0).unwrap();
    archive
}

/// Writes an archive with one entry that has this path, whatever it is, or a link to it.
fn hostile(archive: &Path, path: &str, kind: EntryType) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    let name = if kind.is_file() {
        path
    } else {
        "push-code-1.2.3/link"
    };
    // `set_path` would refuse it.
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    if !kind.is_file() {
        header.set_link_name_literal(path).unwrap();
    }
    let content = if kind.is_file() { "evil" } else { "" };
    header.set_size(content.len() as u64);
    header.set_cksum();
    let file = File::create(archive).unwrap();
    let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    tar.append(&header, content.as_bytes()).unwrap();
    tar.into_inner().unwrap().finish().unwrap();
}

fn open(path: &Path) -> Result<Release, Error> {
    Release::open(path, Progress::Silent)
}

#[test]
fn a_release_is_opened_by_its_archive_or_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path(), &[Architecture::Arm64, Architecture::X86_64]);
    let release = open(&archive).unwrap();
    assert_eq!(release.version(), VERSION);
    assert_eq!(
        release.architectures(),
        [Architecture::X86_64, Architecture::Arm64]
    );
    for &architecture in release.architectures() {
        assert!(release.template(architecture).is_file());
    }
    let unpacked = release.folder().to_owned();
    assert!(unpacked.join("samconfig.toml").is_file());
    let again = open(&unpacked).unwrap();
    assert_eq!(again.version(), VERSION);
    drop(release);
    assert!(!unpacked.exists(), "what was unpacked is removed");
}

#[test]
fn an_archive_is_the_one_that_the_checksums_beside_it_name() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path(), &[Architecture::X86_64]);
    sums::write(folder.path(), &[layout::archive(VERSION)]).unwrap();
    open(&archive).unwrap();
    let mut bytes = std::fs::read(&archive).unwrap();
    // The operating system in the header of gzip: the archive stays readable.
    bytes[9] ^= 1;
    std::fs::write(&archive, bytes).unwrap();
    let error = open(&archive).unwrap_err();
    assert!(matches!(error, Error::WrongChecksum { .. }), "{error}");
    std::fs::remove_file(folder.path().join(layout::SUMS)).unwrap();
    open(&archive).unwrap();
}

#[test]
fn what_would_be_written_elsewhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("evil.tar.gz");
    let target = folder.path().join("target");
    for (path, kind) in [
        ("push-code-1.2.3/../../evil", EntryType::Regular),
        ("../evil", EntryType::Regular),
        ("/etc/passwd", EntryType::Symlink),
        (target.to_str().unwrap(), EntryType::Symlink),
        ("push-code-1.2.3/x86_64/template.yaml", EntryType::Link),
    ] {
        hostile(&archive, path, kind);
        let error = open(&archive).unwrap_err();
        assert!(matches!(error, Error::UnsafeEntry { .. }), "{path}: {error}");
    }
    assert!(!std::env::temp_dir().join("evil").exists());
}

#[test]
fn what_is_no_release_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path, reason: &str| {
        let error = open(path).unwrap_err();
        assert!(matches!(error, Error::NotARelease { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    };
    let file = folder.path().join("x.tar.gz");
    std::fs::write(&file, "no archive").unwrap();
    refused(&file, "it cannot be unpacked");
    let whole = std::fs::read(archive(folder.path(), &[Architecture::X86_64])).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    refused(&file, "it cannot be unpacked");
    refused(&archive(folder.path(), &[]), "it has no x86_64/template.yaml");
    refused(folder.path(), "it has no x86_64/template.yaml");
    let missing = open(&folder.path().join("missing.tar.gz")).unwrap_err();
    assert!(matches!(missing, Error::Io(_)), "{missing}");
}
