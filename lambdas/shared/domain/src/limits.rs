//! The limits of one push: all of them as the settings have them, and for each part of the work those that it keeps.

use serde::{Deserialize, Serialize};

/// The limits of one push. A push that meets one fails with an error that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
pub struct Limits {
    /// What the git host sends, submodules included, in bytes. It has to fit into the functions' ephemeral storage.
    pub pack_bytes: u64,
    /// The objects of one pack.
    pub objects: u64,
    /// The time that a fetch may take, submodules and LFS objects included, in seconds. It has to be below the `fetch`
    /// function's timeout.
    pub fetch_seconds: u64,
    /// The time that the git host may send nothing, in seconds.
    pub silence_seconds: u64,
    /// All submodules, theirs included.
    pub submodules: u64,
    /// Submodules within submodules, from 1.
    pub submodule_depth: u64,
    /// All LFS objects, in bytes. They have to fit into the `package` function's ephemeral storage beside the packs.
    pub lfs_bytes: u64,
    /// The files, links and folders of the commit.
    pub entries: u64,
    /// The paths of all files, links and folders of the commit together, in bytes. They are held in memory.
    pub path_bytes: u64,
    /// One file, in bytes.
    pub file_bytes: u64,
    /// One file that the git host sent as a delta, in bytes. It is held in memory.
    pub delta_file_bytes: u64,
    /// One file that attributes convert, in bytes. It is held in memory, before and after.
    pub converted_file_bytes: u64,
    /// All `.gitattributes`, in bytes.
    pub attributes_bytes: u64,
    /// The steps in which all `.gitattributes` are compared with all paths: each line with each path is one, and each
    /// part of a pattern with each byte that it may stand for.
    pub attributes_steps: u64,
    /// All files, in bytes.
    pub total_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pack_bytes: 4 << 30,
            objects: 10_000_000,
            fetch_seconds: 780,
            silence_seconds: 60,
            submodules: 100,
            submodule_depth: 8,
            lfs_bytes: 4 << 30,
            entries: 1_000_000,
            path_bytes: 256 << 20,
            file_bytes: 8 << 30,
            delta_file_bytes: 512 << 20,
            converted_file_bytes: 64 << 20,
            attributes_bytes: 2 << 20,
            attributes_steps: 10_000_000_000,
            total_bytes: 32 << 30,
        }
    }
}

impl Limits {
    /// Returns the limits of a git transfer.
    #[must_use]
    pub fn transfer(&self) -> TransferLimits {
        TransferLimits {
            pack_bytes: self.pack_bytes,
            objects: self.objects,
            fetch_seconds: self.fetch_seconds,
            silence_seconds: self.silence_seconds,
        }
    }

    /// Returns the limits of a push's LFS objects.
    #[must_use]
    pub fn lfs(&self) -> LfsLimits {
        LfsLimits {
            lfs_bytes: self.lfs_bytes,
            file_bytes: self.file_bytes,
            fetch_seconds: self.fetch_seconds,
            silence_seconds: self.silence_seconds,
        }
    }

    /// Returns the limits of a commit's tree and its attributes.
    #[must_use]
    pub fn tree(&self) -> TreeLimits {
        TreeLimits {
            entries: self.entries,
            path_bytes: self.path_bytes,
            attributes_bytes: self.attributes_bytes,
            attributes_steps: self.attributes_steps,
        }
    }

    /// Returns the limits of a zip's files.
    #[must_use]
    pub fn archive(&self) -> ArchiveLimits {
        ArchiveLimits {
            file_bytes: self.file_bytes,
            delta_file_bytes: self.delta_file_bytes,
            converted_file_bytes: self.converted_file_bytes,
            total_bytes: self.total_bytes,
        }
    }
}

/// The limits of a git transfer. The fields are those of [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are documented where they come from")]
pub struct TransferLimits {
    pub pack_bytes: u64,
    pub objects: u64,
    pub fetch_seconds: u64,
    pub silence_seconds: u64,
}

/// The limits of a push's LFS objects. The fields are those of [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are documented where they come from")]
pub struct LfsLimits {
    pub lfs_bytes: u64,
    pub file_bytes: u64,
    pub fetch_seconds: u64,
    pub silence_seconds: u64,
}

/// The limits of a commit's tree and its attributes. The fields are those of [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are documented where they come from")]
pub struct TreeLimits {
    pub entries: u64,
    pub path_bytes: u64,
    pub attributes_bytes: u64,
    pub attributes_steps: u64,
}

/// The limits of a zip's files. The fields are those of [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are documented where they come from")]
pub struct ArchiveLimits {
    pub file_bytes: u64,
    pub delta_file_bytes: u64,
    pub converted_file_bytes: u64,
    pub total_bytes: u64,
}

impl Default for LfsLimits {
    fn default() -> Self {
        Limits::default().lfs()
    }
}

impl Default for TreeLimits {
    fn default() -> Self {
        Limits::default().tree()
    }
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Limits::default().archive()
    }
}
