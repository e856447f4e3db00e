//! Writes large files while they are read, so that they need not be whole in memory.

use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

use domain::limits::ArchiveLimits;
use flate2::bufread::ZlibDecoder;
use git2::{Odb, OdbObject, Oid};
use gix_hash::Kind;
use gix_pack::data::entry::Header;

use crate::earlier::{Earlier, Place};
use crate::error::Error;
use crate::format::{Fields, Method, Writer};
use crate::progress::Meter;
use crate::segments::{self, DeflateError};

/// How many bytes of an earlier zip are held at a time.
const TAKEN_BYTES: usize = 1 << 20;

/// Reads the blobs of packs.
pub struct Packs {
    packs: Vec<(gix_pack::index::File, gix_pack::data::File)>,
}

impl Packs {
    /// Maps the packs of `repository` into memory.
    pub fn open(repository: &Path) -> Result<Self, Error> {
        let folder = repository.join("objects").join("pack");
        let mut packs = Vec::new();
        for file in std::fs::read_dir(folder).map_err(Error::Workspace)? {
            let index = file.map_err(Error::Workspace)?.path();
            if index.extension().is_some_and(|extension| extension == "idx") {
                let data = gix_pack::data::File::at(index.with_extension("pack"), Kind::Sha1);
                let index = gix_pack::index::File::at(index, Kind::Sha1);
                packs.push((index.map_err(invalid)?, data.map_err(invalid)?));
            }
        }
        Ok(Self { packs })
    }

    /// Returns a reader of `blob`, or `None` if the packs store it only as a delta.
    fn whole(&self, blob: Oid) -> Option<impl Read + '_> {
        let id = gix_hash::ObjectId::try_from(blob.as_bytes()).ok()?;
        self.packs.iter().find_map(|(index, data)| {
            let offset = index.pack_offset_at_index(index.lookup(id)?);
            let entry = data.entry(offset).ok()?;
            let deflated = data.entry_slice(entry.data_offset..data.pack_end() as u64)?;
            (entry.header == Header::Blob).then(|| ZlibDecoder::new(deflated))
        })
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    tree::Error::Pack(git2::Error::from_str(&error.to_string())).into()
}

/// A blob that is held in memory.
struct HeldBlob<'a>(OdbObject<'a>);

impl AsRef<[u8]> for HeldBlob<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0.data()
    }
}

/// Writes large files into the zip.
pub struct LargeFiles<'a, W: Write> {
    pub zip: &'a mut Writer<W>,
    /// How many threads deflate.
    pub workers: usize,
    pub meter: &'a Meter<'a>,
}

impl<W: Write> LargeFiles<'_, W> {
    /// Writes a blob: while it is read if a pack stores it whole, and otherwise from memory, for which there is a
    /// limit.
    pub fn blob(
        &mut self,
        fields: Fields<'_>,
        (odb, packs, id): (&Odb<'_>, &Packs, Oid),
        limits: ArchiveLimits,
    ) -> Result<(), Error> {
        let path = fields.path;
        let unreadable = |error| Error::from(tree::unreadable(id, path)(error));
        let damaged = |error: io::Error| unreadable(git2::Error::from_str(&error.to_string()));
        if let Some(stream) = packs.whole(id) {
            return self.write(fields, stream, damaged);
        }
        if fields.size > limits.delta_file_bytes {
            return Err(tree::Error::Limit {
                limit: "delta_file_bytes",
                reason: format!(
                    "{} has {} bytes and was sent as a delta, more than {}",
                    tree::lossy(path),
                    fields.size,
                    limits.delta_file_bytes
                ),
            }
            .into());
        }
        let held = HeldBlob(odb.read(id).map_err(unreadable)?);
        self.write(fields, Cursor::new(held), damaged)
    }

    /// Writes a file whose data are those of an earlier zip.
    pub fn taken(&mut self, fields: &Fields<'_>, earlier: &Earlier, place: &Place) -> Result<(), Error> {
        self.zip.begin(fields).map_err(Error::Zip)?;
        let mut piece = vec![0; TAKEN_BYTES];
        let mut at = 0;
        while at < place.compressed {
            let length = (place.compressed - at).min(TAKEN_BYTES as u64);
            let data = &mut piece[..length as usize];
            earlier.data(place, at, data).map_err(Error::Workspace)?;
            self.zip.data(data).map_err(Error::Zip)?;
            at += length;
        }
        self.zip.end(fields).map_err(Error::Zip)
    }

    /// Writes a file that is on disk.
    pub fn disk(&mut self, fields: Fields<'_>, file: &Path) -> Result<(), Error> {
        let source = File::open(file).map_err(Error::Workspace)?;
        self.write(fields, source, Error::Workspace)
    }

    /// Writes a file that was made in memory.
    pub fn made(&mut self, fields: Fields<'_>, content: Vec<u8>) -> Result<(), Error> {
        self.write(fields, Cursor::new(content), Error::Workspace)
    }

    /// Writes a file with the content of `source`, deflated, and its data descriptor.
    fn write(
        &mut self,
        mut fields: Fields<'_>,
        source: impl Read,
        unreadable: impl FnOnce(io::Error) -> Error,
    ) -> Result<(), Error> {
        fields.method = Method::Deflated;
        fields.descriptor = true;
        let zip = &mut *self.zip;
        zip.begin(&fields).map_err(Error::Zip)?;
        let source = self.meter.read(source);
        let deflated = segments::deflate(source, fields.size, self.workers, |bytes| zip.data(bytes));
        let deflated = deflated.map_err(|failed| match failed {
            DeflateError::Source(error) => unreadable(error),
            DeflateError::Out(error) => Error::Zip(error),
        })?;
        fields.crc32 = deflated.crc32;
        fields.compressed = deflated.compressed;
        zip.end(&fields).map_err(Error::Zip)
    }
}
