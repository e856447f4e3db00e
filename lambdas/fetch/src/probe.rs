//! Whether the function reaches a repository, for people who set a source up. It needs no push, and writes nothing.

use std::sync::Arc;

use aws::failure::Failed;
use aws::secrets::Secrets;
use credentials::Issuer;
use domain::contract::{Probe, Probed};
use remote::TransferProgram;

use crate::ref_now::ASK_TIMEOUT;
use crate::secret::GitSecret;

/// Lists the refs of a repository, as a push would first ask for them.
pub async fn probe(
    secrets: &impl Secrets,
    issuer: &Arc<Issuer>,
    transfer: &TransferProgram,
    asked: &Probe,
) -> Probed {
    remote::ignore_configuration();
    let listed = async {
        let secret = GitSecret::read(secrets, &asked.source_name, issuer).await;
        let secret = secret.map_err(|error| Failed::new(&error))?;
        transfer
            .list_with(secret.credentials(), &asked.probe, ASK_TIMEOUT)
            .await
    };
    let (source, url) = (&asked.source_name, asked.probe.without_credentials());
    match listed.await {
        Ok(refs) => {
            tracing::info!(%source, %url, refs = refs.len(), "probed");
            Probed::Listed { refs: refs.len() }
        }
        Err(failed) => {
            tracing::info!(%source, %url, code = %failed.code, cause = failed.cause, "the probe has failed");
            Probed::Failed {
                error: failed.code.to_string(),
                cause: failed.cause,
            }
        }
    }
}
