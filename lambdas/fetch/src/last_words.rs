//! Why a host's git has died, where it says so.

/// A longer line is none of git's.
const LINE_BYTES: usize = 1_000;

/// Listens to what git says on the side band, for a line such as `fatal: unable to read 9c59e24b...`.
#[derive(Debug, Default)]
pub struct LastWords {
    /// The line so far. The side band carries a stream, in which a line comes in any number of pieces.
    line: Vec<u8>,
    reason: Option<String>,
}

impl LastWords {
    /// Takes the next piece.
    pub fn hear(&mut self, said: &[u8]) {
        for byte in said {
            if matches!(byte, b'\r' | b'\n') {
                self.end_line();
            } else if self.line.len() <= LINE_BYTES {
                self.line.push(*byte);
            }
        }
    }

    /// The last reason. It is whole: a secret in it, which the host was sent, can be found and taken out.
    pub fn reason(&mut self) -> Option<String> {
        self.end_line();
        self.reason.take()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let is_reason = line.starts_with(b"fatal: ") || line.starts_with(b"error: ");
        if is_reason && line.len() <= LINE_BYTES {
            self.reason = Some(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reason_is_heard_in_whatever_pieces_it_comes() {
        let said = b"Counting objects:  33% (1/3)\rCounting objects: 100% (3/3), done.\nerror: first\nfatal: last\n\n";
        for size in 1..said.len() {
            let mut words = LastWords::default();
            said.chunks(size).for_each(|piece| words.hear(piece));
            assert_eq!(words.reason().as_deref(), Some("fatal: last"), "{size}");
            assert_eq!(words.reason(), None);
        }
    }

    #[test]
    fn a_line_without_an_end_counts_and_a_very_long_one_does_not() {
        let reason = |said: &str| {
            let mut words = LastWords::default();
            words.hear(said.as_bytes());
            words.reason()
        };
        assert_eq!(reason("fatal: no end").as_deref(), Some("fatal: no end"));
        assert_eq!(reason("not fatal: no"), None);
        let longest = format!("fatal: {}", "x".repeat(LINE_BYTES - "fatal: ".len()));
        assert_eq!(reason(&longest), Some(longest.clone()));
        assert_eq!(reason(&(longest + "x")), None);
    }
}
