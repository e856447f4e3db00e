//! Parses Git LFS pointers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tree::Pointer;

fuzz_target!(|input: &[u8]| {
    if let Some(pointer) = Pointer::parse(input) {
        let (oid, size) = (&pointer.oid, pointer.size);
        let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n");
        let again = Pointer::parse(text.as_bytes()).expect("a pointer");
        assert_eq!((&again.oid, again.size, again.extended), (oid, size, false));
        let input = String::from_utf8_lossy(input);
        assert!(input.contains(oid.as_str()) && input.contains(&size.to_string()));
    }
});
