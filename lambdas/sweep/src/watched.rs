//! Which repositories of a source are watched: those that the trail knows, and those that the settings name in full.

use std::collections::BTreeMap;

use audit::{SourceRef, SourceRefs};
use aws::failure::{Failed, chain};
use aws::sources::StoredSource;
use domain::Invalid;
use domain::error::Code;
use domain::git::RepositoryPath;
use domain::glob::{GlobError, Globs};
use domain::policy::{self, PolicyError};
use domain::push::SourceName;
use domain::remote_url::RemoteUrl;
use domain::source::SourceSettings;

/// A source, and its repositories in the order in which they are looked at.
pub struct Source<L> {
    pub name: SourceName,
    pub settings: SourceSettings,
    pub wanted: Globs,
    pub login: L,
    pub repositories: Vec<Repository>,
    /// The repository that this sweep begins with, if the last one could not finish.
    pub begins_with: Option<RepositoryPath>,
}

/// A repository that is watched.
pub struct Repository {
    pub path: RepositoryPath,
    /// Its refs that the trail knows.
    pub known: Vec<SourceRef>,
}

/// What is wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the source's parameter is not named as a source")]
    Name(#[from] Invalid),
    #[error("the settings of source {name} cannot be read")]
    Settings {
        name: SourceName,
        source: domain::source::SettingsError,
    },
    #[error("the settings of source {name} cannot be applied")]
    Policy { name: SourceName, source: PolicyError },
}

impl<L> Source<L> {
    /// Reads a source and its repositories. Returns `None` if the source is disabled.
    pub async fn read(
        stored: &StoredSource,
        trail: &impl SourceRefs,
        login: impl AsyncFn(&SourceName) -> Result<L, Failed>,
    ) -> Result<Option<Self>, Failed> {
        let invalid = |error: SourceError| Failed::with_cause(Code::SourceInvalid, &chain(&error));
        let name: SourceName = stored
            .name
            .parse()
            .map_err(|error| invalid(SourceError::Name(error)))?;
        let settings: SourceSettings = stored.settings.parse().map_err(|source| {
            invalid(SourceError::Settings {
                name: name.clone(),
                source,
            })
        })?;
        if settings.disabled {
            return Ok(None);
        }
        let policy = |error: GlobError| {
            invalid(SourceError::Policy {
                name: name.clone(),
                source: error.into(),
            })
        };
        let wanted = Globs::of_refs(&settings).map_err(policy)?;
        let allowed = Globs::of_repositories(&settings).map_err(policy)?;
        let audit = |error| Failed::new(&error);
        let refs = trail.refs(&name).await.map_err(audit)?;
        let begins_with = trail.sweep_begins_with(&name).await.map_err(audit)?;
        let mut known: BTreeMap<RepositoryPath, Vec<SourceRef>> = policy::named_repositories(&settings)
            .into_iter()
            .map(|path| (path, vec![]))
            .collect();
        for of_ref in refs {
            if allowed.match_any(of_ref.repository.as_str()) {
                known.entry(of_ref.repository.clone()).or_default().push(of_ref);
            }
        }
        let mut repositories: Vec<_> = known
            .into_iter()
            .map(|(path, known)| Repository { path, known })
            .collect();
        if let Some(first) = &begins_with {
            let begin = repositories.partition_point(|repository| repository.path < *first);
            repositories.rotate_left(begin);
        }
        Ok(Some(Self {
            login: login(&name).await?,
            name,
            settings,
            wanted,
            repositories,
            begins_with,
        }))
    }
}

impl Repository {
    /// Returns the URLs to clone the repository that its last push came with, or the one on the source's first host if
    /// there was no push yet.
    pub fn clone_urls(&self, settings: &SourceSettings) -> Vec<String> {
        let last = self.known.iter().max_by_key(|known| known.last.sequence);
        match last {
            Some(last) if !last.last.clone_urls.is_empty() => last.last.clone_urls.clone(),
            _ => policy::url_of_named(settings.provider, &settings.git_hosts, &self.path)
                .map(|url| url.to_string())
                .into_iter()
                .collect(),
        }
    }

    /// Returns the one of these URLs that may be used.
    pub fn url(
        &self,
        source: &SourceName,
        settings: &SourceSettings,
        clone_urls: &[String],
    ) -> Result<RemoteUrl, Failed> {
        let chosen = policy::choose_url(&settings.git_hosts, &self.path, clone_urls);
        chosen.map_err(|error| {
            let code = match error {
                PolicyError::GitHostNotAllowed { .. } => Code::GitHostNotAllowed,
                _ => Code::SourceInvalid,
            };
            let error = SourceError::Policy {
                name: source.clone(),
                source: error,
            };
            Failed::with_cause(code, &chain(&error))
        })
    }
}
