//! Writes any entries into a zip, which another implementation must read, and from which later pushes take the data.

#![no_main]

use std::io::{Cursor, Read as _};

use libfuzzer_sys::fuzz_target;
use package::fuzzing::{EntryKind, earlier, zip};

fuzz_target!(|input: &[u8]| {
    let mut entries: Vec<(Vec<u8>, EntryKind, Vec<u8>)> = Vec::new();
    for entry in input.split(|byte| *byte == 0xff) {
        // An entry is a kind, the number of repetitions of the data, the path, a NUL, and the data.
        let [kind, times, rest @ ..] = entry else { continue };
        let mut parts = rest.splitn(2, |byte| *byte == 0);
        let mut path = parts.next().unwrap_or_default().to_vec();
        let mut data = parts.next().unwrap_or_default().repeat(usize::from(*times));
        let kind = [
            EntryKind::File,
            EntryKind::Executable,
            EntryKind::Large,
            EntryKind::Symlink,
            EntryKind::Folder,
        ][usize::from(kind % 5)];
        // Paths are those of a listing.
        path.retain(|byte| *byte != b'/' && *byte != b'\\');
        match kind {
            EntryKind::Folder => {
                path.push(b'/');
                data.clear();
            }
            // Some large files have more than one segment.
            EntryKind::Large if *times > 240 => data = data.into_iter().cycle().take(1_100_000).collect(),
            _ => {}
        }
        // The reader takes two names for the same if they differ only in the UTF-8 mark.
        let new = entries.iter().all(|(one, _, _)| *one != path);
        if new && !matches!(path.as_slice(), b"" | b"/") && std::str::from_utf8(&path).is_ok() {
            entries.push((path, kind, data));
        }
    }
    let bytes = zip(&entries, (0xB1AA, 0x576E)).expect("memory");
    let earlier = earlier(&bytes).expect("its data").expect("a zip");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("a zip");
    assert_eq!(archive.len(), entries.len());
    for (index, (path, kind, data)) in entries.iter().enumerate() {
        let mut file = archive.by_index(index).expect("an entry");
        assert_eq!(file.name_raw(), path);
        let mode = match kind {
            EntryKind::File | EntryKind::Large => 0o100_644,
            EntryKind::Executable => 0o100_755,
            EntryKind::Symlink => 0o120_777,
            EntryKind::Folder => 0o040_755,
        };
        assert_eq!(file.unix_mode(), Some(mode));
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("its checksum holds");
        assert!(content == *data);
        drop(file);
        let mut raw = Vec::new();
        let mut file = archive.by_index_raw(index).expect("an entry");
        file.read_to_end(&mut raw).expect("its data");
        if *kind != EntryKind::Folder {
            assert!(earlier[path] == raw);
        }
    }
});
