//! Where a symbolic link leads.

/// Whether the link at `path` leads out of the tree by its text alone: to an absolute path, or above the root on the way.
/// It may lead through another link, whose own target counts for itself, unless it [turns] there.
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

/// Whether the link at `path` leads through another link and goes up afterwards. That is up from wherever the other one
/// leads to, which the text does not say: it may be the root.
pub fn turns(path: &[u8], target: &[u8], is_link: impl Fn(&[u8]) -> bool) -> bool {
    let mut at: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    at.pop();
    let mut through = false;
    for part in target.split(|byte| matches!(byte, b'/' | b'\\')) {
        match part {
            b"" | b"." => {}
            b".." if through => return true,
            b".." => {
                at.pop();
            }
            name => {
                at.push(name);
                through = through || is_link(&at.join(&b'/'));
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_go_up_after_another_link() {
        let is_link = |path: &[u8]| path == b"dir/root";
        for (path, target, turn) in [
            ("x", "dir/root/..", true),
            ("x", "./dir//root/a/../b", true),
            ("dir/x", "root\\..", true),
            ("a/x", "../dir/root/../c", true),
            ("x", "dir/root", false),
            ("x", "dir/root/a", false),
            ("x", "dir/../root/..", false),
            ("a/x", "dir/root/..", false),
        ] {
            assert_eq!(
                turns(path.as_bytes(), target.as_bytes(), is_link),
                turn,
                "{path} -> {target}"
            );
        }
    }

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
