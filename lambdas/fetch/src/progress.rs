//! The progress of a fetch.

/// How far a fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A pack is being fetched.
    Transfer(remote::Progress),
    /// Git LFS objects are being downloaded.
    Lfs(lfs::Progress),
}

impl Progress {
    /// The bytes that have come, if they are counted now.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        match self {
            Self::Transfer(remote::Progress::Objects { bytes, .. })
            | Self::Lfs(lfs::Progress { bytes, .. }) => Some(*bytes),
            Self::Transfer(_) => None,
        }
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Transfer(progress) => progress.fmt(formatter),
            Self::Lfs(progress) => progress.fmt(formatter),
        }
    }
}
