//! `push-code sources add`.

use std::io::Write;
use std::path::{Path, PathBuf};

use domain::push::SourceName;
use domain::source::GitHost;
use domain::source::Provider;
use remote::HostKey;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;
use serde_json::{Value, json};
use shell::ask;
use shell::output::one_line;
use shell::progress::Progress;
use sources::{DeployKey, NewSource, Store, Trust};

use super::text;
use crate::Error;
use crate::pushes::StackArgs;
use crate::results::Results;

/// Examples for `--help`.
pub const EXAMPLES: &str = "Examples:
  push-code sources add team --provider gitlab --git-host https://gitlab.example.com --repository 'team/**' --https-user oauth2 < token
  push-code sources add team --provider github --git-host ssh://git@github.com --repository 'team/*' --ref refs/heads/main
  push-code sources add team --settings team.json --git-secret git-secret.json

A git host that is reached by ssh:// gets a new Ed25519 key pair, and its host key is shown for you to compare with what the
host's operator publishes.";

/// A source to add.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// The source's name, as in the webhook's URL /hooks/NAME.
    name: SourceName,
    /// The kind of the git host.
    #[arg(long, value_name = "KIND", value_parser = provider, required_unless_present = "settings")]
    provider: Option<Provider>,
    /// Globs of the repositories that are delivered, such as 'group/*' or 'group/**'.
    #[arg(long, value_name = "GLOB", num_args = 1.., required_unless_present = "settings")]
    repository: Vec<String>,
    /// Globs of the refs that are delivered. By default all branches and tags.
    #[arg(long = "ref", value_name = "GLOB", num_args = 1..)]
    refs: Vec<String>,
    /// The hosts that repositories may be fetched from, in order of preference, as scheme://[user@]host[:port].
    #[arg(long, value_name = "URL", num_args = 1.., required_unless_present = "settings")]
    git_host: Vec<String>,
    /// The bucket of the zips. By default the stack's.
    #[arg(long)]
    bucket: Option<String>,
    /// The names of the zips, with the placeholders {source}, {repository}, {ref} and {after}.
    #[arg(long, value_name = "TEMPLATE")]
    key_template: Option<String>,
    /// The whole settings instead, as a JSON file. `push-code sources schema` prints their schema.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["provider", "repository", "refs", "git_host", "bucket", "key_template"])]
    settings: Option<PathBuf>,
    /// The user name at the hosts that are reached by HTTPS. The password or token is read from standard input.
    #[arg(long, value_name = "USER")]
    https_user: Option<String>,
    /// The whole git secret instead, as a JSON file in the form of `push-code docs reference/secrets`. No key pair is
    /// made.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["https_user", "host_key", "known_hosts"])]
    git_secret: Option<PathBuf>,
    /// The fingerprint of a host key that is trusted, as SHA256:... Several may be given.
    #[arg(long, value_name = "FINGERPRINT")]
    host_key: Vec<String>,
    /// A known_hosts file with the host keys that are trusted.
    #[arg(long, value_name = "FILE", conflicts_with = "host_key")]
    known_hosts: Option<PathBuf>,
    /// The stack of the source.
    #[command(flatten)]
    stack: StackArgs,
}

fn provider(text: &str) -> Result<Provider, ValueError> {
    Provider::deserialize(text.into_deserializer())
}

/// Adds the source.
///
/// # Errors
/// Returns an error if it exists, if something of it is wrong, or if a host's key is not trusted. Nothing is written
/// then.
pub async fn run(args: AddArgs, results: &mut Results<impl Write>, progress: Progress) -> Result<(), Error> {
    let stack = args.stack.open(progress).await?;
    let store = Store::of(&stack)?;
    let name = &args.name;
    let settings = match &args.settings {
        Some(file) => std::fs::read_to_string(file).map_err(Error::io("read", file))?,
        None => args.document(stack.output("DestinationBucket")?).to_string(),
    };
    let mut source = NewSource::new(name.clone(), settings)?;
    sources::check_is_new(&store, name).await?;
    let mut deploy_key = None;
    if let Some(file) = &args.git_secret {
        let text = std::fs::read_to_string(file).map_err(Error::io("read", file))?;
        source = source.with_git_secret(&SecretString::from(text))?;
    } else {
        let hosts = source.settings().git_hosts.clone();
        let pinned = args.pin(&hosts).await?;
        if let Some(user) = &args.https_user {
            source = source.with_password(user, &password()?);
        }
        if !pinned.is_empty() {
            let key = deploy_key.insert(DeployKey::generate(name)?);
            for host in &pinned {
                source = source.with_key(host, &key.private);
            }
        }
    }
    let added = sources::add(&store, &source).await?;
    results.put(text::added_document(name, &added, deploy_key.as_ref()));
    results.text(text::added(name, &added, deploy_key.as_ref()))
}

impl AddArgs {
    /// Returns the settings that the options say. What they do not say is left out, so that the defaults are those of
    /// the functions.
    fn document(&self, bucket: &str) -> Value {
        let all = || vec!["refs/heads/**".to_owned(), "refs/tags/**".to_owned()];
        let refs = if self.refs.is_empty() {
            all()
        } else {
            self.refs.clone()
        };
        let mut destination = json!({ "bucket": self.bucket.as_deref().unwrap_or(bucket) });
        if let Some(template) = &self.key_template {
            destination["key_template"] = json!(template);
        }
        json!({
            "provider": self.provider,
            "repositories": self.repository,
            "refs": refs,
            "git_hosts": self.git_host,
            "destination": destination,
        })
    }

    /// Pins the keys of the hosts that are reached by SSH.
    async fn pin(&self, hosts: &[GitHost]) -> Result<Vec<sources::PinnedHost>, Error> {
        let known_hosts = match &self.known_hosts {
            Some(file) => Some(std::fs::read_to_string(file).map_err(Error::io("read", file))?),
            None => None,
        };
        let trust = match &known_hosts {
            Some(lines) => Trust::KnownHosts(lines),
            None if self.host_key.is_empty() => Trust::Person(&is_trusted),
            None => Trust::Fingerprints(&self.host_key),
        };
        Ok(sources::pin(hosts, &super::program()?, &trust).await?)
    }
}

/// Asks a person whether a host's key is right. Otherwise returns why it is not trusted.
fn is_trusted(host: &GitHost, key: &HostKey) -> Result<(), String> {
    let presented = format!("{} {}", key.algorithm(), key.fingerprint());
    let question = format!(
        "{} has presented the host key\n  {presented}\nCompare it with what the host's operator publishes. Is it the same?",
        one_line(host.as_str())
    );
    match ask::confirm(&question) {
        Ok(Some(true)) => Ok(()),
        Ok(Some(false)) => Err(format!("you did not agree that {presented} is right")),
        Ok(None) => Err(format!(
            "it has presented {presented}, and there is no terminal to ask on: give the fingerprint that the host's operator publishes with --host-key, or a file with --known-hosts"
        )),
        Err(error) => Err(format!("the terminal cannot be used: {error}")),
    }
}

/// Reads the password or token.
fn password() -> Result<SecretString, Error> {
    let stdin = Path::new("standard input");
    let text = ask::secret("Password or token").map_err(Error::io("read", stdin))?;
    if text.is_empty() {
        let reason = "--https-user needs a password or token on standard input, as in `... < token`";
        return Err(Error::Usage(reason.to_owned()));
    }
    Ok(text.into())
}
