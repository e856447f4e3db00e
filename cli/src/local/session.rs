//! What the commands that push into the local AWS do around their work.

use super::aws::LocalAws;
use super::checkout::Checkout;
use super::tools::{Lock, lock};
use crate::Error;
use crate::progress::Progress;

/// Does `work`, to which the git secret of `local` belongs alone, until it is done or the user interrupts it. Empties the
/// secret then.
///
/// # Errors
/// Those of `work`; [`Error::Interrupted`]; [`Error::LocalAws`] if the local AWS has ended meanwhile.
pub(super) async fn session<T>(
    checkout: &Checkout,
    local: &mut LocalAws,
    progress: Progress,
    work: impl AsyncFnOnce(&mut LocalAws) -> Result<T, Error>,
) -> Result<T, Error> {
    let _lock = lock(&checkout.folder()?.join("push.lock"), Lock::Exclusive, progress).await?;
    let done = tokio::select! {
        done = work(local) => done,
        _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
    };
    let ministack = &local.record.ministack;
    if done.is_err() && !ministack.is_running() {
        return Err(ministack.failed("ended in the middle of the push".to_owned()));
    }
    // The local AWS goes on: it has no more use for the user's credentials.
    let emptied = local.put_git_secret(&[]).await;
    let done = done?;
    emptied?;
    Ok(done)
}
