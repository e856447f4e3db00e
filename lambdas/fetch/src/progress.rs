//! How far a fetch is.

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A pack comes.
    Transfer(remote::Progress),
    /// Git LFS objects come.
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
