//! Code that the fuzz targets share.

pub mod objects;
pub mod packs;
pub mod paths;
pub mod webhook;

/// Splits an input into its parts, which are separated by the byte 0xff, which no text has. The last part is the rest.
#[must_use]
pub fn parts<const N: usize>(input: &[u8]) -> Option<[&[u8]; N]> {
    let parts: Vec<&[u8]> = input.splitn(N, |byte| *byte == 0xff).collect();
    parts.try_into().ok()
}
