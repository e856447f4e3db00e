//! Where a symbolic link leads, by its text alone.

/// Whether the link at `path` leads out of the tree: to an absolute path, or above the root on the way. It may lead
/// through another link, whose own target counts for itself.
pub fn leaves(path: &[u8], target: &[u8]) -> bool {
    let absolute = matches!(target, [b'/' | b'\\', ..] | [b'A'..=b'Z' | b'a'..=b'z', b':', ..]);
    let mut depth = path.iter().filter(|byte| **byte == b'/').count();
    // A backslash separates on Windows only: there is no name with which it does harm elsewhere.
    for part in target.split(|byte| matches!(byte, b'/' | b'\\')) {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    absolute
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert!(leaves(path.as_bytes(), target.as_bytes()), "{path} -> {target}");
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
        ] {
            assert!(!leaves(path.as_bytes(), target.as_bytes()), "{path} -> {target}");
        }
    }
}
