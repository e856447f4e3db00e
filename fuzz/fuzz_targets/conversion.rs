//! The other conversions of `.gitattributes`: `ident`, `eol` and `working-tree-encoding`.

#![no_main]

use git2::Oid;
use libfuzzer_sys::fuzz_target;
use package::fuzzing::{crlf, encode, expand};

fuzz_target!(|input: &[u8]| {
    let Some([encoding, content]) = fuzz::parts(input) else {
        return;
    };
    let id = Oid::from_str("da1560886d4f094c3e6c9ef40349f7d38b5d27d7").expect("an id");
    if let Some(expanded) = expand(content, id) {
        assert_eq!(expand(&expanded, id), Some(expanded));
    }
    for auto in [false, true] {
        if let Some(converted) = crlf(content, auto) {
            assert_eq!(crlf(&converted, auto), None);
            assert_eq!(lf(&converted), lf(content));
        }
    }
    if let Some(encoded) = encode(encoding, content) {
        assert!(encoded.len() <= 4 * content.len() + 4);
        assert!(std::str::from_utf8(content).is_ok());
    }
});

/// Returns the content with LF instead of CRLF.
fn lf(content: &[u8]) -> Vec<u8> {
    let mut lf = Vec::new();
    for byte in content {
        if *byte == b'\n' && lf.ends_with(b"\r") {
            lf.pop();
        }
        lf.push(*byte);
    }
    lf
}
