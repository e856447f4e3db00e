//! Line endings. git's objects are taken to have LF, which `eol=crlf` converts to CRLF.

use tree::{PathAttributes, State};

/// When LF becomes CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eol {
    /// Always.
    Crlf,
    /// If the content looks like text, and has no CRLF yet.
    AutoCrlf,
}

impl Eol {
    /// Returns the conversion by `text`, `crlf` and `eol`. Without `eol=crlf` there is none, because the native line
    /// ending is LF.
    pub fn of(found: &PathAttributes<'_>) -> Option<Self> {
        if !found.eol.is("crlf") {
            return None;
        }
        // `crlf` is the former name of `text`, and counts if `text` has no state that git knows.
        let text = [found.text, found.crlf].into_iter().find(|state| {
            matches!(state, State::Set | State::Unset) || state.is("input") || state.is("auto")
        });
        match text {
            Some(State::Unset) => None,
            Some(text) if text.is("auto") => Some(Self::AutoCrlf),
            _ => Some(Self::Crlf),
        }
    }

    /// Converts `content`. Returns `None` if nothing changes.
    pub fn convert(self, content: &[u8]) -> Option<Vec<u8>> {
        let stats = Stats::of(content);
        if stats.lone_lf == 0 || (self == Self::AutoCrlf && (stats.crlf > 0 || stats.is_binary())) {
            return None;
        }
        let mut converted = Vec::with_capacity(content.len() + stats.lone_lf);
        let mut lines = content.split(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            converted.extend_from_slice(line);
            if lines.peek().is_some() {
                let end: &[u8] = if line.ends_with(b"\r") { b"\n" } else { b"\r\n" };
                converted.extend_from_slice(end);
            }
        }
        Some(converted)
    }
}

/// What git counts to tell text from binary content.
#[derive(Default)]
struct Stats {
    nul: usize,
    lone_cr: usize,
    lone_lf: usize,
    crlf: usize,
    printable: usize,
    unprintable: usize,
}

impl Stats {
    fn of(content: &[u8]) -> Self {
        let mut stats = Self::default();
        let mut bytes = content.iter().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\r' if bytes.next_if_eq(&&b'\n').is_some() => stats.crlf += 1,
                b'\r' => stats.lone_cr += 1,
                b'\n' => stats.lone_lf += 1,
                0 => {
                    stats.nul += 1;
                    stats.unprintable += 1;
                }
                // Backspace, tab, form feed and escape occur in text too.
                0x08 | b'\t' | 0x0c | 0x1b => stats.printable += 1,
                ..0x20 | 0x7f => stats.unprintable += 1,
                _ => stats.printable += 1,
            }
        }
        // The end-of-file mark of DOS.
        if content.ends_with(&[0x1a]) {
            stats.unprintable -= 1;
        }
        stats
    }

    fn is_binary(&self) -> bool {
        self.lone_cr > 0 || self.nul > 0 || self.printable / 128 < self.unprintable
    }
}
