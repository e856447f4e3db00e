//! Classifies the errors of libgit2.
//!
//! libgit2 has no codes for most errors: its texts pass on what HTTP, OpenSSL, libssh2 and the host's git say. So the
//! texts are compared. A new libgit2 may word them differently, which the tests against real and hostile hosts would
//! show.

use git2::{ErrorClass, ErrorCode};

/// What an error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// There is no connection.
    Unconnected,
    /// The host refuses the requested object, or has no such ref.
    Refused,
    /// The process has reached its memory limit.
    NoMemory,
    /// The host was silent for too long.
    Silent,
    /// The host's certificate or key is not trusted.
    Untrusted,
    /// The host requires a login, or refuses this one.
    LoginRefused,
    /// There is no such repository.
    NoRepository,
    /// The host redirects to another one.
    Redirected,
    /// A TLS connection was cut, or was silent for too long: libgit2 does not tell which.
    Cut,
    /// The connection has ended, or the host is not available now.
    Disconnected,
    /// The pack cannot be indexed.
    PackDamaged,
    /// The repository has SHA-256 object ids.
    Sha256,
    /// There is no room for the pack.
    DiskFull,
    /// Anything else.
    Unknown,
}

/// The conditions for an error to have a meaning.
struct Row {
    code: Option<ErrorCode>,
    class: Option<ErrorClass>,
    text: Text,
    meaning: Meaning,
}

/// A condition on an error's text: texts in lower case, any of which is enough.
enum Text {
    Any,
    Begins(&'static [&'static str]),
    Has(&'static [&'static str]),
}

const fn code(code: ErrorCode, meaning: Meaning) -> Row {
    Row {
        code: Some(code),
        class: None,
        text: Text::Any,
        meaning,
    }
}

const fn class(class: ErrorClass, meaning: Meaning) -> Row {
    Row {
        code: None,
        class: Some(class),
        text: Text::Any,
        meaning,
    }
}

const fn has(texts: &'static [&'static str], meaning: Meaning) -> Row {
    Row {
        code: None,
        class: None,
        text: Text::Has(texts),
        meaning,
    }
}

/// The rows, of which the first one that matches an error counts.
const TABLE: &[Row] = &[
    // These two come first, because they end with the host's name, which may contain any word.
    Row {
        code: None,
        class: None,
        text: Text::Begins(&["failed to resolve", "failed to connect"]),
        meaning: Meaning::Unconnected,
    },
    Row {
        class: Some(ErrorClass::Reference),
        ..code(ErrorCode::NotFound, Meaning::Refused)
    },
    // The last one is libgit2's text for any error, such as "not our ref", that a host sends in place of its shallow
    // commits.
    has(
        &[
            "not our ref",
            "no such ref",
            "unadvertised object",
            "cannot fetch a specific object",
            "doesn't support shallow",
            "unexpected packet type",
        ],
        Meaning::Refused,
    ),
    class(ErrorClass::NoMemory, Meaning::NoMemory),
    code(ErrorCode::Timeout, Meaning::Silent),
    code(ErrorCode::Certificate, Meaning::Untrusted),
    code(ErrorCode::Auth, Meaning::LoginRefused),
    Row {
        class: Some(ErrorClass::Ssl),
        ..has(&["certificate"], Meaning::Untrusted)
    },
    has(
        &[
            "status code: 401",
            "status code: 403",
            "mechanism for credentials",
            "authentication is not supported",
            "failed to authenticate",
            "authentication failed",
        ],
        Meaning::LoginRefused,
    ),
    // The last one is GitLab's, over SSH.
    has(
        &[
            "status code: 404",
            "status code: 410",
            "does not appear to be a git repository",
            "not found",
            "could not be found",
        ],
        Meaning::NoRepository,
    ),
    has(&["redirect"], Meaning::Redirected),
    has(&["timed out", "timeout"], Meaning::Silent),
    has(&["syscall failure"], Meaning::Cut),
    has(
        &[
            "status code: 5",
            "status code: 429",
            "could not read refs from",
            "could not read from remote",
            "data from socket",
            "received early eof",
            "unexpected eof",
            "invalid eof state",
            "remote error: ",
        ],
        Meaning::Disconnected,
    ),
    class(ErrorClass::Ssl, Meaning::Disconnected),
    class(ErrorClass::Ssh, Meaning::Disconnected),
    class(ErrorClass::Indexer, Meaning::PackDamaged),
    has(&["unknown remote object format"], Meaning::Sha256),
    // The class alone is not enough: if libgit2 sets no error of its own, an old one is read.
    Row {
        class: Some(ErrorClass::Os),
        ..has(&["cannot extend packfile", "no space left"], Meaning::DiskFull)
    },
];

/// What git says of objects that are missing or damaged.
const DAMAGE: [&str; 7] = [
    "unable to read",
    "bad object",
    "bad tree object",
    "corrupt",
    "could not parse",
    "failed to read object",
    "missing",
];

impl Meaning {
    /// Returns the meaning of `error`.
    pub fn of(error: &git2::Error) -> Self {
        let message = error.message().to_lowercase();
        let row = TABLE.iter().find(|row| row.is_true_of(error, &message));
        row.map_or(Self::Unknown, |row| row.meaning)
    }
}

impl Row {
    fn is_true_of(&self, error: &git2::Error, message: &str) -> bool {
        self.code.is_none_or(|code| code == error.code())
            && self.class.is_none_or(|class| class == error.class())
            && match self.text {
                Text::Any => true,
                Text::Begins(texts) => texts.iter().any(|text| message.starts_with(text)),
                Text::Has(texts) => texts.iter().any(|text| message.contains(text)),
            }
    }
}

/// Returns whether the host's git has ended because its repository is damaged, by the reason that it gave.
pub fn is_damage(reason: &str) -> bool {
    DAMAGE.iter().any(|text| reason.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_hidden_by_those_before_it() {
        for row in TABLE {
            let texts: &[&str] = match row.text {
                Text::Any => &[""],
                Text::Begins(texts) | Text::Has(texts) => texts,
            };
            for text in texts {
                let error = git2::Error::new(
                    row.code.unwrap_or(ErrorCode::GenericError),
                    row.class.unwrap_or(ErrorClass::Net),
                    text.to_uppercase(),
                );
                assert_eq!(Meaning::of(&error), row.meaning, "{error:?}");
            }
        }
    }

    #[test]
    fn a_hosts_name_has_no_meaning() {
        for text in [
            "failed to resolve address for authentication-failed.example.com: not found",
            "failed to connect to timeout.example.com: redirect",
        ] {
            let error = git2::Error::new(ErrorCode::GenericError, ErrorClass::Net, text);
            assert_eq!(Meaning::of(&error), Meaning::Unconnected, "{text}");
        }
    }

    #[test]
    fn an_error_that_matches_no_row_is_unknown() {
        for class in [ErrorClass::Os, ErrorClass::Net, ErrorClass::None] {
            let error = git2::Error::new(ErrorCode::GenericError, class, "an odd thing");
            assert_eq!(Meaning::of(&error), Meaning::Unknown);
        }
    }
}
