//! Receives the bytes of the zip, and sends them to the staging area in pieces.

use std::io::{self, Write};

use aws::staging::{PIECE_BYTES, Piece};
use tokio::sync::mpsc;

/// A writer that sends what is written in pieces.
pub struct Sink {
    pieces: mpsc::Sender<Piece>,
    piece: Vec<u8>,
}

impl Sink {
    pub fn new(pieces: mpsc::Sender<Piece>) -> Self {
        Self {
            pieces,
            piece: Vec::with_capacity(PIECE_BYTES),
        }
    }

    /// Sends the last piece. If a sink is dropped without this, the receiver takes the zip for unfinished.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            let last = std::mem::take(&mut self.piece);
            self.send(Piece::Bytes(last))?;
        }
        self.send(Piece::End)
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        self.pieces
            .blocking_send(piece)
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the staging area takes no more bytes"))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE_BYTES {
            let full = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
            self.send(Piece::Bytes(full))?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
