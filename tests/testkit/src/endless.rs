//! A git host whose response never ends.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::http::{Host, Response, endless_head, refs};

/// The part of the response that never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The list of refs.
    Refs,
    /// The pack.
    Pack,
}

/// Starts a host that sends `start`, and then `again` every `interval`, in the response of `phase`.
pub async fn endless(
    commit: &str,
    capabilities: &str,
    phase: Phase,
    [start, again]: [Vec<u8>; 2],
    interval: Duration,
) -> Host {
    let refs = refs(commit, capabilities);
    Host::serve(move |request, mut connection| {
        let (refs, start, again) = (refs.clone(), start.clone(), again.clone());
        async move {
            if phase == Phase::Pack && request.method == "GET" {
                return Response::git(&request, refs).send(&mut connection).await;
            }
            if phase == Phase::Pack && !request.is_done() {
                return Response::git(&request, "0000").send(&mut connection).await;
            }
            connection.write_all(endless_head(&request).as_bytes()).await?;
            connection.write_all(&start).await?;
            loop {
                connection.write_all(&again).await?;
                tokio::time::sleep(interval).await;
            }
        }
    })
    .await
}

/// Returns the header of a pack with this many objects.
#[must_use]
pub fn pack_head(objects: u32) -> Vec<u8> {
    [b"PACK\0\0\0\x02", objects.to_be_bytes().as_slice()].concat()
}

/// Returns a pack with an object of 4 GiB: its start, and a stored block of deflate that is repeated.
#[must_use]
pub fn endless_pack() -> [Vec<u8>; 2] {
    let object = [0xb0, 0x80, 0x80, 0x80, 0x80, 0x01, 0x78, 0x01];
    let block = [vec![0, 0xff, 0x7f, 0, 0x80], vec![b'x'; 0x7fff]].concat();
    [[pack_head(1), object.to_vec()].concat(), block]
}
