//! The progress of a fetch.

/// How far a fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A pack is being fetched.
    Transfer(remote::Progress),
    /// Git LFS objects are being downloaded.
    Lfs(lfs::Progress),
}

impl std::fmt::Display for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Transfer(progress) => progress.fmt(formatter),
            Self::Lfs(progress) => progress.fmt(formatter),
        }
    }
}
