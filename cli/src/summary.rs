//! The result of a push, for people and for programs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::contract::{Archive, Delivered};
use reporter::mebibytes;
use serde::Serialize;
use shell::progress::seconds;

/// A push that was delivered.
#[derive(Debug, Clone, Serialize)]
pub struct Summary<'a> {
    /// The push.
    pub push_id: String,
    /// `Delivered`.
    pub status: &'static str,
    /// The branch or tag.
    #[serde(rename = "ref")]
    pub ref_name: &'a str,
    /// The commit.
    pub commit: &'a str,
    /// The bucket of the zip.
    pub bucket: &'a str,
    /// Its key.
    pub key: &'a str,
    /// Its version. `None` if the bucket keeps no versions.
    pub version_id: Option<&'a str>,
    /// Its SHA-256.
    pub sha256: &'a str,
    /// Its size in bytes.
    pub size: u64,
    /// How many entries it has.
    pub entries: u64,
    /// The warnings about its content.
    pub warnings: &'a [String],
    /// The file that it was saved in. `None` if it was not saved.
    pub file: Option<PathBuf>,
    /// How long the push took.
    pub seconds: f64,
}

impl<'a> Summary<'a> {
    /// Returns the summary of a push that was packaged as `archive` and delivered as `delivered`.
    #[must_use]
    pub fn new(
        push_id: String,
        (ref_name, commit): (&'a str, &'a str),
        archive: &'a Archive,
        delivered: &'a Delivered,
        file: Option<&Path>,
        took: Duration,
    ) -> Self {
        Self {
            push_id,
            status: "Delivered",
            ref_name,
            commit,
            bucket: &delivered.bucket,
            key: delivered.key.as_str(),
            version_id: delivered.version_id.as_deref(),
            sha256: &archive.sha256,
            size: archive.object.size,
            entries: archive.entries,
            warnings: &archive.warnings,
            file: file.map(Path::to_owned),
            seconds: (took.as_secs_f64() * 1_000.0).round() / 1_000.0,
        }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = seconds(Duration::from_secs_f64(self.seconds));
        writeln!(
            formatter,
            "\nDelivered {} at {} in {took}",
            self.ref_name, self.commit
        )?;
        writeln!(formatter, "  zip      s3://{}/{}", self.bucket, self.key)?;
        writeln!(formatter, "  version  {}", self.version_id.unwrap_or("none"))?;
        writeln!(formatter, "  sha256   {}", self.sha256)?;
        write!(formatter, "  size     {} bytes", self.size)?;
        if self.size >= 1 << 20 {
            write!(formatter, " ({})", mebibytes(self.size))?;
        }
        write!(formatter, ", {} entries", self.entries)?;
        for warning in self.warnings {
            write!(formatter, "\n  warning  {warning}")?;
        }
        match &self.file {
            Some(file) => write!(formatter, "\n  file     {}", file.display()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_summary_has_all_that_is_needed_to_find_and_check_the_zip() {
        let archive: Archive = serde_json::from_value(json!({
            "object": { "key": "pushes/p/archive.zip", "size": 1_572_864 },
            "sha256": "ab".repeat(32),
            "entries": 12,
        }))
        .unwrap();
        let delivered: Delivered = serde_json::from_value(json!({
            "bucket": "zips", "key": "a/b.zip", "version_id": "v1", "etag": "e",
        }))
        .unwrap();
        let summary = Summary::new(
            "p".to_owned(),
            ("refs/heads/main", "1a2b"),
            &archive,
            &delivered,
            Some(Path::new("b.zip")),
            Duration::from_millis(4_230),
        );
        assert_eq!(
            summary.to_string(),
            format!(
                "\nDelivered refs/heads/main at 1a2b in 4.2 s\n  zip      s3://zips/a/b.zip\n  version  v1\n  \
                 sha256   {}\n  size     1572864 bytes (1.5 MiB), 12 entries\n  file     b.zip",
                "ab".repeat(32)
            )
        );
        assert_eq!(
            serde_json::to_value(&summary).unwrap(),
            json!({
                "push_id": "p", "status": "Delivered", "ref": "refs/heads/main", "commit": "1a2b", "bucket": "zips",
                "key": "a/b.zip", "version_id": "v1", "sha256": "ab".repeat(32), "size": 1_572_864, "entries": 12,
                "warnings": [], "file": "b.zip", "seconds": 4.23,
            })
        );
    }
}
