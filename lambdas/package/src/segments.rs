//! Deflates a large file in segments, on all processors, in bounded memory.
//!
//! Each segment is deflated by itself, with the 32 KiB before it as the dictionary, and ends with a sync flush, so that
//! the next segment can follow it (RFC 1951; pigz does the same). The bytes do not depend on the number of threads.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::Crc;

/// The size of a segment, in bytes.
const SEGMENT_BYTES: usize = 1 << 20;
/// How far deflate can refer back, in bytes.
const WINDOW_BYTES: usize = 32 << 10;
/// zlib's default, which `git archive` uses.
const LEVEL: u32 = 6;
/// How many segments may wait for each thread.
const WAITING: usize = 1;

/// Why a file cannot be deflated.
#[derive(Debug)]
pub enum DeflateError {
    /// The file cannot be read.
    Source(io::Error),
    /// The deflated bytes cannot be made or written.
    Out(io::Error),
}

/// What is known of a file once it is deflated.
pub struct Deflated {
    pub crc32: u32,
    /// The number of the deflated bytes.
    pub compressed: u64,
}

struct Segment {
    /// The bytes of the dictionary, then those of the segment.
    bytes: Vec<u8>,
    /// Where the bytes of the segment begin.
    begin: usize,
    last: bool,
}

/// Deflates the `size` bytes of `source` with `workers` threads, and hands the deflated bytes to `out` in their order.
pub fn deflate(
    mut source: impl Read,
    size: u64,
    workers: usize,
    mut out: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<Deflated, DeflateError> {
    thread::scope(|scope| {
        let workers: Vec<Worker> = (0..workers)
            .map(|_| {
                let (sender, segments) = sync_channel(WAITING);
                let (results, receiver) = sync_channel(WAITING);
                scope.spawn(move || work(&segments, &results));
                Worker { sender, receiver }
            })
            .collect();
        let most = workers.len() * 2;
        let mut crc = Crc::new();
        let mut compressed = 0;
        let mut take = |worker: &Worker| {
            let bytes = worker.receiver.recv().map_err(|_| died())?;
            let bytes = bytes.map_err(DeflateError::Out)?;
            compressed += bytes.len() as u64;
            out(&bytes).map_err(DeflateError::Out)
        };
        let (mut to, mut from) = (workers.iter().cycle(), workers.iter().cycle());
        let mut under_way = 0;
        let mut remaining = size;
        let mut window = Vec::new();
        // An empty file has a segment too, because a deflate stream is never empty.
        loop {
            let begin = window.len();
            let count = remaining.min(SEGMENT_BYTES as u64) as usize;
            let mut bytes = window;
            bytes.resize(begin + count, 0);
            source
                .read_exact(&mut bytes[begin..])
                .map_err(DeflateError::Source)?;
            crc.update(&bytes[begin..]);
            remaining -= count as u64;
            window = bytes[bytes.len().saturating_sub(WINDOW_BYTES)..].to_vec();
            if under_way == most
                && let Some(worker) = from.next()
            {
                take(worker)?;
                under_way -= 1;
            }
            let segment = Segment {
                bytes,
                begin,
                last: remaining == 0,
            };
            if let Some(worker) = to.next() {
                worker.sender.send(segment).map_err(|_| died())?;
                under_way += 1;
            }
            if remaining == 0 {
                break;
            }
        }
        for worker in from.take(under_way) {
            take(worker)?;
        }
        if source.read(&mut [0]).map_err(DeflateError::Source)? > 0 {
            let text = format!("it has more than the {size} bytes that it should have");
            return Err(DeflateError::Source(io::Error::new(
                io::ErrorKind::InvalidData,
                text,
            )));
        }
        Ok(Deflated {
            crc32: crc.sum(),
            compressed,
        })
    })
}

struct Worker {
    sender: SyncSender<Segment>,
    receiver: Receiver<io::Result<Vec<u8>>>,
}

fn died() -> DeflateError {
    DeflateError::Out(io::Error::other("a compressing thread has died"))
}

/// Runs one worker, which ends when no more segments come, or when the receiver of its results is gone.
fn work(segments: &Receiver<Segment>, results: &SyncSender<io::Result<Vec<u8>>>) {
    for segment in segments {
        if results.send(one(&segment)).is_err() {
            return;
        }
    }
}

fn one(segment: &Segment) -> io::Result<Vec<u8>> {
    // A compressor that is reset may find other matches than a new one, by what it has compressed before (zlib-rs
    // 0.6.8).
    let mut compress = Compress::new(Compression::new(LEVEL), false);
    let (window, data) = segment.bytes.split_at(segment.begin);
    if !window.is_empty() {
        compress.set_dictionary(window)?;
    }
    let flush = if segment.last {
        FlushCompress::Finish
    } else {
        FlushCompress::Sync
    };
    let mut deflated = Vec::with_capacity(data.len() / 2);
    loop {
        let status = compress.compress_vec(&data[compress.total_in() as usize..], &mut deflated, flush)?;
        // A flush is complete if room is left.
        let complete = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            _ => deflated.len() < deflated.capacity() && compress.total_in() == data.len() as u64,
        };
        if complete {
            return Ok(deflated);
        }
        deflated.reserve(SEGMENT_BYTES / 4);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn deflated(data: &[u8], workers: usize) -> (Vec<u8>, Deflated) {
        let mut bytes = Vec::new();
        let out = |part: &[u8]| {
            bytes.extend_from_slice(part);
            Ok(())
        };
        let summary = deflate(data, data.len() as u64, workers, out).unwrap();
        (bytes, summary)
    }

    fn inflated(bytes: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        flate2::read::DeflateDecoder::new(bytes)
            .read_to_end(&mut data)
            .unwrap();
        data
    }

    /// Text-like, zero or random bytes, by a seed.
    fn data(seed: u64, size: usize, kind: u8) -> Vec<u8> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        (0..size)
            .map(|_| match kind {
                0 => 0,
                1 => b"abcdefgh"[next() as usize % 8],
                _ => next() as u8,
            })
            .collect()
    }

    #[test]
    fn a_file_that_is_shorter_or_longer_than_it_should_be_is_an_error() {
        let data = data(7, 3 * SEGMENT_BYTES, 1);
        for size in [data.len() - 1, data.len() + 1] {
            assert!(deflate(&data[..], size as u64, 2, |_| Ok(())).is_err(), "{size}");
        }
    }

    #[test]
    fn nothing_hangs_if_the_bytes_cannot_be_written() {
        let data = data(7, 20 * SEGMENT_BYTES, 2);
        let error = deflate(&data[..], data.len() as u64, 3, |_| Err(io::Error::other("full")));
        assert!(matches!(error, Err(DeflateError::Out(error)) if error.to_string() == "full"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn what_is_deflated_inflates_with_any_number_of_workers(
            seed in any::<u64>(),
            size in prop_oneof![
                0..10_usize,
                SEGMENT_BYTES - 1..SEGMENT_BYTES + 2,
                2 * SEGMENT_BYTES..5 * SEGMENT_BYTES,
            ],
            kind in 0..3_u8,
        ) {
            let data = data(seed, size, kind);
            let (bytes, summary) = deflated(&data, 1);
            prop_assert!(inflated(&bytes) == data);
            prop_assert_eq!(summary.crc32, libdeflater::crc32(&data));
            prop_assert_eq!(summary.compressed, bytes.len() as u64);
            for workers in [2, 5] {
                prop_assert!(deflated(&data, workers).0 == bytes);
            }
        }
    }
}
