//! The table of meanings.

use git2::{ErrorClass, ErrorCode};

use super::Meaning;

/// The conditions for an error to have a meaning.
#[derive(Debug)]
pub struct Row {
    pub code: Option<ErrorCode>,
    pub class: Option<ErrorClass>,
    pub text: Text,
    pub meaning: Meaning,
}

/// A condition on an error's text, in lower case.
#[derive(Debug)]
pub enum Text {
    Any,
    Begins(&'static str),
    /// Words of libgit2, or of OpenSSL, libssh2 or the system, which it passes on.
    Has(&'static str),
    /// Words of a git host, which libgit2 passes on.
    HostSays(&'static str),
}

impl Row {
    /// Returns whether all conditions are true of `error`.
    pub fn matches(&self, error: &git2::Error) -> bool {
        let message = error.message().to_lowercase();
        self.code.is_none_or(|code| code == error.code())
            && self.class.is_none_or(|class| class == error.class())
            && match self.text {
                Text::Any => true,
                Text::Begins(text) => message.starts_with(text),
                Text::Has(text) | Text::HostSays(text) => message.contains(text),
            }
    }
}

const fn row(text: Text, meaning: Meaning) -> Row {
    Row {
        code: None,
        class: None,
        text,
        meaning,
    }
}

const fn code(code: ErrorCode, meaning: Meaning) -> Row {
    Row {
        code: Some(code),
        ..row(Text::Any, meaning)
    }
}

const fn class(class: ErrorClass, text: Text, meaning: Meaning) -> Row {
    Row {
        class: Some(class),
        ..row(text, meaning)
    }
}

const fn has(text: &'static str, meaning: Meaning) -> Row {
    row(Text::Has(text), meaning)
}

const fn host_says(text: &'static str, meaning: Meaning) -> Row {
    row(Text::HostSays(text), meaning)
}

/// The rows, of which the first one that matches an error counts.
pub const TABLE: &[Row] = &[
    // These two come first, because they end with the host's name, which may contain any word.
    row(Text::Begins("failed to resolve"), Meaning::Unconnected),
    row(Text::Begins("failed to connect"), Meaning::Unconnected),
    host_says("not our ref", Meaning::Refused),
    host_says("no such ref", Meaning::Refused),
    host_says("unadvertised object", Meaning::Refused),
    has("cannot fetch a specific object", Meaning::Refused),
    has("doesn't support shallow", Meaning::Refused),
    // This is libgit2's text for any error, such as "not our ref", that a host sends in place of its shallow commits.
    has("unexpected packet type", Meaning::Refused),
    class(ErrorClass::NoMemory, Text::Any, Meaning::NoMemory),
    code(ErrorCode::Timeout, Meaning::Silent),
    code(ErrorCode::Certificate, Meaning::Untrusted),
    code(ErrorCode::Auth, Meaning::LoginRefused),
    class(ErrorClass::Ssl, Text::Has("certificate"), Meaning::Untrusted),
    has("status code: 403", Meaning::LoginRefused),
    has("mechanism for credentials", Meaning::LoginRefused),
    has("authentication is not supported", Meaning::LoginRefused),
    has("failed to authenticate", Meaning::LoginRefused),
    host_says("authentication failed", Meaning::LoginRefused),
    has("status code: 404", Meaning::NoRepository),
    has("status code: 410", Meaning::NoRepository),
    host_says("does not appear to be a git repository", Meaning::NoRepository),
    host_says("not found", Meaning::NoRepository),
    // GitLab's, over SSH.
    host_says("could not be found", Meaning::NoRepository),
    has("redirect", Meaning::Redirected),
    has("timed out", Meaning::Silent),
    has("timeout", Meaning::Silent),
    has("syscall failure", Meaning::Cut),
    has("status code: 5", Meaning::Disconnected),
    has("status code: 429", Meaning::Disconnected),
    has("could not read refs from", Meaning::Disconnected),
    has("could not read from remote", Meaning::Disconnected),
    has("data from socket", Meaning::Disconnected),
    has("unexpected eof", Meaning::Disconnected),
    has("invalid eof state", Meaning::Disconnected),
    has("remote error: ", Meaning::Disconnected),
    class(ErrorClass::Ssl, Text::Any, Meaning::Disconnected),
    class(ErrorClass::Ssh, Text::Any, Meaning::Disconnected),
    class(ErrorClass::Indexer, Text::Any, Meaning::PackDamaged),
    has("unknown remote object format", Meaning::Sha256),
    // The class alone is not enough: if libgit2 sets no error of its own, an old one is read.
    class(
        ErrorClass::Os,
        Text::Has("cannot extend packfile"),
        Meaning::DiskFull,
    ),
    class(ErrorClass::Os, Text::Has("no space left"), Meaning::DiskFull),
];
