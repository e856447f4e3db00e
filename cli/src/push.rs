//! `push-code push`: the stages one after another, without webhook and state machine.

use crate::Error;

/// What to deliver, and where to.
#[derive(Debug, clap::Args)]
pub struct PushArgs {
    /// The repository's URL.
    pub repository: String,
    /// The bucket for the zip.
    pub bucket: String,
    /// The key of the zip.
    pub key: String,
    /// The branch or tag [default: the default branch].
    #[arg(long = "ref", value_name = "REF")]
    pub ref_name: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Always.
pub async fn run(_args: PushArgs) -> Result<(), Error> {
    Err(Error::Usage("not built yet".to_owned()))
}
