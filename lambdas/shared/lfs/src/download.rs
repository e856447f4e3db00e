//! Downloads one object into the staging area.

use aws::staging::{PIECE_BYTES, Piece, Staging, StorageError};
use domain::destination::{ObjectKey, lfs_key};
use domain::push::PushId;
use egress::{Response, location, named};
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use openssl::sha::Sha256;
use tokio::sync::mpsc;
use tree::LfsOid;
use url::Url;

use crate::batch::Download;
use crate::client::{Client, invalid};
use crate::error::Error;
use crate::progress::Counter;

/// The most redirects that are followed: a server may keep its objects elsewhere, possibly behind a further redirect.
const MAX_REDIRECTS: usize = 3;

/// Returns the key of an object in the staging area.
pub fn key(push_id: &PushId, oid: &LfsOid) -> Result<ObjectKey, Error> {
    Ok(lfs_key(push_id, oid.as_str()).map_err(StorageError::Key)?)
}

/// Downloads an object and stores it under `key`. If this fails nothing is stored.
pub async fn run(
    client: &Client<'_>,
    login: Option<&HeaderValue>,
    download: Download,
    key: &ObjectKey,
    staging: &impl Staging,
    counter: &Counter<'_>,
) -> Result<(), Error> {
    let (url, answer) = open(client, login, &download).await?;
    let (sender, receiver) = mpsc::channel(1);
    let receiving = receive(client, &url, &download, answer, sender, counter);
    let (stored, received) = tokio::join!(staging.store(key, receiver), receiving);
    received?;
    stored?;
    counter.object();
    Ok(())
}

/// Stores the empty object, which needs no download.
pub async fn store_empty(key: &ObjectKey, staging: &impl Staging) -> Result<(), Error> {
    let (sender, receiver) = mpsc::channel(1);
    let (stored, _) = tokio::join!(staging.store(key, receiver), sender.send(Piece::End));
    stored?;
    Ok(())
}

/// Follows redirects. Returns the response with the object, and the URL that it came from.
async fn open(
    client: &Client<'_>,
    login: Option<&HeaderValue>,
    download: &Download,
) -> Result<(Url, Response), Error> {
    let mut url = download.href.clone();
    let mut headers = download.headers.clone();
    let signed = download.authenticated || headers.contains_key(AUTHORIZATION);
    let mut with_login = false;
    if !signed
        && client.is_server(&url)
        && let Some(login) = login
    {
        headers.insert(AUTHORIZATION, login.clone());
        with_login = true;
    }
    check_scheme(client, client.server(), &url)?;
    for _ in 0..=MAX_REDIRECTS {
        let answer = client.send(Method::GET, &url, headers, Vec::new()).await?;
        let status = answer.status();
        if !status.is_redirection() {
            let anonymous = !signed && login.is_none();
            return match refusal(client, &url, status, download, anonymous, with_login) {
                None => Ok((url, answer)),
                Some(error) => Err(error),
            };
        }
        let to = location(&url, answer.headers())
            .ok_or_else(|| invalid(&url, format!("the status is {status}, without a location")))?;
        check_scheme(client, &url, &to)?;
        url = to;
        // The headers and the login are for the first URL only.
        headers = HeaderMap::new();
        with_login = false;
    }
    Err(Error::Redirected {
        url: named(&download.href),
        to: named(&url),
        reason: "there are too many redirects",
    })
}

/// Checks that an LFS server on HTTPS refers only to HTTPS URLs.
fn check_scheme(client: &Client<'_>, from: &Url, to: &Url) -> Result<(), Error> {
    egress::check_scheme(client.server(), to).map_err(|reason| Error::Redirected {
        url: named(from),
        to: named(to),
        reason,
    })
}

fn refusal(
    client: &Client<'_>,
    url: &Url,
    status: StatusCode,
    download: &Download,
    anonymous: bool,
    with_login: bool,
) -> Option<Error> {
    let url_named = || named(url);
    match status {
        StatusCode::OK => None,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if with_login => Some(Error::Authentication {
            url: url_named(),
            status,
        }),
        StatusCode::UNAUTHORIZED if anonymous && client.is_server(url) => {
            Some(client.missing_credentials().into())
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Some(Error::ObjectMissing {
            url: url_named(),
            oid: download.oid.to_string(),
        }),
        StatusCode::TOO_MANY_REQUESTS => Some(Error::Busy {
            url: url_named(),
            status,
        }),
        _ if status.is_server_error() => Some(Error::Busy {
            url: url_named(),
            status,
        }),
        _ => Some(invalid(
            url,
            format!("the status for the object {} is {status}", download.oid),
        )),
    }
}

/// Sends the object on in pieces. The last one, [`Piece::End`], without which nothing is stored, is sent only if size
/// and hash are right.
async fn receive(
    client: &Client<'_>,
    url: &Url,
    download: &Download,
    mut answer: Response,
    sender: mpsc::Sender<Piece>,
    counter: &Counter<'_>,
) -> Result<(), Error> {
    let Download { oid, size, .. } = download;
    let length = answer.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = length.filter(|length| length != size) {
        return Err(invalid(
            url,
            format!("the object {oid} has {length} bytes instead of {size}"),
        ));
    }
    let mut hash = Sha256::new();
    let mut received = 0;
    let mut pieces = Pieces {
        client,
        sender,
        piece: Vec::new(),
        left: *size,
    };
    while let Some(bytes) = client.next(url, answer.body_mut()).await? {
        received += bytes.len() as u64;
        if received > *size {
            return Err(invalid(
                url,
                format!("the object {oid} has more than {size} bytes"),
            ));
        }
        hash.update(&bytes);
        counter.bytes(bytes.len());
        if pieces.push(&bytes).await? == Receiver::Gone {
            return Ok(());
        }
    }
    if received < *size {
        return Err(invalid(
            url,
            format!("the object {oid} has {received} bytes instead of {size}"),
        ));
    }
    let hash: String = hash.finish().iter().map(|byte| format!("{byte:02x}")).collect();
    if hash != oid.as_str() {
        return Err(invalid(url, format!("the object {oid} has the SHA-256 {hash}")));
    }
    pieces.end().await
}

/// Whether the staging area still receives. If not, it has an error of its own.
#[derive(PartialEq)]
enum Receiver {
    There,
    Gone,
}

/// Collects bytes into pieces of the size that the staging area requires.
struct Pieces<'a> {
    client: &'a Client<'a>,
    sender: mpsc::Sender<Piece>,
    piece: Vec<u8>,
    /// How many bytes are still to come.
    left: u64,
}

impl Pieces<'_> {
    async fn push(&mut self, mut bytes: &[u8]) -> Result<Receiver, Error> {
        while !bytes.is_empty() {
            if self.piece.is_empty() {
                let size = usize::try_from(self.left).unwrap_or(PIECE_BYTES);
                self.piece.reserve_exact(size.min(PIECE_BYTES));
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.piece.len()));
            self.piece.extend_from_slice(now);
            self.left = self.left.saturating_sub(now.len() as u64);
            bytes = later;
            if self.piece.len() == PIECE_BYTES && self.flush().await? == Receiver::Gone {
                return Ok(Receiver::Gone);
            }
        }
        Ok(Receiver::There)
    }

    async fn end(mut self) -> Result<(), Error> {
        if !self.piece.is_empty() && self.flush().await? == Receiver::Gone {
            return Ok(());
        }
        self.send(Piece::End).await?;
        Ok(())
    }

    async fn flush(&mut self) -> Result<Receiver, Error> {
        let piece = std::mem::take(&mut self.piece);
        self.send(Piece::Bytes(piece)).await
    }

    async fn send(&self, piece: Piece) -> Result<Receiver, Error> {
        match self.client.for_staging(self.sender.send(piece)).await? {
            Ok(()) => Ok(Receiver::There),
            Err(_) => Ok(Receiver::Gone),
        }
    }
}
