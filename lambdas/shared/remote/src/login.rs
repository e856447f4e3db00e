//! A listing with the credentials of a source.

use std::time::Duration;

use aws::failure::{Failed, chain};
use credentials::Credentials;
use domain::error::Coded as _;
use domain::remote_url::RemoteUrl;

use crate::request::ListRequest;
use crate::{Error, ListedRef, Listing, TransferProgram};

/// How many refs a host may list. Their names and ids fit into the memory of a process that lists refs.
const MAX_REFS: usize = 50_000;

impl TransferProgram {
    /// Lists the refs of the repository at `url`, by the login for it. A text of the host's in the failure has no
    /// secret.
    ///
    /// # Errors
    /// Returns [`Failed`] if there is no login for the repository, or if its host does not list the refs within
    /// `time_limit`.
    pub async fn list_with(
        &self,
        credentials: &Credentials,
        url: &RemoteUrl,
        time_limit: Duration,
    ) -> Result<Vec<ListedRef>, Failed> {
        let listed = self.list_unredacted(credentials, url, time_limit).await;
        // A host may send back what it was sent.
        let listed =
            listed.map_err(|error| Failed::with_cause(error.code(), &credentials.redact(&chain(&error))));
        Ok(listed?.refs)
    }

    /// Lists the refs as [`list_with`](Self::list_with) does, and names the default branch, for whoever removes the
    /// secrets from the error.
    ///
    /// # Errors
    /// Returns an [`Error`] in the same cases.
    pub async fn list_unredacted(
        &self,
        credentials: &Credentials,
        url: &RemoteUrl,
        time_limit: Duration,
    ) -> Result<Listing, Error> {
        let folder = tempfile::tempdir().map_err(Error::Workspace)?;
        let request = ListRequest::new(
            url.clone(),
            credentials.access(url).await?,
            credentials.authorities().to_vec(),
            time_limit,
            folder.path().join("repository.git"),
            MAX_REFS,
        );
        self.list(&request).await
    }
}
