//! How a push is made to fail.

use clap::ValueEnum;
use credentials::{Credential, GitSecretJson};
use domain::error::Code;
use serde_json::{Value, json};
use uuid::Uuid;
use webhook::gitlab::PushHook;

use crate::Error;
use crate::origin;
use crate::repository::Location;

/// A key that may sign, as a line of `allowed_signers`. Nobody has its private part.
const SIGNER: &str =
    "nobody@example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

/// How a push is made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailureKind {
    /// The webhook names a commit that the git host does not have: CommitNotFound.
    Commit,
    /// The git secret has a wrong password: AuthenticationFailed.
    Login,
    /// Nothing listens at the git host's port: GitHostUnreachable, which is retried for three minutes.
    Host,
    /// The commit exceeds a limit of the source's options: LimitExceeded.
    Limit,
    /// The source requires signed commits, and knows no key that has signed this one: CommitNotVerified.
    Signature,
    /// Something that is no delivered zip lies where the zip is to be: DestinationOccupied.
    Destination,
}

impl FailureKind {
    /// Returns the error that the execution is to fail with.
    pub fn code(self) -> Code {
        match self {
            Self::Commit => Code::CommitNotFound,
            Self::Login => Code::AuthenticationFailed,
            Self::Host => Code::GitHostUnreachable,
            Self::Limit => Code::LimitExceeded,
            Self::Signature => Code::CommitNotVerified,
            Self::Destination => Code::DestinationOccupied,
        }
    }

    /// Returns the option of the source that this needs, or `None` if it needs none.
    pub fn option(self) -> Option<(&'static str, Value)> {
        match self {
            // The packs of earlier pushes are not used with it, so the host has to send something.
            Self::Limit => Some(("limits.pack_bytes", json!(1))),
            Self::Signature => Some(("signature", json!("required"))),
            Self::Commit | Self::Login | Self::Host | Self::Destination => None,
        }
    }

    /// Returns an error if a push from `location` cannot be made to fail in this way. What is on a git host of others
    /// is not sent wrong passwords, and that host cannot be taken away.
    pub fn check(self, location: &Location) -> Result<(), Error> {
        match (self, location) {
            (Self::Login | Self::Host, Location::Remote { url, .. }) => Err(Error::Usage(format!(
                "--fail {} needs a repository in a folder, which is served by a git host of this command's own: {url} is on another one. \
                 The others can do it: {}",
                name(self),
                Self::value_variants()
                    .iter()
                    .filter(|kind| !matches!(kind, Self::Login | Self::Host))
                    .map(|kind| name(*kind))
                    .collect::<Vec<_>>()
                    .join(", ")
            ))),
            _ => Ok(()),
        }
    }

    /// Changes the webhook.
    pub fn spoil_hook(self, hook: &mut PushHook) {
        if self == Self::Commit {
            let missing = missing_commit();
            hook.after = Some(missing.clone());
            hook.commit = Some(missing);
        }
    }

    /// Returns the git secret with these logins, of which the first one is that of the folder's git host.
    pub fn git_secret(self, mut logins: Vec<Credential>) -> GitSecretJson {
        if self == Self::Login
            && let Some(credential) = logins.first_mut()
        {
            credential.login = credentials::Login::Password {
                username: origin::GIT_USER.to_owned(),
                password: "another-password".into(),
            };
        }
        GitSecretJson {
            allowed_signers: (self == Self::Signature).then(|| SIGNER.to_owned()),
            ..GitSecretJson::of(logins)
        }
    }
}

/// Returns the name of a kind on the command line.
fn name(kind: FailureKind) -> String {
    kind.to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Returns an id that no commit has.
fn missing_commit() -> String {
    let random = || Uuid::new_v4().simple().to_string();
    let digits = [random(), random()].concat();
    digits.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fetch::GitSecret;
    use secrecy::ExposeSecret as _;
    use webhook::gitlab::Person;

    use super::*;
    use crate::local::options::source_options;

    const ALL: &[FailureKind] = &[
        FailureKind::Commit,
        FailureKind::Login,
        FailureKind::Host,
        FailureKind::Limit,
        FailureKind::Signature,
        FailureKind::Destination,
    ];

    #[test]
    fn each_kind_names_its_error_in_the_help() {
        assert_eq!(FailureKind::value_variants(), ALL);
        for kind in ALL {
            let value = kind.to_possible_value().unwrap();
            let help = value.get_help().unwrap().to_string();
            assert!(help.contains(kind.code().as_str()), "{help}");
        }
    }

    #[test]
    fn options_are_those_of_a_source() {
        let options: Vec<_> = ALL.iter().filter_map(|kind| kind.option()).collect();
        assert_eq!(options.len(), 2);
        for (name, value) in options {
            source_options(&[(name.to_owned(), value)]).unwrap();
        }
    }

    #[test]
    fn a_host_of_others_is_sent_no_wrong_password_and_not_taken_away() {
        let remote = Location::parse("https://git.example.com/a/b.git").unwrap();
        let folder = Location::parse(".").unwrap();
        for kind in ALL {
            assert!(kind.check(&folder).is_ok());
            let refused = kind.check(&remote);
            assert_eq!(
                refused.is_err(),
                matches!(kind, FailureKind::Login | FailureKind::Host)
            );
            let Err(error) = refused else { continue };
            let told = error.to_string();
            assert_eq!(error.exit_code(), 2);
            assert!(
                told.contains("https://git.example.com/a/b.git")
                    && told.ends_with("commit, limit, signature, destination"),
                "{told}"
            );
        }
    }

    #[test]
    fn the_webhook_names_a_missing_commit_for_one_kind_alone() {
        let hook = || {
            let nobody = Person {
                name: String::new(),
                email: String::new(),
            };
            PushHook {
                repository: "local/project".to_owned(),
                git_http_url: String::new(),
                git_ssh_url: String::new(),
                ref_name: "refs/heads/main".to_owned(),
                before: None,
                after: Some("a".repeat(40)),
                commit: Some("a".repeat(40)),
                commits: Vec::new(),
                total_commits: 0,
                user: nobody,
            }
        };
        for kind in ALL {
            let mut spoilt = hook();
            kind.spoil_hook(&mut spoilt);
            let is_missing = *kind == FailureKind::Commit;
            assert_eq!(spoilt.after != hook().after, is_missing);
            assert_eq!(spoilt.after, spoilt.commit);
            let after = spoilt.after.unwrap();
            assert!(after.parse::<domain::git::ObjectId>().is_ok(), "{after}");
        }
    }

    #[test]
    fn the_git_secret_has_a_wrong_password_or_a_signer_if_the_kind_needs_it() {
        let url = "http://127.0.0.1:4567/local/a.git".parse().unwrap();
        for kind in ALL {
            let logins = vec![origin::served_login(&url, "right")];
            let text = kind.git_secret(logins).expose().unwrap();
            assert_eq!(
                text.expose_secret().contains("right"),
                *kind != FailureKind::Login
            );
            // It also reads the key.
            GitSecret::parse(&"gitlab".parse().unwrap(), &text, &Arc::default()).unwrap();
            assert_eq!(
                text.expose_secret().contains("ssh-ed25519"),
                *kind == FailureKind::Signature
            );
        }
    }
}
