//! Classifies the errors of libgit2.
//!
//! libgit2 has no codes for most errors: its texts pass on what HTTP, OpenSSL, libssh2 and the host's git say. So the
//! texts are compared. A new libgit2 may word them differently: the tests produce an error for each row of the
//! table, by libgit2 itself.

mod table;
#[cfg(test)]
mod tests;

use table::TABLE;

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
        let row = TABLE.iter().find(|row| row.matches(error));
        row.map_or(Self::Unknown, |row| row.meaning)
    }
}

/// Returns whether the host's git has ended because its repository is damaged, by the reason that it gave.
pub fn is_damage(reason: &str) -> bool {
    DAMAGE.iter().any(|text| reason.contains(text))
}
