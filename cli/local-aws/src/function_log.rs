//! Reads what the functions of the local AWS log while they run.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use shell::process;

/// How far a function is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The progress in words.
    pub text: String,
    /// The bytes that it has read, if it counts them.
    pub bytes: Option<u64>,
}

impl fmt::Display for News {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The file to which `guard.py` writes what functions log. As on AWS, each event is a line of JSON.
#[derive(Debug)]
pub struct FunctionLog {
    file: PathBuf,
}

/// A place in the log.
#[derive(Debug, Clone, Copy)]
pub struct Place(u64);

#[derive(Deserialize)]
struct Line {
    fields: Fields,
}

#[derive(Deserialize)]
struct Fields {
    progress: String,
    bytes: Option<u64>,
}

impl FunctionLog {
    /// Returns the log of the local AWS whose files are in `folder`.
    pub fn of(folder: &Path) -> Self {
        Self {
            file: folder.join("functions.log"),
        }
    }

    /// Returns where the log ends now.
    pub fn now(&self) -> Place {
        Place(std::fs::metadata(&self.file).map_or(0, |metadata| metadata.len()))
    }

    /// Returns how far the running function is, from the last line that was logged after `since`. `None` if there is
    /// none.
    pub fn news(&self, since: &Place) -> Option<News> {
        let text = process::end_of(&self.file, since.0).ok()?;
        let mut lines = text
            .lines()
            .rev()
            .filter_map(|line| serde_json::from_str::<Line>(line).ok());
        lines.next().map(|line| News {
            text: line.fields.progress,
            bytes: line.fields.bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_news_since_a_state_was_entered_counts() {
        let folder = tempfile::tempdir().unwrap();
        let log = FunctionLog::of(folder.path());
        let start = log.now();
        assert_eq!(log.news(&start), None);
        let line = |progress: &str, bytes: &str| {
            format!(r#"{{"level":"INFO","fields":{{"message":"fetching","progress":"{progress}"{bytes}}}}}"#)
                + "\n"
        };
        let mut text = line("an earlier push", "");
        std::fs::write(&log.file, &text).unwrap();
        let entered = log.now();
        assert_eq!(log.news(&entered), None);
        text += &line("1 of 2 objects", r#","bytes":7"#);
        text += "{\"level\":\"INFO\",\"fields\":{\"message\":\"staged\"}}\n{\"half a li";
        std::fs::write(&log.file, &text).unwrap();
        let news = log.news(&entered).unwrap();
        assert_eq!((news.text.as_str(), news.bytes), ("1 of 2 objects", Some(7)));
        std::fs::write(&log.file, line("anew", "")).unwrap();
        let late = Place(1 << 20);
        assert_eq!(log.news(&late).unwrap().text, "anew");
    }
}
