//! The local AWS of a checkout, and the stack of Push Code in it.

use std::collections::BTreeMap;

use local_aws::application::PUSH_CODE;
use local_aws::aws::{self, Record, StackOptions};
use local_aws::build::Profile;
use local_aws::checkout::Checkout;
use local_aws::ministack::Settings;

use crate::Error;
use crate::origin::Origin;

/// The source whose webhook is called.
pub const SOURCE: &str = "gitlab";

/// The port of the local AWS if no other is asked for.
const PORT: u16 = 4566;

/// How the local AWS is started.
#[derive(Debug, Clone, clap::Args)]
pub struct AwsArgs {
    /// The port of the local AWS on 127.0.0.1 [default: that of the running one, else 4566].
    #[arg(long)]
    port: Option<u16>,
    /// Build the functions with sam build, as they are deployed to AWS, which takes minutes.
    #[arg(long)]
    release: bool,
}

impl AwsArgs {
    /// Returns how the functions are built.
    pub fn profile(&self) -> Profile {
        if self.release {
            Profile::Release
        } else {
            Profile::Dev
        }
    }
}

/// Returns the settings of the checkout's local AWS. What `args` does not name stays as it is if the local AWS runs.
pub fn settings(running: Option<&Record>, args: &AwsArgs) -> Settings {
    let port = args.port.or(running.map(|record| record.ministack.port));
    Settings {
        port: port.unwrap_or(PORT),
        ..Settings::default()
    }
}

/// Returns the settings of the checkout's local AWS, and the options of the stack of Push Code in it. What `args` does
/// not name stays as it is if the local AWS runs.
pub fn up_options(
    checkout: &Checkout,
    args: &AwsArgs,
    git_port: Option<u16>,
) -> Result<(Settings, StackOptions), Error> {
    let running = aws::running(checkout)?;
    let settings = settings(running.as_ref(), args);
    let git_host = format!("http://127.0.0.1:{}", git_port.unwrap_or(settings.port + 1));
    let deployed = running.and_then(|mut record| record.stacks.remove(PUSH_CODE.name));
    let mut hosts = deployed
        .and_then(|deployed| deployed.parameters.get("GitHosts").cloned())
        .unwrap_or_default();
    if !hosts.split(',').any(|host| host == git_host) {
        hosts = [git_host, hosts]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(",");
    }
    let options = StackOptions {
        parameters: BTreeMap::from(
            [
                ("SourceName", SOURCE),
                ("AllowedRepositories", "**"),
                ("WantedRefs", "refs/**"),
                ("GitHosts", &hosts),
                ("NotificationEmail", "none"),
                // A stack keeps what is not named, and a push its options for itself.
                ("SourceOptions", "{}"),
                // Its git host is there only while a push is made.
                ("SweepRate", ""),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        ),
        profile: args.profile(),
        ..StackOptions::of(PUSH_CODE)
    };
    Ok((settings, options))
}

/// Lets the stack fetch from the host of `origin`, besides those that it may fetch from already.
pub fn allow_host_of(origin: &Origin, options: &mut StackOptions) {
    if let Origin::Remote { url, .. } = origin {
        let hosts = options.parameters.entry("GitHosts".to_owned()).or_default();
        let host = domain::source::GitHost::of(url);
        if !hosts.split(',').any(|known| known == host.as_str()) {
            hosts.push(',');
            hosts.push_str(host.as_str());
        }
    }
}
