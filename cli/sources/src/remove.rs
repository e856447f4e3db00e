//! Removes a source.
//!
//! The settings are deleted first, because there is a source as long as it has settings. If that is interrupted, the
//! next removal deletes what is left.

use domain::push::SourceName;

use crate::store::Kind;
use crate::{Error, Store};

/// What a removal has deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Whether there were settings.
    pub settings: bool,
    /// How many secrets there were.
    pub secrets: usize,
}

/// Removes a source. Its secrets can be restored for [`RECOVERY_DAYS`](crate::RECOVERY_DAYS).
///
/// # Errors
/// Returns [`Error::Missing`] if nothing of it is there, and [`Error::OfTheTemplate`] if the template has made it.
pub async fn remove(store: &Store, name: &SourceName) -> Result<Removed, Error> {
    if store.is_of_the_template(name) {
        return Err(Error::OfTheTemplate(name.to_string()));
    }
    let mut removed = Removed {
        settings: store.delete_settings(name).await?,
        secrets: 0,
    };
    for kind in [Kind::Webhook, Kind::Git] {
        removed.secrets += usize::from(store.delete_secret(name, kind).await?);
    }
    match removed {
        Removed {
            settings: false,
            secrets: 0,
        } => Err(Error::Missing(name.to_string())),
        _ => Ok(removed),
    }
}
