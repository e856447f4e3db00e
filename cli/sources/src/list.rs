//! The sources of a stack, and whether what their git hosts do not send is found.

use aws::failure::chain;
use aws::sources::{Sources as _, StoredSource, StoredSources};
use domain::glob::Globs;
use domain::push::SourceName;
use domain::source::SourceSettings;

use deployed_stack::Stack;

use crate::Error;

/// A source of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its settings, or why nothing is delivered by them.
    pub settings: Result<SourceSettings, String>,
}

impl Source {
    fn read(stored: StoredSource) -> Self {
        Self {
            settings: settings(&stored),
            name: stored.name,
        }
    }
}

fn settings(stored: &StoredSource) -> Result<SourceSettings, String> {
    let name = stored.name.parse::<SourceName>();
    name.map_err(|invalid| invalid.to_string())?;
    read_settings(&stored.settings)
}

/// Reads settings as the functions do, so that whatever they refuse is refused.
pub fn read_settings(text: &str) -> Result<SourceSettings, String> {
    let settings = text.parse::<SourceSettings>();
    let settings = settings.map_err(|error| chain(&error))?;
    for globs in [Globs::of_repositories(&settings), Globs::of_refs(&settings)] {
        globs.map_err(|error| chain(&error))?;
    }
    Ok(settings)
}

/// Returns the sources of a stack, ordered by their names.
///
/// # Errors
/// Returns an error if their settings cannot be listed.
pub async fn list(stack: &Stack) -> Result<Vec<Source>, Error> {
    let stored = StoredSources::new(stack.config(), stack.sources_path()?)
        .list()
        .await;
    let mut stored = stored?;
    stored.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(stored.into_iter().map(Source::read).collect())
}

/// How often the sweep of a stack runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sweep {
    /// At this rate, as EventBridge Scheduler has it.
    Rate(String),
    /// Never.
    Off,
    /// An earlier version has deployed the stack, which does not say it.
    Unknown,
}

impl Sweep {
    /// Returns how often that of a stack runs.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        match stack.output("SweepRate") {
            Ok("off") => Self::Off,
            Ok(rate) => Self::Rate(rate.to_owned()),
            Err(_) => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, settings: &str) -> Result<SourceSettings, String> {
        let stored = StoredSource {
            name: name.to_owned(),
            settings: settings.to_owned(),
        };
        Source::read(stored).settings
    }

    #[test]
    fn settings_that_the_functions_refuse_have_a_reason() {
        let good = r#"{"provider":"gitlab","repositories":["group/*"],"refs":["refs/heads/main"],
            "git_hosts":["gitlab.com"],"destination":{"bucket":"zips"}}"#;
        assert!(read("gitlab", good).is_ok());
        for (name, settings, reason) in [
            ("gitlab", "{", "EOF"),
            (
                "gitlab",
                &good.replace("refs\"", "refz\""),
                "missing field `refs`",
            ),
            ("gitlab", &good.replace("}}", "},\"x\":1}"), "unknown: x"),
            ("gitlab", &good.replace("group/*", "group/["), "malformed glob"),
            ("gitlab", &good.replace("\"gitlab\"", "\"svn\""), "svn"),
            ("Git Lab", good, "source name"),
        ] {
            let error = read(name, settings).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
