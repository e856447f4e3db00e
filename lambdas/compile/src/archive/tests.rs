//! Which zips are read and written, and which are refused.

use std::io::Cursor;

use super::*;

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().unix_permissions(0o644)
}

fn zip(entries: &[(&str, &[u8], SimpleFileOptions)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes, options) in entries {
        writer.start_file(*name, *options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn open(bytes: &[u8]) -> Result<Output, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("output.zip");
    std::fs::write(&path, bytes).unwrap();
    Output::open(&path)
}

fn refusal(bytes: &[u8]) -> String {
    match open(bytes) {
        Ok(_) => panic!("it is accepted"),
        Err(error) => error.to_string(),
    }
}

fn packed(bytes: &[u8], folder: &str) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("packed.zip");
    open(bytes).unwrap().pack(folder, &to).unwrap();
    std::fs::read(to).unwrap()
}

#[test]
fn the_same_files_become_the_same_bytes() {
    let late = options().last_modified_time(DateTime::from_date_and_time(2026, 11, 29, 1, 2, 4).unwrap());
    let stored = late
        .compression_method(CompressionMethod::Stored)
        .unix_permissions(0o600);
    let program = options().unix_permissions(0o700);
    let one = zip(&[
        ("Ask/a", b"a", options()),
        ("Ask/bootstrap", b"elf", program),
        ("Askew", b"x", late),
    ]);
    let two = zip(&[
        ("Ask/bootstrap", b"elf", late.unix_permissions(0o777)),
        ("Ask/a", b"a", stored),
    ]);
    let (one, two) = (packed(&one, "Ask"), packed(&two, "Ask"));
    assert_eq!(one, two);
    let mut archive = ZipArchive::new(Cursor::new(one)).unwrap();
    let mut listed = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).unwrap();
        listed.push((entry.name().unwrap().into_owned(), entry.unix_mode()));
        assert_eq!(entry.last_modified(), Some(DateTime::DEFAULT));
    }
    let expected = [("a", 0o100_644), ("bootstrap", 0o100_755)];
    assert_eq!(listed, expected.map(|(name, mode)| (name.to_owned(), Some(mode))));
}

/// If this fails, a new version of the zip crate or of zlib-rs writes other bytes: everything gets a new digest once.
#[test]
fn the_bytes_of_a_zip_are_pinned() {
    let text = "so it is ".repeat(1_000);
    let bytes = packed(&zip(&[("f/bootstrap", text.as_bytes(), options())]), "f");
    let digest = delivery::artifact::Digest::of(bytes);
    insta::assert_snapshot!(digest, @"7aef12a414127e9cd310d93a9154daa7ec8b0808fabb15c6e5e183249db219c0");
}

#[test]
fn a_path_that_leads_elsewhere_is_refused() {
    for name in [
        "../evil",
        "a/../../evil",
        "/etc/passwd",
        "a//b",
        "./a",
        "a/./b",
        "..",
        "a\\b",
        "C:\\a",
        "a\nb",
        "\u{1b}[2J",
    ] {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file(name, options()).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        let refusal = refusal(&bytes);
        assert!(refusal.contains("is not a path"), "{name:?}: {refusal}");
        assert!(
            !refusal.contains('\u{1b}') && !refusal.contains('\n'),
            "{refusal:?}"
        );
    }
    let long = "a".repeat(1_025);
    assert!(refusal(&zip(&[(&long, b"", options())])).contains("is not a path"));
}

#[test]
fn a_link_and_a_device_are_refused() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("Ask/link", "/etc/passwd", options()).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    assert!(refusal(&bytes).contains("Ask/link is neither a file nor a folder"));
    // The mode of a device, in the central directory.
    let mut bytes = zip(&[("Ask/device", b"", options())]);
    let central = bytes
        .windows(4)
        .rposition(|window| window == b"PK\x01\x02")
        .unwrap();
    bytes[central + 40..central + 42].copy_from_slice(&0o020_644_u16.to_le_bytes());
    assert!(refusal(&bytes).contains("Ask/device is neither a file nor a folder"));
}

#[test]
fn two_entries_of_one_path_are_refused() {
    let mut bytes = zip(&[("Ask/a", b"1", options()), ("Ask/b", b"2", options())]);
    for index in 0..bytes.len() - 5 {
        if &bytes[index..index + 5] == b"Ask/b" {
            bytes[index + 4] = b'a';
        }
    }
    let refusal = refusal(&bytes);
    assert!(
        refusal.contains("same path") || refusal.contains("uplicate"),
        "{refusal}"
    );
    let both = zip(&[("a", b"", options()), ("a/b", b"", options())]);
    assert!(self::refusal(&both).contains("a is both a file and a folder"));
}

#[test]
fn what_is_no_zip_is_refused() {
    for bytes in [&b""[..], b"hello", &zip(&[("a", b"1", options())])[..40]] {
        assert!(refusal(bytes).contains("is not a zip"), "{bytes:?}");
    }
}

#[test]
fn a_file_that_says_it_is_small_and_is_not_is_refused() {
    let zeros = vec![0; 1 << 20];
    let mut bytes = zip(&[("template.yaml", &zeros, options())]);
    let central = bytes
        .windows(4)
        .rposition(|window| window == b"PK\x01\x02")
        .unwrap();
    for (start, size) in [(central + 24, 10_u32), (22, 10)] {
        bytes[start..start + 4].copy_from_slice(&size.to_le_bytes());
    }
    let mut output = open(&bytes).unwrap();
    assert!(matches!(
        output.read("template.yaml", 1_000),
        Err(Error::Output(_))
    ));
    let place = tempfile::tempdir().unwrap();
    let honest = zip(&[("template.yaml", &zeros, options())]);
    let error = open(&honest).unwrap().read("template.yaml", 1_000).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("template.yaml has more than 1000 bytes"),
        "{error}"
    );
    assert!(open(&honest).unwrap().pack("", &place.path().join("a")).is_ok());
}

#[test]
fn more_than_lambda_accepts_is_refused() {
    let zeros = vec![0; 100 << 20];
    let names = ["f/a", "f/b", "f/c", "g/a"];
    let bytes = zip(&names.map(|name| (name, &zeros[..], options())));
    let place = tempfile::tempdir().unwrap();
    let mut output = open(&bytes).unwrap();
    let error = output.pack("f", &place.path().join("f")).unwrap_err().to_string();
    assert!(
        error.contains("the files in f have more than 262144000 bytes"),
        "{error}"
    );
    output.pack("g", &place.path().join("g")).unwrap();
}

#[test]
fn a_damaged_file_is_told_from_a_full_disk() {
    let mut bytes = zip(&[(
        "f/a",
        &[7; 100],
        options().compression_method(CompressionMethod::Stored),
    )]);
    let data = bytes.windows(10).position(|window| window == [7; 10]).unwrap();
    bytes[data] = 8;
    let place = tempfile::tempdir().unwrap();
    let error = open(&bytes)
        .unwrap()
        .pack("f", &place.path().join("f"))
        .unwrap_err();
    assert!(error.to_string().contains("f/a cannot be read"), "{error}");
    let full = read_failed("f/a", io::Error::other("no space"));
    assert!(matches!(full, Error::Workspace(_)));
}

#[test]
fn programs_of_a_zip_without_modes_can_be_run() {
    let mut bytes = zip(&[("f/bootstrap", b"elf", options())]);
    let central = bytes
        .windows(4)
        .rposition(|window| window == b"PK\x01\x02")
        .unwrap();
    // "Made by" MS-DOS, without attributes.
    bytes[central + 5] = 0;
    bytes[central + 38..central + 42].copy_from_slice(&[0; 4]);
    let mut archive = ZipArchive::new(Cursor::new(packed(&bytes, "f"))).unwrap();
    assert_eq!(archive.by_index(0).unwrap().unix_mode(), Some(0o100_755));
}
