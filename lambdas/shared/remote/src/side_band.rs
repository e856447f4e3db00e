//! Reads the side band, on which a host reports its progress, and why its git has failed.
//!
//! The side band is a stream, in which a line may come in any number of pieces.

/// git writes no longer lines than this.
const MAX_LINE_BYTES: usize = 1_000;

/// Reads the lines of the side band, and keeps the last reason for a failure, such as `fatal: unable to read
/// 9c59e24b...`.
#[derive(Debug, Default)]
pub struct SideBand {
    /// The beginning of the current line.
    line: Vec<u8>,
    reason: Option<String>,
}

impl SideBand {
    /// Reads the next piece. Returns the last line that ends in it.
    pub fn read(&mut self, said: &[u8]) -> Option<Vec<u8>> {
        let mut last = None;
        for byte in said {
            if matches!(byte, b'\r' | b'\n') {
                last = self.end_line().or(last);
            } else if self.line.len() <= MAX_LINE_BYTES {
                self.line.push(*byte);
            }
        }
        last
    }

    /// Returns the last reason. It is a whole line, so that a secret in it, which the host was sent, can be found and
    /// removed.
    pub fn reason(&mut self) -> Option<String> {
        self.end_line();
        self.reason.take()
    }

    /// Ends the current line. Returns it, or `None` if it is empty, or longer than git's lines.
    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        if line.len() > MAX_LINE_BYTES || line.trim_ascii().is_empty() {
            return None;
        }
        if line.starts_with(b"fatal: ") || line.starts_with(b"error: ") {
            self.reason = Some(String::from_utf8_lossy(&line).into_owned());
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reason_is_found_in_whatever_pieces_it_comes() {
        let said = b"Counting objects:  33% (1/3)\rCounting objects: 100% (3/3), done.\nerror: first\nfatal: last\n\n";
        for size in 1..said.len() {
            let mut band = SideBand::default();
            let lines: Vec<_> = said.chunks(size).filter_map(|piece| band.read(piece)).collect();
            assert_eq!(lines.last().unwrap(), b"fatal: last", "{size}");
            if size == 1 {
                assert_eq!(lines.len(), 4);
            }
            assert_eq!(band.reason().as_deref(), Some("fatal: last"), "{size}");
            assert_eq!(band.reason(), None);
        }
    }

    #[test]
    fn a_line_without_an_end_counts_and_a_very_long_one_does_not() {
        let reason = |said: &str| {
            let mut band = SideBand::default();
            band.read(said.as_bytes());
            band.reason()
        };
        assert_eq!(reason("fatal: no end").as_deref(), Some("fatal: no end"));
        assert_eq!(reason("not fatal: no"), None);
        let longest = format!("fatal: {}", "x".repeat(MAX_LINE_BYTES - "fatal: ".len()));
        assert_eq!(reason(&longest), Some(longest.clone()));
        assert_eq!(reason(&(longest + "x")), None);
    }
}
