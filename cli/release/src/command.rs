//! Builds the command `push-code` of a release.

use std::path::PathBuf;

use local_aws::architecture::Architecture;
use local_aws::checkout::Checkout;
use local_aws::sam;
use local_aws::tools::Sam;
use release::Error;
use shell::progress::Progress;

/// Builds the command for Linux on x86_64. Returns its file.
///
/// # Errors
/// Returns an error if the build fails.
pub async fn build(checkout: &Checkout, tools: &Sam, progress: Progress) -> Result<PathBuf, Error> {
    let log = checkout.folder()?.join("cargo-lambda-build.log");
    let step = progress.step("Building the command push-code");
    let built = sam::build_command(checkout, Architecture::X86_64, tools, &log).await?;
    step.done("Built the command push-code");
    Ok(built)
}
