//! Replaces `$Format:...$` in any file, for any commit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use package::fuzzing::substitute;

fuzz_target!(|input: &[u8]| {
    let Some([commit, content]) = fuzz::parts(input) else {
        return;
    };
    let substituted = substitute(commit, content);
    let formats = content.windows(8).any(|window| window == b"$Format:");
    assert!(formats || substituted.is_none());
    let end = content
        .iter()
        .rposition(|byte| *byte == b'$')
        .map_or(0, |at| at + 1);
    if let Some(substituted) = substituted {
        assert!(substituted.ends_with(&content[end..]));
    }
});
