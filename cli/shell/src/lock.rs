//! Lock files, which keep one command from changing what another one uses.

use std::fs::File;
use std::path::Path;

use crate::IoError;
use crate::progress::Progress;

/// Who else may hold the same lock file.
#[derive(Debug, Clone, Copy)]
pub enum Lock {
    /// Others that share it.
    Shared,
    /// No one.
    Exclusive,
}

/// Holds the lock file until the returned file is dropped.
///
/// # Errors
/// Returns an error if it cannot be locked.
pub async fn lock(path: &Path, kind: Lock, progress: Progress) -> Result<File, IoError> {
    let file = File::create(path).map_err(IoError::of("write", path))?;
    let at_once = match kind {
        Lock::Shared => file.try_lock_shared(),
        Lock::Exclusive => file.try_lock(),
    };
    if at_once.is_ok() {
        return Ok(file);
    }
    let _step = progress.step(format!(
        "Waiting for another push-code, which has locked {}",
        path.display()
    ));
    let wait = move || {
        match kind {
            Lock::Shared => file.lock_shared(),
            Lock::Exclusive => file.lock(),
        }
        .map(|()| file)
    };
    let locked = tokio::task::spawn_blocking(wait).await;
    locked
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(IoError::of("lock", path))
}
