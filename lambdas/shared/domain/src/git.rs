//! Newtypes for git's object ids, ref names and repository paths.

use crate::Invalid;
use crate::text::text_newtype;

text_newtype!(
    /// The id of a git object: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits, never all zeros.
    ObjectId,
    parse_object_id
);

text_newtype!(
    /// The id of a commit, which is an [`ObjectId`] that was looked up and found to be a commit.
    CommitId,
    parse_object_id
);

text_newtype!(
    /// A full ref name, such as `refs/heads/main`, under the rules of `git check-ref-format`.
    RefName,
    parse_ref_name
);

text_newtype!(
    /// A repository's path on its host, such as `group/project`: no leading slash, no `.git` at its end.
    RepositoryPath,
    parse_repository_path
);

impl ObjectId {
    /// Parses an object id of a payload. Returns `None` if it is all zeros, which git hosts write for "no object".
    ///
    /// # Errors
    /// Returns [`Invalid`] if it is neither an object id nor all zeros.
    pub fn parse_nullable(text: &str) -> Result<Option<Self>, Invalid> {
        if matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte == b'0') {
            return Ok(None);
        }
        text.parse().map(Some)
    }

    /// Converts the id to that of a commit, once it was looked up and found to be one.
    #[must_use]
    pub fn into_commit(self) -> CommitId {
        CommitId(self.0)
    }
}

impl CommitId {
    /// Returns the first eight digits, as people write ids.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl RefName {
    /// Returns the name without `refs/`, such as `heads/main` or `tags/v1`.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.strip_prefix("refs/").unwrap_or(&self.0)
    }
}

/// Returns `path` without a `.git` at its end.
#[must_use]
pub fn without_dot_git(path: &str) -> &str {
    path.strip_suffix(".git").unwrap_or(path)
}

fn parse_object_id(text: &str) -> Result<String, Invalid> {
    let invalid = |rule: &str| Err(Invalid::new("object id", text, rule));
    if !matches!(text.len(), 40 | 64) {
        return invalid("it must have 40 or 64 digits");
    }
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return invalid("its digits must be 0-9 and a-f");
    }
    if text.bytes().all(|byte| byte == b'0') {
        return invalid("all zeros stand for no object");
    }
    Ok(text.to_owned())
}

/// Checks a ref name by <https://git-scm.com/docs/git-check-ref-format>. It must also begin with `refs/` and have at
/// most 1,000 bytes.
fn parse_ref_name(text: &str) -> Result<String, Invalid> {
    let invalid = |rule: &str| Err(Invalid::new("ref name", text, rule));
    let Some(short) = text.strip_prefix("refs/") else {
        return invalid("it must begin with refs/");
    };
    if text.len() > 1_000 {
        return invalid("it must have at most 1,000 bytes");
    }
    if !short.contains('/') {
        return invalid("it must have a kind and a name, as in refs/heads/main");
    }
    if text.contains("..") || text.contains("@{") || text.ends_with('.') {
        return invalid("it must not contain '..' or '@{', or end with '.'");
    }
    if text
        .chars()
        .any(|char| char.is_control() || " ~^:?*[\\".contains(char))
    {
        return invalid("it must not contain a control character, a space, or any of ~ ^ : ? * [ \\");
    }
    if text
        .split('/')
        .any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock"))
    {
        return invalid("no part of it may be empty, begin with '.' or end with '.lock'");
    }
    Ok(text.to_owned())
}

fn parse_repository_path(text: &str) -> Result<String, Invalid> {
    let trimmed = text.trim_matches('/');
    let path = without_dot_git(trimmed);
    let invalid = |rule: &str| Err(Invalid::new("repository path", text, rule));
    if path.is_empty() || path.len() > 512 {
        return invalid("it must have 1 to 512 bytes");
    }
    if path.chars().any(|char| char.is_control() || char == '\\') {
        return invalid("it must not contain a control character or a backslash");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return invalid("no part of it may be empty, '.' or '..'");
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_ids_are_40_or_64_lower_case_digits() {
        let sha1 = "a".repeat(40);
        let sha256 = "b".repeat(64);
        assert_eq!(sha1.parse::<ObjectId>().unwrap().as_str(), sha1);
        assert_eq!(sha256.parse::<ObjectId>().unwrap().as_str(), sha256);
        for wrong in [
            "",
            "abc",
            &"A".repeat(40),
            &"g".repeat(40),
            &"0".repeat(40),
            &"a".repeat(41),
        ] {
            assert!(wrong.parse::<ObjectId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn all_zeros_stand_for_no_object() {
        assert_eq!(ObjectId::parse_nullable(&"0".repeat(40)).unwrap(), None);
        assert!(ObjectId::parse_nullable(&"1".repeat(40)).unwrap().is_some());
        assert!(ObjectId::parse_nullable("0").is_err());
    }

    #[test]
    fn ref_names_follow_check_ref_format() {
        for right in [
            "refs/heads/main",
            "refs/tags/v1.0",
            "refs/heads/feature/x@y",
            "refs/heads/ünï",
        ] {
            assert!(right.parse::<RefName>().is_ok(), "{right}");
        }
        for wrong in [
            "main",
            "refs/main",
            "refs/heads/",
            "refs/heads/a..b",
            "refs/heads/a b",
            "refs/heads/a:b",
            "refs/heads/.a",
            "refs/heads/a.lock",
            "refs/heads/a//b",
            "refs/heads/a@{b",
            "refs/heads/a.",
            "refs/heads/a\u{7}",
        ] {
            assert!(wrong.parse::<RefName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn repository_paths_lose_slashes_and_dot_git_and_never_go_up() {
        let path: RepositoryPath = "/group/sub/project.git".parse().unwrap();
        assert_eq!(path.as_str(), "group/sub/project");
        for wrong in ["", "/", ".git", "a/../b", "a//b", "./a", "a\\b", "a\nb"] {
            assert!(wrong.parse::<RepositoryPath>().is_err(), "{wrong:?}");
        }
    }
}
