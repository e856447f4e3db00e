//! The keys of objects: destination keys by a template, and staging keys by push.

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::push::{Push, PushId};
use crate::text::text_newtype;

text_newtype!(
    /// The key of an S3 object: 1 to 1,024 bytes of UTF-8.
    ObjectKey,
    parse_object_key
);

text_newtype!(
    /// The template of the destination keys, with the placeholders `{source}`, `{repository}`, `{ref}` and `{after}`.
    KeyTemplate,
    parse_key_template
);

const PLACEHOLDERS: [&str; 4] = ["source", "repository", "ref", "after"];

impl Default for KeyTemplate {
    fn default() -> Self {
        Self("{source}/{repository}/{ref}.zip".to_owned())
    }
}

impl KeyTemplate {
    /// Returns the key of `push`. With the default template two repositories or refs never share a key.
    ///
    /// `{ref}` is the name of a branch or tag without `refs/`, such as `heads/main`, or the full name of any other ref.
    /// To distinguish `a` + `heads/b/heads/c` from `a/heads/b` + `heads/c`, a part of the repository's path that is
    /// `heads`, `tags` or `refs` has its first letter percent-encoded, and `%` is written `%25`.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the key would be longer than S3 allows.
    pub fn render(&self, push: &Push) -> Result<ObjectKey, Invalid> {
        let repository = push
            .repository
            .as_str()
            .split('/')
            .map(|part| match part {
                "heads" => "%68eads".to_owned(),
                "tags" => "%74ags".to_owned(),
                "refs" => "%72efs".to_owned(),
                _ => part.replace('%', "%25"),
            })
            .collect::<Vec<_>>()
            .join("/");
        let mut key = String::new();
        let mut rest = self.0.as_str();
        while let Some((literal, after_brace)) = rest.split_once('{') {
            key.push_str(literal);
            let (name, tail) = after_brace.split_once('}').unwrap_or((after_brace, ""));
            match name {
                "source" => key.push_str(push.source.as_str()),
                "repository" => key.push_str(&repository),
                "ref" => key.push_str(match push.ref_name.short() {
                    short if short.starts_with("heads/") || short.starts_with("tags/") => short,
                    _ => push.ref_name.as_str(),
                }),
                _ => key.push_str(push.after.as_ref().map_or("", |after| after.as_str())),
            }
            rest = tail;
        }
        key.push_str(rest);
        let key: ObjectKey = key.parse()?;
        // The provenance document beside it needs a key too.
        provenance_key(&key, &push.push_id)?;
        Ok(key)
    }
}

impl KeyTemplate {
    /// Returns whether each commit has a key of its own.
    #[must_use]
    pub fn is_of_each_commit(&self) -> bool {
        self.0.contains("{after}")
    }
}

/// Returns the key of the provenance document of the zip that a push writes to `key`. Each push has its own, so a late
/// push never replaces that of another.
///
/// # Errors
/// Returns [`Invalid`] if the key would be longer than S3 allows.
pub fn provenance_key(key: &ObjectKey, push_id: &PushId) -> Result<ObjectKey, Invalid> {
    format!("{key}.provenance/{push_id}.json").parse()
}

/// Returns the key of an intermediate object of a push in the staging bucket.
///
/// # Errors
/// Returns [`Invalid`] if `name` makes the key longer than S3 allows.
pub fn staging_key(push_id: &PushId, name: &str) -> Result<ObjectKey, Invalid> {
    format!("pushes/{push_id}/{name}").parse()
}

/// Returns the key of an object that a push leaves in the staging bucket for the next pushes of its repository.
///
/// # Errors
/// Returns [`Invalid`] if `name` makes the key longer than S3 allows.
pub fn base_key(push_id: &PushId, name: &str) -> Result<ObjectKey, Invalid> {
    format!("bases/{push_id}/{name}").parse()
}

/// Returns whether a push has left an object of this key for the next ones.
#[must_use]
pub fn is_base_key(key: &ObjectKey) -> bool {
    key.as_str().starts_with("bases/")
}

/// Returns the key of a push's LFS object in the staging bucket.
///
/// # Errors
/// Returns [`Invalid`] if `oid` makes the key longer than S3 allows.
pub fn lfs_key(push_id: &PushId, oid: &str) -> Result<ObjectKey, Invalid> {
    staging_key(push_id, &format!("lfs/{oid}"))
}

/// An object and the bucket that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: ObjectKey,
}

impl std::fmt::Display for Destination {
    /// Writes the object's URL, `s3://bucket/key`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.key)
    }
}

fn parse_object_key(text: &str) -> Result<String, Invalid> {
    if (1..=1_024).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new("object key", text, "it must have 1 to 1,024 bytes"))
    }
}

fn parse_key_template(text: &str) -> Result<String, Invalid> {
    let invalid = |rule: String| Err(Invalid::new("key template", text, rule));
    if text.is_empty() || text.starts_with('/') {
        return invalid("it must not be empty or begin with a slash".to_owned());
    }
    let mut rest = text;
    while let Some((literal, after_brace)) = rest.split_once('{') {
        let Some((name, tail)) = after_brace.split_once('}') else {
            return invalid("each { needs a }".to_owned());
        };
        if literal.contains('}') || !PLACEHOLDERS.contains(&name) {
            return invalid(format!(
                "its only placeholders are {{{}}}",
                PLACEHOLDERS.join("}, {")
            ));
        }
        rest = tail;
    }
    if rest.contains('}') {
        return invalid("each } needs a {".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples;

    fn push(repository: &str, ref_name: &str) -> Push {
        Push {
            repository: repository.parse().unwrap(),
            after: Some(samples::object_id('c')),
            ..samples::push("d", ref_name)
        }
    }

    #[test]
    fn the_default_template_has_source_repository_and_ref() {
        let key = KeyTemplate::default()
            .render(&push("group/project", "refs/heads/main"))
            .unwrap();
        assert_eq!(key.as_str(), "gitlab/group/project/heads/main.zip");
    }

    #[test]
    fn a_template_may_only_have_known_placeholders() {
        let template: KeyTemplate = "releases/{after}.zip".parse().unwrap();
        let key = template.render(&push("a/b", "refs/tags/v1")).unwrap();
        assert_eq!(key.as_str(), format!("releases/{}.zip", "c".repeat(40)));
        for wrong in ["", "/x", "{branch}.zip", "{ref", "ref}", "a}{ref}"] {
            assert!(wrong.parse::<KeyTemplate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_s3_would_refuse_is_an_error() {
        let long = format!("refs/heads/{}", "x".repeat(900));
        let repository = "r".repeat(300);
        assert!(KeyTemplate::default().render(&push(&repository, &long)).is_err());
    }

    /// Generates paths of parts that make ambiguous cases likely.
    fn path() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec!["a", "b", "heads", "tags", "refs", "%68eads", "%"]);
        prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
    }

    fn kind() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["heads", "tags", "refs", "x", "merge-requests"])
    }

    #[test]
    fn a_ref_that_is_neither_a_branch_nor_a_tag_keeps_its_whole_name() {
        let key = |repository, ref_name| {
            KeyTemplate::default()
                .render(&push(repository, ref_name))
                .unwrap()
        };
        assert_eq!(key("a", "refs/x/heads/y").as_str(), "gitlab/a/refs/x/heads/y.zip");
        assert_eq!(key("a/x", "refs/heads/y").as_str(), "gitlab/a/x/heads/y.zip");
        assert_eq!(
            key("a/refs", "refs/heads/y").as_str(),
            "gitlab/a/%72efs/heads/y.zip"
        );
    }

    proptest! {
        #[test]
        fn two_repositories_or_refs_never_share_a_key(one in (path(), kind(), path()), two in (path(), kind(), path())) {
            let first = push(&one.0, &format!("refs/{}/{}", one.1, one.2));
            let second = push(&two.0, &format!("refs/{}/{}", two.1, two.2));
            let same = first.repository == second.repository && first.ref_name == second.ref_name;
            let template = KeyTemplate::default();
            prop_assert_eq!(template.render(&first).unwrap() == template.render(&second).unwrap(), same);
        }
    }
}
