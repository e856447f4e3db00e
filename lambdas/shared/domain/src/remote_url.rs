//! The URL of a repository: parsed once, where it comes in, and valid and without secrets ever after.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::Invalid;
use crate::git::{RepositoryPath, without_dot_git};

/// A URL's scheme, host and port: what has to be equal for two URLs to be on one server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// Creates an origin of these parts. The case of `host` does not matter.
    #[must_use]
    pub fn new(scheme: &str, host: &str, port: u16) -> Self {
        Self {
            scheme: scheme.to_owned(),
            host: host.to_ascii_lowercase(),
            port,
        }
    }

    /// Returns the origin of `url`, or `None` if it has no host, or if it has no port and its scheme has no usual one.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        let port = url.port().or_else(|| usual_port(url.scheme()))?;
        Some(Self::new(url.scheme(), url.host_str()?, port))
    }

    /// Returns the scheme.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the host's name in lower case, or its address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Origin {
    /// Writes `scheme://host[:port]`, as the git secret names a host.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.host)?;
        if usual_port(&self.scheme) == Some(self.port) {
            return Ok(());
        }
        write!(formatter, ":{}", self.port)
    }
}

fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        "ssh" => Some(22),
        _ => None,
    }
}

/// The URL of a repository that can be fetched, by `https`, `http` or `ssh`.
///
/// It has no secret in it. What a text has of them is dropped when it is parsed: a password, a query, a fragment, and
/// the user of `https` and `http`, which may be a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RemoteUrl {
    url: Url,
    origin: Origin,
}

impl RemoteUrl {
    /// Reads a URL, or git's short form for SSH: `[user@]host:group/project.git`.
    ///
    /// # Errors
    /// [`Invalid`], which quotes no credentials.
    pub fn parse_with_short_form(text: &str) -> Result<Self, Invalid> {
        match short_form(text) {
            Some((host, path)) => {
                let full = format!("ssh://{host}/{}", path.trim_start_matches('/'));
                full.parse()
            }
            None => text.parse(),
        }
    }

    /// Returns the URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Returns the URL for a client.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.url
    }

    /// Returns `https`, `http` or `ssh`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.url.scheme()
    }

    /// Returns the user of an SSH URL, or `None` if it has no user or is not for SSH.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        Some(self.url.username()).filter(|user| !user.is_empty())
    }

    /// Returns the host's name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Returns the port, or `None` if the URL has none, or the usual one of HTTP.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.url.port()
    }

    /// Returns what has to be equal for another URL to be on the same server.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the path, percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// Returns the path, percent-encoded, without slashes and `.git` at its end.
    #[must_use]
    pub fn path_without_git(&self) -> &str {
        without_dot_git(self.path().trim_end_matches('/'))
    }

    /// Returns the repository that the whole path names, as [`repository_below`](Self::repository_below) does.
    #[must_use]
    pub fn repository(&self) -> Option<RepositoryPath> {
        self.repository_below("")
    }

    /// Returns the repository that the path names below `prefix`, percent-decoded, as a git host reads it. Returns
    /// `None` if the path is not below the prefix or names no repository, and if it has an encoded slash, since hosts
    /// do not agree on what that is.
    #[must_use]
    pub fn repository_below(&self, prefix: &str) -> Option<RepositoryPath> {
        let path = self.path().strip_prefix(prefix)?;
        if !path.starts_with('/') {
            return None;
        }
        let decoded = percent_decode_str(path).decode_utf8().ok()?;
        let slashes = |text: &str| text.matches('/').count();
        (slashes(&decoded) == slashes(path))
            .then(|| decoded.parse().ok())
            .flatten()
    }

    /// Returns the URL with another path.
    #[must_use]
    pub fn with_path(&self, path: &str) -> Self {
        let mut changed = self.clone();
        changed.url.set_path(path);
        changed
    }

    /// Returns the URL with the user of `other`, if both are for SSH and `other` has one.
    #[must_use]
    pub fn with_user_of(&self, other: &Self) -> Self {
        let mut changed = self.clone();
        if let (Some(user), "ssh") = (other.user(), self.scheme()) {
            // This fails only for a URL without a host.
            let _ = changed.url.set_username(user);
        }
        changed
    }

    /// Returns the URL without a user, which is all that it may have of a login.
    #[must_use]
    pub fn without_credentials(&self) -> Self {
        Self {
            url: without_credentials(&self.url),
            origin: self.origin.clone(),
        }
    }
}

impl TryFrom<Url> for RemoteUrl {
    type Error = Invalid;

    fn try_from(url: Url) -> Result<Self, Invalid> {
        let invalid = |rule: &str| Invalid::new("repository URL", &without_login(url.as_str()), rule);
        if !matches!(url.scheme(), "https" | "http" | "ssh") {
            return Err(invalid("its scheme is https, http or ssh"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(invalid("it names a host"));
        }
        let origin = Origin::of(&url).ok_or_else(|| invalid("it names a host"))?;
        Ok(Self {
            url: without_secrets(url),
            origin,
        })
    }
}

impl FromStr for RemoteUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let url = Url::parse(text)
            .map_err(|error| Invalid::new("repository URL", &without_login(text), error.to_string()))?;
        url.try_into()
    }
}

impl TryFrom<String> for RemoteUrl {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<RemoteUrl> for String {
    fn from(url: RemoteUrl) -> Self {
        url.url.into()
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Returns whether `text` is in git's short form for SSH, `[user@]host:path`. As in git, a text with a slash before the
/// colon is not.
#[must_use]
pub fn is_short_form(text: &str) -> bool {
    short_form(text).is_some()
}

fn short_form(text: &str) -> Option<(&str, &str)> {
    let (host, path) = text.split_once(':')?;
    let is_host = !host.is_empty() && !host.contains('/') && !text.contains("://");
    is_host.then_some((host, path))
}

/// Returns `url` without user, password, query and fragment, to be shown to people. It may be any URL, such as one that
/// is signed by its query.
#[must_use]
pub fn without_credentials(url: &Url) -> Url {
    let mut url = without_secrets(url.clone());
    // This fails only for a URL without a host, which has no user.
    let _ = url.set_username("");
    url
}

/// Removes password, query and fragment from `url`, and the user too, unless it is for SSH.
fn without_secrets(mut url: Url) -> Url {
    // Neither fails for a URL with a host, and one without has no credentials.
    let _ = url.set_password(None);
    if url.scheme() != "ssh" {
        let _ = url.set_username("");
    }
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Returns a payload's clone URL as it may be kept and shown: without password, query and fragment, and without the
/// user of HTTP, which may be a token. Returns `None` if it is not a URL, and if git's short form for SSH may hide a
/// password.
#[must_use]
pub fn public_url(text: &str) -> Option<String> {
    if !text.contains("://") {
        let (_, path) = text.split_once(':')?;
        return (!path.contains(['@', '?', '#'])).then(|| text.to_owned());
    }
    Some(without_secrets(Url::parse(text).ok()?).into())
}

/// Returns `text`, which need not be a URL, as messages quote it: without what is before the last `@`, which may be a
/// password, and without what follows a `?` or `#`.
#[must_use]
pub fn without_login(text: &str) -> String {
    let is_scheme = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (format!("{scheme}://"), rest),
        _ => (String::new(), text),
    };
    let rest = rest.rsplit('@').next().unwrap_or_default();
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    scheme + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::GitHost;

    fn parse(text: &str) -> RemoteUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_url_is_of_a_repository_that_can_be_fetched() {
        let url = parse("ssh://git@Git.example.com:2222/group/a%20b.git/");
        assert_eq!((url.scheme(), url.user()), ("ssh", Some("git")));
        assert_eq!((url.host(), url.port()), ("Git.example.com", Some(2222)));
        assert_eq!(url.path(), "/group/a%20b.git/");
        assert_eq!(url.path_without_git(), "/group/a%20b");
        assert_eq!(url.repository().unwrap().as_str(), "group/a b");
        assert_eq!(url.origin(), &Origin::new("ssh", "git.example.com", 2222));
        for wrong in [
            "",
            "git.example.com/a.git",
            "git@git.example.com:a.git",
            "file:///etc",
            "git://git.example.com/a.git",
            "ext::sh -c id",
            "https://",
            "ssh:///a.git",
            "ssh:a.git",
        ] {
            assert!(wrong.parse::<RemoteUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_dropped() {
        for (text, expected) in [
            (
                "https://user:secret@git.example.com/a.git?private_token=secret#secret",
                "https://git.example.com/a.git",
            ),
            (
                "https://secret@git.example.com/a.git",
                "https://git.example.com/a.git",
            ),
            (
                "ssh://git:secret@git.example.com:22/a.git",
                "ssh://git@git.example.com:22/a.git",
            ),
        ] {
            let url = parse(text);
            assert_eq!(url.as_str(), expected);
            assert_eq!(url.without_credentials().user(), None);
        }
    }

    #[test]
    fn only_an_ssh_url_takes_the_user_of_another() {
        let other = parse("ssh://git@git.example.com/b.git");
        for (text, expected) in [
            ("ssh://git.example.com/a.git", "ssh://git@git.example.com/a.git"),
            (
                "ssh://jo@git.example.com/a.git",
                "ssh://git@git.example.com/a.git",
            ),
            ("https://git.example.com/a.git", "https://git.example.com/a.git"),
        ] {
            assert_eq!(parse(text).with_user_of(&other).as_str(), expected);
        }
        let nobody = parse("ssh://git.example.com/b.git");
        assert_eq!(other.with_user_of(&nobody), other);
    }

    #[test]
    fn an_origin_has_the_usual_port_if_no_other_is_named() {
        let origin = |text: &str| parse(text).origin().to_string();
        for (text, expected) in [
            ("https://Git.example.com/a", "https://git.example.com"),
            ("https://git.example.com:443/a", "https://git.example.com"),
            ("http://[::1]:8080/a", "http://[::1]:8080"),
            ("ssh://jo@git.example.com:22/a", "ssh://git.example.com"),
            ("ssh://git.example.com:443/a", "ssh://git.example.com:443"),
        ] {
            assert_eq!(origin(text), expected);
        }
        let of = |text: &str| Origin::of(&Url::parse(text).unwrap());
        assert_eq!(of("git://git.example.com/a"), None);
        assert_eq!(of("file:///etc"), None);
        assert_ne!(of("https://git.example.com:22"), of("ssh://git.example.com"));
    }

    #[test]
    fn the_short_form_is_ssh() {
        let url = |text: &str| RemoteUrl::parse_with_short_form(text).map(String::from).ok();
        for (text, expected) in [
            (
                "git@git.example.com:a/b.git",
                Some("ssh://git@git.example.com/a/b.git"),
            ),
            ("git.example.com:/a/b", Some("ssh://git.example.com/a/b")),
            ("https://git.example.com/a", Some("https://git.example.com/a")),
            ("./a:b", None),
            ("a/b:c", None),
            (":a", None),
            ("a", None),
            ("ext::sh -c id", Some("ssh://ext/:sh%20-c%20id")),
        ] {
            assert_eq!(url(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_url_that_is_kept_has_no_credentials() {
        for (text, expected) in [
            (
                "https://git.example.com/a/b.git",
                Some("https://git.example.com/a/b.git"),
            ),
            (
                "https://oauth2:secret@git.example.com/a/b.git",
                Some("https://git.example.com/a/b.git"),
            ),
            (
                "https://secret@git.example.com/a/b.git?private_token=secret#secret",
                Some("https://git.example.com/a/b.git"),
            ),
            (
                "ssh://git:secret@git.example.com:22/a/b",
                Some("ssh://git@git.example.com:22/a/b"),
            ),
            ("git@git.example.com:a/b.git", Some("git@git.example.com:a/b.git")),
            ("git:secret@git.example.com:a/b.git", None),
            ("git@git.example.com:a/b.git?private_token=secret", None),
            ("https://", None),
            ("nonsense", None),
        ] {
            assert_eq!(public_url(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_quoted_without_its_login() {
        for (text, expected) in [
            ("https://user:secret@[broken/a.git", "https://[broken/a.git"),
            ("https://user:sec/ret@h/a?secret#secret", "https://h/a"),
            ("user:secret@h://a@b", "b"),
            ("user:secret@host:a/b#secret", "host:a/b"),
            ("https://h/a.git", "https://h/a.git"),
        ] {
            assert_eq!(without_login(text), expected);
        }
    }

    /// URLs with parts that may be secrets, and any text.
    fn any_url() -> impl Strategy<Value = String> {
        let scheme = prop::sample::select(vec!["https", "http", "ssh", "SSH", "git", "file"]);
        let host = prop::sample::select(vec![
            "git.example.com",
            "Git.example.com:2222",
            "ex%41mple.com:443",
            "[::1]:22",
            "127.1",
            "bücher.example",
            "",
        ]);
        let path = "(/[a-z.%2f~ \\\\é]{0,8}){0,3}";
        prop_oneof![
            any::<String>(),
            (scheme, "[a-z%4 ]{0,4}", host, path).prop_map(|(scheme, user, host, path)| format!(
                "{scheme}://{user}s3cr3t:{user}s3cr3t@{host}{path}?s3cr3t#s3cr3t"
            )),
        ]
    }

    proptest! {
        #[test]
        fn what_is_shown_is_the_same_url(text in any_url(), path in any::<String>()) {
            if let Ok(url) = RemoteUrl::parse_with_short_form(&text) {
                for url in [url.with_path(&path), url.without_credentials(), url] {
                    prop_assert_eq!(&parse(&url.to_string()), &url);
                    let json = serde_json::to_string(&url).unwrap();
                    prop_assert_eq!(&serde_json::from_str::<RemoteUrl>(&json).unwrap(), &url);
                    let host = GitHost::of(&url);
                    prop_assert_eq!(&host.as_str().parse::<GitHost>().unwrap(), &host);
                }
            }
        }

        #[test]
        fn no_secret_is_kept_or_told(text in any_url()) {
            match text.parse::<RemoteUrl>() {
                Ok(url) => {
                    let shown = format!("{url} {url:?}");
                    // The name of an SSH user is not a secret.
                    let shown = url.user().map_or(shown.clone(), |user| shown.replace(user, ""));
                    prop_assert!(!shown.contains("s3cr3t"), "{}", shown);
                    let url = url.without_credentials();
                    prop_assert_eq!(url.user(), None);
                    let shown = format!("{url} {url:?}");
                    prop_assert!(!shown.contains("s3cr3t"), "{}", shown);
                }
                Err(error) => prop_assert!(!error.to_string().contains("s3cr3t"), "{}", error),
            }
            if let Some(url) = public_url(&text).filter(|url| !url.starts_with("ssh:")) {
                prop_assert!(!url.contains("s3cr3t"), "{}", url);
            }
        }
    }
}
