//! The command line.

use std::io::Write;

use clap::{CommandFactory, Parser, Subcommand};
use clap_markdown::MarkdownOptions;

use crate::Error;
use crate::audit::AuditCommand;
use crate::board::BoardArgs;
use crate::deploy::DeployArgs;
use crate::deployments::DeploymentsCommand;
use crate::docs::DocsArgs;
use crate::doctor::DoctorArgs;
use crate::explain::ExplainArgs;
use crate::local::LocalCommand;
use crate::push::PushArgs;
use crate::pushes::PushesCommand;
use crate::results::Format;
use crate::retry::RetryArgs;
use crate::sources::SourcesArgs;
use crate::verify::VerifyArgs;

/// A git push becomes one zip in S3.
#[derive(Debug, Parser)]
#[command(
    name = "push-code",
    version,
    after_help = "Exit codes: 0 if it is done, 1 if it has failed or what was asked for is not so, 2 if the command line is wrong."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Show no progress: only results and errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// How results are written to standard output. Progress goes to stderr in any case.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build this checkout and deploy it to AWS, with SAM CLI and cargo-lambda in the versions that it was tested with.
    ///
    /// With --release it deploys a release, whose functions are built already: without a checkout, and without a
    /// compiler.
    ///
    /// A new stack's parameters are asked for, each with what it is, unless those without a default are given. A stack
    /// that is there keeps what is not given.
    #[command(after_help = "Examples:\n  \
        push-code deploy\n  \
        push-code deploy --parameter AllowedRepositories='group/**' --parameter NotificationEmail=ops@example.com --yes\n  \
        push-code deploy --release push-code-1.0.0.tar.gz")]
    Deploy(DeployArgs),
    /// Deliver one commit straight to a bucket, without webhook and state machine: a smoke test.
    Push(PushArgs),
    /// Ask the audit trail about pushes, and start one again.
    #[command(subcommand)]
    Pushes(PushesCommand),
    /// Start another execution of pushes that have failed.
    ///
    /// Each takes its push over and goes on where that has stopped, the oldest push first. Exits with 1 if one could
    /// not be started.
    #[command(after_help = "Examples:\n  \
        push-code retry b6b9631c-9884-50c9-8d71-0bff0d5b1287\n  \
        push-code retry --failed --since 12h --repository group/project --dry-run")]
    Retry(RetryArgs),
    /// Say what is wrong with a stack, and what to do.
    ///
    /// It tries the API of the webhooks, who is told of failures, the account's quota, and of each source what `sources
    /// test` does: settings, secrets, host keys, logins, repositories and buckets. Git hosts are asked from this
    /// machine and by the function that fetches. Nothing is written, and no webhook is sent. Exits with 1 if
    /// something is wrong.
    Doctor(DoctorArgs),
    /// Say what an error means, and what to do.
    Explain(ExplainArgs),
    /// Print a page of the documentation, as it was when this command was built.
    #[command(after_help = "Examples:\n  \
        push-code docs\n  \
        push-code docs guides/gitlab\n  \
        push-code docs operate/errors#commitnotfound")]
    Docs(DocsArgs),
    /// List the sources, add one, show, try, change or remove it.
    ///
    /// Without a command: list them, with what each delivers, from where and where to, and what its git host does not
    /// send. Exits with 1 if the settings of one cannot be used.
    Sources(SourcesArgs),
    /// Serve a page on this machine that shows the pushes and follows them.
    ///
    /// It has what runs, what has failed and what to do, the timeline of each push, where a commit is, and replay. The
    /// command prints the URL to open, and ends with Ctrl-C.
    Board(BoardArgs),
    /// Check the audit trail, and write its events for other programs.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check a zip by its signed provenance document: an object of a stack's bucket, or a file without a network.
    #[command(after_help = "Examples:\n  \
        push-code verify s3://zips/gitlab/group/project/heads/main.zip\n  \
        push-code verify project.zip --provenance provenance.json --key key.pem")]
    Verify(VerifyArgs),
    /// Show what was deployed, approve what is dangerous, and go back to an earlier release.
    #[command(subcommand)]
    Deployments(DeploymentsCommand),
    /// Run all of it on this machine: the real template and binaries against a local AWS.
    #[command(subcommand)]
    Local(LocalCommand),
    /// Print completions for a shell, as in `push-code completions bash >
    /// ~/.local/share/bash-completion/completions/push-code`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page of this command, or of one below it, such as `push-code man local push | man -l -`.
    Man {
        /// The command below.
        command: Vec<String>,
    },
    /// Print all commands with their options as Markdown, which is docs/reference/cli.md.
    #[command(hide = true)]
    Reference,
}

/// Writes completions for `shell` to `out`.
///
/// # Errors
/// Returns an error if `out` cannot be written to.
pub fn completions(shell: clap_complete::Shell, out: &mut impl Write) -> std::io::Result<()> {
    let mut written = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "push-code", &mut written);
    out.write_all(&written)
}

/// Returns all commands with their options, as Markdown.
#[must_use]
pub fn reference() -> String {
    let options = MarkdownOptions::new()
        .title("Commands".to_owned())
        .show_footer(false);
    clap_markdown::help_markdown_command_custom(&Cli::command(), &options)
        .trim_end()
        .to_owned()
}

/// Writes the manual page of the command that `path` names to `out`.
///
/// # Errors
/// Returns [`Error::Usage`] if there is no such command.
pub fn man(path: &[String], out: &mut impl Write) -> Result<(), Error> {
    let mut root = Cli::command();
    // Builds the names of the commands below, such as `push-code-local-push`.
    root.build();
    let mut command = &root;
    for name in path {
        command = command.find_subcommand(name).ok_or_else(|| {
            let known = command
                .get_subcommands()
                .map(clap::Command::get_name)
                .collect::<Vec<_>>();
            Error::Usage(format!(
                "there is no command {name:?} here, only: {}",
                known.join(", ")
            ))
        })?;
    }
    let page = clap_mangen::Man::new(command.clone());
    page.render(out).map_err(Error::output)
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_page_of_commands_is_what_the_command_line_says() {
        let page = include_str!("../../docs/reference/cli.md");
        // Not by assert_eq, which would print both in whole.
        let is_same = page.trim_end() == reference();
        assert!(
            is_same,
            "write it anew: push-code reference > docs/reference/cli.md"
        );
    }

    #[test]
    fn completions_and_manual_pages_contain_the_commands() {
        let mut text = Vec::new();
        completions(clap_complete::Shell::Bash, &mut text).unwrap();
        assert!(String::from_utf8(text).unwrap().contains("invoke"));
        let page = |path: &[&str]| {
            let path: Vec<_> = path.iter().map(ToString::to_string).collect();
            let mut text = Vec::new();
            man(&path, &mut text).map(|()| String::from_utf8(text).unwrap())
        };
        assert!(page(&["local", "push"]).unwrap().contains("Deliver a commit"));
        assert!(page(&["locla"]).unwrap_err().to_string().contains("local"));
    }
}
