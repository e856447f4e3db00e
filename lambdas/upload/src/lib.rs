//! `Upload`: puts the zip at its destination, unless a newer push's zip is there.
//!
//! It looks at what is there, decides ([`domain::order`]), and writes on the condition that the same is still there. If
//! not, it looks again. So two uploads at once never leave the older one on top.

mod metadata;
mod provenance;

use domain::contract::{Delivered, Envelope, UploadInput, Uploaded};
use domain::destination::{Destination, provenance_key};
use domain::error::{Code, Coded};
use domain::order::{self, Order, Placed};
use platform::destination::{Expected, Shelf};
use platform::staging::StorageError;

/// How often the destination is looked at. Each time that is lost, another push has won.
const LOOKS: usize = 10;

/// Why a zip cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another repository's or ref's zip is there.
    #[error("s3://{bucket}/{key} holds {owner}, which is not this push's repository and ref")]
    Occupied {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// Whose it is.
        owner: String,
    },
    /// The provenance document could not be made.
    #[error("the provenance document could not be made")]
    Provenance(#[from] serde_json::Error),
    /// S3 failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Occupied { .. } => Code::DestinationOccupied,
            Self::Provenance(_) => Code::WorkspaceFailed,
            Self::Storage(error) => error.code(),
        }
    }
}

/// Delivers one zip.
///
/// # Errors
/// [`Error`].
pub async fn handle(shelf: &impl Shelf, envelope: &Envelope<UploadInput>) -> Result<Uploaded, Error> {
    let input = &envelope.input;
    let destination = &input.destination;
    let mine = Placed::new(&envelope.push, input.sequence, input.fetched.ref_now.clone());
    let provenance = Destination {
        bucket: destination.bucket.clone(),
        key: provenance_key(&destination.key, &envelope.push.push_id).map_err(StorageError::Key)?,
    };
    let metadata = metadata::write(&mine, &input.fetched, &input.archive, &provenance.key);
    for _ in 0..LOOKS {
        let current = shelf.current(destination).await?;
        let expected = match current {
            None => Expected::Nothing,
            Some(current) => {
                let order = metadata::read(&current.metadata)
                    .map_or(Order::Write, |placed| order::decide(&placed, &mine));
                match order {
                    Order::Write => Expected::Object(current.etag),
                    Order::Superseded(superseded) => return Ok(Uploaded::Superseded(superseded)),
                    Order::AlreadyThere => {
                        return Ok(Uploaded::Delivered(Delivered {
                            bucket: destination.bucket.clone(),
                            key: destination.key.clone(),
                            version_id: current.version_id,
                            etag: current.etag,
                            provenance: Some(provenance.key),
                        }));
                    }
                    Order::Occupied => {
                        return Err(Error::Occupied {
                            bucket: destination.bucket.clone(),
                            key: destination.key.to_string(),
                            owner: metadata::owner(&current.metadata),
                        });
                    }
                }
            }
        };
        // It stands there before the zip that names it.
        shelf
            .put(
                &provenance,
                provenance::MEDIA_TYPE,
                provenance::document(envelope)?,
            )
            .await?;
        let placed = shelf
            .place(&input.archive.object, destination, &metadata, &expected)
            .await?;
        if let Some(delivered) = placed {
            return Ok(Uploaded::Delivered(Delivered {
                provenance: Some(provenance.key),
                ..delivered
            }));
        }
        tracing::info!(key = %destination.key, "the destination has changed, looking again");
    }
    Err(StorageError::Contended {
        bucket: destination.bucket.clone(),
        key: destination.key.to_string(),
    }
    .into())
}
