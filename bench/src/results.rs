//! The file of results that the chart is drawn from.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The results of one sitting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The day, such as `2026-11-21`.
    pub date: String,
    /// The repositories.
    pub repositories: Vec<Repository>,
}

/// The medians of the ratios of one repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repository {
    /// Its name.
    pub name: String,
    /// How many files the commit has.
    pub files: usize,
    /// The wall time of fetch divided by that of `git clone --depth 1 --bare`.
    pub fetch: f64,
    /// The wall time of package divided by that of `git archive --format=zip -6`.
    pub package: f64,
    /// The time of a full clone by git, walked and zipped, divided by that of fetch and package. `None` if it was not
    /// measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_way: Option<f64>,
}

impl Results {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).map_err(Error::io("write", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number before the first `x` in the cell of the ratio.
    fn ratio(row: &str) -> f64 {
        let cell = row.split('|').nth(4).unwrap().trim();
        cell.split('x').next().unwrap().parse().unwrap()
    }

    #[test]
    fn the_committed_results_are_those_of_the_tables() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let results = Results::read(&docs.join("performance.json")).unwrap();
        let text = std::fs::read_to_string(docs.join("performance.md")).unwrap();
        let tables: Vec<&str> = text
            .split("\n### ")
            .filter(|section| section.contains("| What |"))
            .collect();
        assert_eq!(tables.len(), results.repositories.len());
        for (repository, table) in results.repositories.iter().zip(tables) {
            let name = repository.name.to_lowercase();
            assert!(table.to_lowercase().replace('`', "").starts_with(&name), "{name}");
            let files = table.split(": ").nth(1).unwrap().split(" files").next().unwrap();
            assert_eq!(files.replace(',', ""), repository.files.to_string(), "{name}");
            let row = |begin: &str| {
                let mut rows = table
                    .lines()
                    .filter(|line| line.starts_with(&format!("| {begin}")));
                rows.next().map(ratio)
            };
            assert_eq!(row("fetch / "), Some(repository.fetch), "{name}");
            assert_eq!(row("package / "), Some(repository.package), "{name}");
            assert_eq!(
                row("fetch and package / full clone by git,"),
                repository.old_way,
                "{name}"
            );
        }
    }

    #[test]
    fn the_committed_chart_is_drawn_from_the_committed_results() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let results = Results::read(&docs.join("performance.json")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let drawn = folder.path().join("chart.svg");
        crate::chart::draw(&results, &drawn).unwrap();
        let committed = std::fs::read_to_string(docs.join("performance.svg")).unwrap();
        assert!(
            std::fs::read_to_string(&drawn).unwrap() == committed,
            "draw it anew: cargo run -p bench -- chart docs/performance.json docs/performance.svg"
        );
    }
}
