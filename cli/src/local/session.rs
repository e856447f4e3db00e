//! What the commands that push into the local AWS do around their work.

use std::path::{Path, PathBuf};

use deployed_stack::Stack;
use local_aws::checkout::Checkout;
use local_aws::ministack::Ministack;
use shell::lock::{Lock, lock};
use shell::progress::Progress;

use crate::Error;

/// The file that sessions of this checkout lock.
pub(super) fn push_lock(checkout: &Checkout) -> Result<PathBuf, Error> {
    Ok(checkout.folder()?.join("push.lock"))
}

/// Runs `work` until it is done or the user interrupts it, and then empties the git secret of `stack`. No other session
/// uses the secret meanwhile, because this one holds the lock on `lock_file`.
///
/// # Errors
/// Returns the errors of `work`, [`Error::Interrupted`] if the user interrupts it, or [`Error::LocalAws`] if the local
/// AWS ends meanwhile.
pub(super) async fn session<T>(
    lock_file: &Path,
    ministack: &Ministack,
    stack: &Stack,
    progress: Progress,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    session_that_puts_back(lock_file, ministack, stack, progress, work, async { Ok(()) }).await
}

/// Like [`session`], and also runs `put_back` afterwards, for what else `work` may have changed when it was
/// interrupted.
///
/// # Errors
/// As of [`session`], or the error of `put_back` if `work` is done.
pub(super) async fn session_that_puts_back<T>(
    lock_file: &Path,
    ministack: &Ministack,
    stack: &Stack,
    progress: Progress,
    work: impl Future<Output = Result<T, Error>>,
    put_back: impl Future<Output = Result<(), Error>>,
) -> Result<T, Error> {
    let _lock = lock(lock_file, Lock::Exclusive, progress).await?;
    let done = tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
    };
    if done.is_err() && !ministack.is_running() {
        return Err(ministack
            .failed("ended in the middle of the push".to_owned())
            .into());
    }
    // The local AWS goes on running, and no longer needs the user's credentials.
    let emptied = stack.put_git_secret(Vec::new()).await;
    let back = put_back.await;
    if let (Err(_), Err(error)) = (&done, &back) {
        progress.line(&format!("! not all that was changed was put back: {error}"));
    }
    let done = done?;
    emptied?;
    back?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use local_aws::ministack::Settings;
    use local_aws::tools::Tools;

    use super::*;

    #[tokio::test]
    async fn the_git_secret_is_empty_and_all_is_put_back_after_the_work_whatever_came_of_it() {
        let tools = Tools::install(Progress::Silent).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (ministack, mut process) = Ministack::start(&tools, &Settings::default(), folder.path(), true)
            .await
            .unwrap();
        let outputs = BTreeMap::from([("GitSecretName".to_owned(), "git".to_owned())]);
        let stack = Stack::new("push-code", outputs, ministack.sdk_config());
        let create = stack.secrets().create_secret().name("git").secret_string("{}");
        create.send().await.unwrap();
        let secret = async || {
            let secret = stack.secrets().get_secret_value().secret_id("git").send().await;
            secret.unwrap().secret_string.unwrap()
        };
        let file = folder.path().join("lock");
        for fails in [false, true] {
            let url = "http://127.0.0.1".parse().unwrap();
            let login = crate::origin::served_login(&url, "a token");
            let work = async {
                stack.put_git_secret(vec![login]).await?;
                assert!(secret().await.contains("a token"));
                if fails {
                    return Err(Error::Usage("work".to_owned()));
                }
                Ok(())
            };
            let is_back = Cell::new(false);
            let put_back = async {
                is_back.set(true);
                Ok(())
            };
            let done =
                session_that_puts_back(&file, &ministack, &stack, Progress::Silent, work, put_back).await;
            assert_eq!(done.is_err(), fails);
            assert_eq!(secret().await, r#"{"credentials":[]}"#);
            assert!(is_back.get());
        }
        let put_back = async { Err(Error::Usage("put back".to_owned())) };
        let work = async { Ok(()) };
        let done = session_that_puts_back(&file, &ministack, &stack, Progress::Silent, work, put_back).await;
        assert_eq!(done.unwrap_err().to_string(), "put back");

        process.kill().unwrap();
        process.wait().unwrap();
        let work = async { Err::<(), _>(Error::Usage("work".to_owned())) };
        let error = session(&file, &ministack, &stack, Progress::Silent, work).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("ended in the middle of the push"), "{error}");
    }
}
