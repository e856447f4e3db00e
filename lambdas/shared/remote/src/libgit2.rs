//! Settings of libgit2, which apply to the whole process.

use std::sync::Once;

use domain::source::CONNECT_SECONDS;
use git2::ConfigLevel;

/// Makes libgit2 ignore the configuration of the system and the user in this process. A `url.insteadOf` must not send
/// the credentials elsewhere, and no such file may influence the result of a push.
pub fn ignore_configuration() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        use ConfigLevel::{Global, ProgramData, System, XDG};
        for level in [System, Global, XDG, ProgramData] {
            #[expect(
                unsafe_code,
                reason = "libgit2 has no other way; it is set before libgit2 is used"
            )]
            // If this fails there are no such files.
            let _ = unsafe { git2::opts::set_search_path(level, "") };
        }
    });
}

/// Sets how long connecting may take, and how long a host may be silent. libgit2's timeouts apply to the whole process,
/// which fetches only one commit.
pub fn set_timeouts(silence_seconds: u64) -> Result<(), git2::Error> {
    let milliseconds = |seconds: u64| i32::try_from(seconds.saturating_mul(1_000)).unwrap_or(i32::MAX);
    #[expect(
        unsafe_code,
        reason = "libgit2 has no other way; nothing else uses it while these are set"
    )]
    unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(milliseconds(CONNECT_SECONDS))
            .and_then(|()| git2::opts::set_server_timeout_in_milliseconds(milliseconds(silence_seconds)))
    }
}
