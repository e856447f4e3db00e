//! The catalogue of errors. Each has a code, which is the error's name in the Step Functions console, a class, and a
//! remedy. `docs/operate/errors.md` has the same list for people.

/// Whether a retry can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The state machine retries, with backoff.
    Transient,
    /// The state machine does not retry, because only a change can help.
    Permanent,
}

/// An error with a code of the catalogue. Every crate's error implements this, with an exhaustive match.
pub trait Coded: std::error::Error {
    /// Returns the error's code.
    fn code(&self) -> Code;
}

macro_rules! catalogue {
    ($(#[doc = $meaning:literal] $code:ident: $class:ident, $remedy:literal;)*) => {
        /// The code of an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $code,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// Returns the code as the state machine names it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($code),)*
                }
            }

            /// Returns whether a retry can help.
            #[must_use]
            pub fn class(self) -> Class {
                match self {
                    $(Self::$code => Class::$class,)*
                }
            }

            /// Returns what has happened.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                let text = match self {
                    $(Self::$code => $meaning,)*
                };
                // It is the code's documentation, which begins after a space.
                text.trim_start()
            }

            /// Returns what to do.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self {
                    $(Self::$code => $remedy,)*
                }
            }
        }
    };
}

catalogue! {
    /// A state was called with an input that it does not accept.
    InputInvalid: Permanent, "Start executions by the webhook, or with an input copied from another execution.";
    /// The execution was stopped, or another one has taken over the push.
    ExecutionOver: Permanent, "See the push's last execution, which continues it. If there is none, retry the push (push-code retry).";
    /// A function's environment is wrong.
    SettingsInvalid: Permanent, "Deploy the template again: a function's environment variables were changed.";
    /// The source's SSM parameter cannot be applied.
    SourceInvalid: Permanent, "Correct the source's SSM parameter, then retry the push (push-code retry). That of the template's own source is written by its parameters: correct those (push-code deploy).";
    /// The payload's clone URLs, or a submodule's or LFS server's, are on no allowed host.
    GitHostNotAllowed: Permanent, "If the host is right, add it to the source's git_hosts (template parameter GitHosts), then retry the push (push-code retry).";
    /// There is no connection to the git host, or it responds with a server error.
    GitHostUnreachable: Transient, "Check that the git host is up and that the fetch function can reach it (VPC, security groups, DNS), then retry the push (push-code retry).";
    /// The git host went silent.
    GitHostTimedOut: Transient, "Check the git host's load and the network between it and the fetch function, then retry the push (push-code retry).";
    /// The git host's TLS certificate is not trusted.
    CertificateInvalid: Permanent, "Give the git host a certificate from a public authority, or put its authority's certificate into the git secret as ca_certificates.";
    /// The SSH host key is not pinned.
    HostKeyMismatch: Permanent, "Make sure that the host was not replaced by someone else. If its key was changed on purpose, put the new key into known_hosts in the git secret.";
    /// The git secret has no credentials for this repository.
    CredentialsMissing: Permanent, "Add an entry for the host and the repository to the source's git secret.";
    /// The git host refused the credentials.
    AuthenticationFailed: Permanent, "Check that the token or key in the git secret is valid, has not expired and may read the repository.";
    /// GitHub gives the app no token for the repository.
    InstallationTokenRefused: Permanent, "Check that app_id and private_key in the git secret are the app's, that the app is installed for the repository, and that it may read contents. Then retry the push (push-code retry).";
    /// What the API of GitHub sent is no token that can be used.
    InstallationTokenInvalid: Permanent, "Check that api_url in the git secret is the API of GitHub, and the clock of a GitHub Enterprise Server.";
    /// The git host redirects to another URL.
    GitHostRedirected: Permanent, "Use the repository's current URL: it was moved or renamed, or the host requires https.";
    /// The git host does not know the repository.
    RepositoryNotFound: Permanent, "Check that the repository exists and that the credentials may read it: git hosts hide repositories that may not be read.";
    /// The git host does not have the commit.
    CommitNotFound: Permanent, "The commit was removed by a later force-push or deletion. If the ref was only moved, do nothing: its newer push is delivered. To deliver the ref as it is now, push an empty commit (git commit --allow-empty).";
    /// The git host does not show the commit on the pushed ref.
    CommitNotOnRef: Permanent, "If the ref was moved or deleted meanwhile, do nothing: its newer push is delivered. Otherwise somebody who knows the webhook's token has asked for a commit that is not on the ref: replace the token, or allow any commit by the option commits.";
    /// The git host violates the protocol, or sent damaged objects.
    RepositoryInvalid: Permanent, "Run git fsck on the repository at its host.";
    /// The process that speaks to the git host has crashed on its response, or did not have enough memory for it.
    TransferDied: Permanent, "See what the host sends at the URL that the message names: a redirect without a host, a proxy's login page or endless refs may crash it. If the repository is right and large, raise the function's memory (template parameter FetchMemoryMiB).";
    /// The repository uses something that cannot be delivered.
    RepositoryUnsupported: Permanent, "Change in the repository what the message names: SHA-256 ids, LFS servers over SSH, LFS extensions and names of more than 1,500 bytes cannot be delivered.";
    /// The push exceeds a limit of the source's options.
    LimitExceeded: Permanent, "Make the repository smaller, or raise the limit that the message names in the source's options (template parameter SourceOptions).";
    /// A path in the repository cannot be in a zip.
    PathUnsafe: Permanent, "Remove or rename the path in the repository.";
    /// The repository has a symbolic link that the source's options do not allow.
    SymlinkRefused: Permanent, "Replace the link in the repository, or allow it by the option symlinks.";
    /// The repository does not say where a submodule comes from.
    SubmoduleInvalid: Permanent, "Correct .gitmodules in the repository: each submodule needs a URL.";
    /// A submodule or an LFS server belongs to a repository that the source does not allow.
    SubmoduleNotAllowed: Permanent, "If the repository is right, add it to the source's submodule_repositories (template parameter SubmoduleRepositories), then retry the push (push-code retry).";
    /// The LFS server does not have an object.
    LfsObjectMissing: Permanent, "Push the object with git lfs push --all, then retry the push (push-code retry).";
    /// The LFS server violates the protocol, or sent another object.
    LfsInvalid: Permanent, "Run git lfs fsck on a clone, and check the LFS server.";
    /// The commit is not signed by a key of the source.
    CommitNotVerified: Permanent, "Sign the commit, or add its signer's key to the git secret.";
    /// An intermediate object is missing.
    StagedObjectMissing: Permanent, "Retry the push (push-code retry), which fetches the commit again. If the error recurs, find out who else writes to the staging bucket.";
    /// The zip that a rollback was to deliver again does not exist any more, or never did.
    VersionMissing: Permanent, "Choose another push to roll back to (push-code pushes list), or push the commit again.";
    /// S3 does not respond.
    StorageUnavailable: Transient, "Check the AWS Health Dashboard for S3, then retry the push (push-code retry), or start the execution of a deployment again with the same input.";
    /// S3 refuses the request.
    StorageRefused: Permanent, "Check that the bucket exists and that its policy and key allow whoever writes there: the function's role, or your credentials.";
    /// AWS KMS does not respond.
    SigningUnavailable: Transient, "Check the AWS Health Dashboard for KMS, then retry the push (push-code retry), or start the execution of a deployment again with the same input.";
    /// AWS KMS refuses to sign.
    SigningRefused: Permanent, "Check that the key of the stack (output ProvenanceKeyArn) is enabled, and that its policy allows kms:Sign to the role of the upload function.";
    /// The destination has the zip of another repository or ref, or an object that is not a delivered zip.
    DestinationOccupied: Permanent, "Use a key template with {repository} and {ref} (template parameter KeyTemplate), so that each has its own object. If the repository was renamed, delete the object. If the object is not a delivered zip, delete it or set the option overwrite_foreign (template parameter SourceOptions). Then retry the push (push-code retry).";
    /// Another zip was delivered since the commit was found to change nothing that concerns the destination.
    ComparisonOutdated: Permanent, "Nothing: the execution goes on, and delivers the push.";
    /// Others write to the same destination at the same time.
    DestinationContended: Transient, "Retry the push (push-code retry): many pushes were delivered to this object at once, or somebody else writes to it.";
    /// Secrets Manager does not respond.
    SecretUnavailable: Transient, "Check the AWS Health Dashboard for Secrets Manager, then retry the push (push-code retry), or start the execution of a deployment again with the same input.";
    /// Secrets Manager refuses the request, or the secret is malformed.
    SecretInvalid: Permanent, "Correct the secret that the message names, until push-code sources test NAME finds nothing wrong with it. Then retry the push (push-code retry).";
    /// DynamoDB does not respond.
    AuditUnavailable: Transient, "Check the AWS Health Dashboard for DynamoDB, then retry the push (push-code retry), or start the execution of a deployment again with the same input.";
    /// Others write to the same trail at the same time.
    AuditContended: Transient, "Retry the push (push-code retry), or start the execution of a deployment again with the same input.";
    /// DynamoDB refuses the request, or the trail cannot be read.
    AuditInvalid: Permanent, "Check the push's items in the table: they were changed by hand, or by another version.";
    /// A function ran out of time.
    StageTimedOut: Permanent, "Raise the function's memory, which also gives it more processors (template parameters FetchMemoryMiB and PackageMemoryMiB), or make the repository smaller: the timeouts are near Lambda's own.";
    /// The function's own disk failed.
    WorkspaceFailed: Permanent, "Raise the function's disk or memory (template parameters EphemeralStorageMiB, FetchMemoryMiB and PackageMemoryMiB).";
    /// CodeBuild does not respond, or runs as many builds as it may.
    BuildUnavailable: Transient, "Check the AWS Health Dashboard for CodeBuild and the account's limit of concurrent builds, then deploy again.";
    /// The phase `pre_build` of the buildspec, which runs the tests, has failed.
    TestsFailed: Permanent, "Read the build's log, correct the code or the test, and push again.";
    /// The build does not say that a test has passed.
    NoTests: Permanent, "Run the tests in the phase pre_build, and export their numbers as TESTS_PASSED and TESTS_SKIPPED (env: exported-variables).";
    /// A phase of the build other than `pre_build` has failed, or the build was stopped.
    BuildFailed: Permanent, "Read the build's log, correct what it says, and push again.";
    /// The build has taken longer than it may.
    BuildTimedOut: Permanent, "Read the build's log for what hangs or takes long, or raise the project's timeout (template parameter BuildTimeoutMinutes).";
    /// The application has no `buildspec.yml`, or one that CodeBuild cannot read.
    BuildspecMissing: Permanent, "Add a buildspec.yml to the application's directory, or correct the setting directory.";
    /// The output of the build is not a zip that is accepted.
    BuildOutputInvalid: Permanent, "Let the buildspec's artifacts be the folder that sam build has written, with ordinary files and folders alone.";
    /// An object is not the one that the evidence of a build names.
    ArtifactMismatch: Permanent, "Find out who else writes to the bucket. Delete the object that the message names, and the evidence of the tree, then deploy again, which builds it anew.";
    /// The other account's evidence may not be read.
    EvidenceRefused: Permanent, "Check that the other account's evidence role trusts the role of this account's acquire function with the same external id, and may read its table and bucket.";
    /// The other account's evidence cannot be reached.
    EvidenceUnavailable: Transient, "Check the AWS Health Dashboard for STS, then deploy again.";
    /// The template refers to files in a way that is not supported, or cannot be read.
    TemplateInvalid: Permanent, "Correct the property of the template that the message names, and push again.";
    /// A function changes, and no version of it would be published.
    NothingPublished: Permanent, "Give the function AutoPublishAlias: next, and no AutoPublishCodeSha256 of its own, and push again.";
    /// A function of the settings has no alias `live` that the workflow can move.
    LiveAliasMissing: Permanent, "Give the function AutoPublishAlias: next and an AWS::Lambda::Alias named live, or take the function out of the settings.";
    /// CloudFormation refuses the change set.
    ChangeRefused: Permanent, "Correct the template or the parameters as the message says, and push again.";
    /// The stack was changed after the plan was made.
    PlanOutdated: Permanent, "Deploy again, which plans anew. If it recurs, find out who else changes the stack.";
    /// The stack is being changed by somebody else.
    StackBusy: Transient, "Wait until the other change of the stack has ended, then deploy again.";
    /// CloudFormation has undone the update, because a resource could not be changed.
    StackRolledBack: Permanent, "Correct what the message says of the resource, and push again. The stack is as it was before.";
    /// The stack is in a state that CloudFormation cannot leave by itself.
    StackStuck: Permanent, "See the stack's events in the CloudFormation console. Continue its rollback there, or delete the stack if it has nothing to keep, then deploy again.";
    /// CloudFormation or Lambda does not respond.
    StackUnavailable: Transient, "Check the AWS Health Dashboard for CloudFormation and Lambda, then deploy again.";
    /// A role of the deployment lacks a right.
    RightMissing: Permanent, "Give the role that the message names the action on the resource that it names, then deploy again.";
    /// The stack could not be taken back to the live release.
    RestoreFailed: Permanent, "Traffic is with the previous versions. See the stack's events in the CloudFormation console, correct what they say, and deploy again.";
    /// The application's SSM parameter cannot be applied.
    ApplicationInvalid: Permanent, "Correct the application's SSM parameter, then start a new execution with the same input.";
    /// The push that is to be deployed was not delivered.
    PushNotDelivered: Permanent, "Deploy a push that was delivered: push-code pushes show names its status.";
    /// The destination's bucket keeps no versions.
    BucketUnversioned: Permanent, "Turn on versioning for the destination's bucket, and push again.";
    /// There is no such release of the application in the environment.
    ReleaseNotFound: Permanent, "Name a deployment that was released: push-code deployments list shows them.";
    /// Step Functions does not respond.
    WorkflowUnavailable: Transient, "Check the AWS Health Dashboard for Step Functions, then start a new execution with the same input.";
    /// Step Functions refuses the request.
    WorkflowRefused: Permanent, "Deploy the template again: the function's role may lack a right.";
    /// The SSM parameters of the sources cannot be listed. The next sweep tries it again.
    SourcesUnreadable: Permanent, "Check the AWS Health Dashboard for Systems Manager. If it recurs, deploy the template again: the role of the sweep may lack a right.";
    /// The API of the git host does not answer, or has too much to do, so that no status is set. The push goes on.
    CommitStatusUnavailable: Transient, "Check that the API of the git host is up and that the report function can reach it (VPC, security groups, DNS). The push itself goes on without it.";
    /// The API of the git host refuses to set the status of a commit. The push itself goes on.
    CommitStatusRefused: Permanent, "Check that the token in api_tokens of the git secret has not expired and may set statuses: in GitLab by the scope api and the role Developer, on GitHub by the permission Commit statuses: write (a classic token: repo:status). The push itself goes on without it.";
}

impl std::fmt::Display for Code {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Errors that Lambda and Step Functions report, and those of executions that were ended: each with its meaning and
/// remedy.
const OTHERS: &[(&str, &str, &str)] = &[
    (
        "ExecutionAborted",
        "The execution was stopped by hand.",
        "If it was not meant to end, retry the push (push-code retry), or start the execution of a deployment again with the same input.",
    ),
    (
        "ExecutionTimedOut",
        "The execution has taken longer than it may.",
        "If it was not meant to end, retry the push (push-code retry), or start the execution of a deployment again with the same input.",
    ),
    (
        "States.Timeout",
        "A state has taken longer than it may.",
        "Raise the function's memory, which also gives it more processors (template parameters FetchMemoryMiB and PackageMemoryMiB), or make the repository smaller: the timeouts are near Lambda's own.",
    ),
    (
        "Sandbox.Timedout",
        "A function has taken longer than it may.",
        "Raise the function's memory, which also gives it more processors (template parameters FetchMemoryMiB and PackageMemoryMiB), or make the repository smaller: the timeouts are near Lambda's own.",
    ),
    (
        "Runtime.OutOfMemory",
        "A function needed more memory than it has.",
        "Raise the function's memory (template parameters FetchMemoryMiB and PackageMemoryMiB).",
    ),
    (
        "Runtime.ExitError",
        "A function's process has ended before it could respond, in every attempt.",
        "See the function's log, which the execution in the console links to.",
    ),
    (
        "Lambda.TooManyRequestsException",
        "The account had no concurrency left for the function for more than an hour.",
        "Ask AWS for more concurrency (a new account has 10 for all its functions), then retry the push (push-code retry).",
    ),
    (
        "Ssm.ParameterNotFoundException",
        "The source that the webhook names has no settings.",
        "Create the SSM parameter of the source, or remove the webhook that names it.",
    ),
    // As the local AWS reports it.
    (
        "Ssm.ParameterNotFound",
        "The source that the webhook names has no settings.",
        "Create the SSM parameter of the source, or remove the webhook that names it.",
    ),
];

/// What is known of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// Its name.
    pub name: &'static str,
    /// What has happened.
    pub meaning: &'static str,
    /// Whether a retry can help, if it has a code of the catalogue.
    pub class: Option<Class>,
    /// What to do.
    pub remedy: &'static str,
}

impl Explanation {
    /// Returns what is known of the error of this name, if anything is.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::all().find(|known| known.name == name)
    }

    /// Returns what is known of each error: the catalogue's, then the others.
    pub fn all() -> impl Iterator<Item = Self> {
        let codes = Code::ALL.iter().map(|code| Self {
            name: code.as_str(),
            meaning: code.meaning(),
            class: Some(code.class()),
            remedy: code.remedy(),
        });
        let others = OTHERS.iter().map(|&(name, meaning, remedy)| Self {
            name,
            meaning,
            class: None,
            remedy,
        });
        codes.chain(others)
    }
}

/// Returns what to do about an error of any name, which is a code of the catalogue or one of Lambda's and Step
/// Functions' own.
#[must_use]
pub fn remedy(error: &str) -> &'static str {
    Explanation::of(error).map_or(
        "See the function's log, which the execution in the console links to.",
        |known| known.remedy,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_a_meaning_and_a_remedy_of_whole_sentences() {
        for known in Explanation::all() {
            for text in [known.meaning, known.remedy] {
                assert!(
                    text.starts_with(char::is_uppercase) && text.ends_with('.'),
                    "{}: {text:?}",
                    known.name
                );
            }
            assert_eq!(remedy(known.name), known.remedy);
        }
        assert!(
            Code::ALL
                .iter()
                .all(|code| code.as_str().chars().all(char::is_alphanumeric))
        );
    }

    #[test]
    fn lambdas_own_errors_have_remedies_too() {
        assert!(remedy("States.Timeout").contains("timeout"));
        assert!(remedy("Runtime.ExitError").contains("log"));
    }
}
