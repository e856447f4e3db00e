//! The placeholders of `git log --format` that can be replaced from the commit object alone.

use super::TooLarge;
use super::commit::{Commit, Person};
use super::date::{self, DateFormat};

/// The length of git's shortest abbreviated ids.
const ABBREVIATED: usize = 7;

/// What became of a placeholder. The numbers are its length in bytes, without the percent sign.
enum Step {
    /// It was replaced.
    Known(usize),
    /// git would replace it, but it needs more than the commit object.
    Left(usize),
    /// git does not know it.
    Unknown,
}

/// Appends `format` with its placeholders replaced. Calls `on_left` with each placeholder that only a whole repository
/// could replace.
///
/// # Errors
/// Returns [`TooLarge`] if `out` grows beyond `max_bytes`.
pub fn format(
    commit: &Commit,
    format: &[u8],
    out: &mut Vec<u8>,
    max_bytes: usize,
    on_left: &mut dyn FnMut(&str),
) -> Result<(), TooLarge> {
    // git stops at the first NUL, as it reads C strings.
    let mut rest = format.split(|byte| *byte == 0).next().unwrap_or_default();
    // The text after the last `)` is not searched again for each placeholder.
    let behind_parentheses = rest
        .iter()
        .rposition(|byte| *byte == b')')
        .map_or(rest.len(), |last| rest.len() - last - 1);
    while let Some(percent) = rest.iter().position(|byte| *byte == b'%') {
        out.extend_from_slice(&rest[..percent]);
        rest = &rest[percent + 1..];
        if let Some(after) = rest.strip_prefix(b"%") {
            out.push(b'%');
            rest = after;
            continue;
        }
        let may_close = rest.len() > behind_parentheses;
        match item(commit, rest, may_close, out) {
            Step::Known(taken) => rest = &rest[taken..],
            Step::Left(taken) => {
                let (placeholder, after) = rest.split_at(taken);
                on_left(&format!("%{}", String::from_utf8_lossy(placeholder)));
                out.push(b'%');
                out.extend_from_slice(placeholder);
                rest = after;
            }
            Step::Unknown => out.push(b'%'),
        }
        if out.len() > max_bytes {
            return Err(TooLarge);
        }
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Replaces a placeholder with its optional modifier: `+` and a space put a line feed or a space before a result that
/// is not empty, `-` removes the line feeds before an empty one. `may_close` is whether `text` has a closing
/// parenthesis.
fn item(commit: &Commit, text: &[u8], may_close: bool, out: &mut Vec<u8>) -> Step {
    let Some(magic @ (b'+' | b'-' | b' ')) = text.first() else {
        return one(commit, text, may_close, out);
    };
    if text.get(1) == Some(&b'w') {
        return Step::Unknown;
    }
    let before = out.len();
    let taken = match one(commit, &text[1..], may_close, out) {
        Step::Known(taken) => taken,
        Step::Left(taken) => return Step::Left(taken + 1),
        Step::Unknown => 0,
    };
    match magic {
        b'+' if out.len() > before => out.insert(before, b'\n'),
        b' ' if out.len() > before => out.insert(before, b' '),
        b'-' if out.len() == before => {
            while out.ends_with(b"\n") {
                out.pop();
            }
        }
        _ => {}
    }
    Step::Known(taken + 1)
}

fn one(commit: &Commit, text: &[u8], may_close: bool, out: &mut Vec<u8>) -> Step {
    let Some(first) = text.first() else {
        return Step::Unknown;
    };
    let abbreviated = |id: &[u8], out: &mut Vec<u8>| out.extend_from_slice(&id[..id.len().min(ABBREVIATED)]);
    match first {
        b'n' => out.push(b'\n'),
        b'x' => {
            let Some(byte) = text.get(1..3).and_then(hexadecimal) else {
                return Step::Unknown;
            };
            out.push(byte);
            return Step::Known(3);
        }
        b'H' => out.extend_from_slice(commit.id.as_bytes()),
        b'h' => abbreviated(commit.id.as_bytes(), out),
        b'T' => out.extend_from_slice(&commit.tree),
        b't' => abbreviated(&commit.tree, out),
        b'P' => out.extend_from_slice(&commit.parents.join(&b' ')),
        b'p' => {
            for (number, parent) in commit.parents.iter().enumerate() {
                if number > 0 {
                    out.push(b' ');
                }
                abbreviated(parent, out);
            }
        }
        b'm' => out.push(b'>'),
        b'd' => out.extend_from_slice(format!(" ({})", commit.decoration).as_bytes()),
        b'D' => out.extend_from_slice(commit.decoration.as_bytes()),
        b'e' => out.extend_from_slice(&commit.encoding),
        b'B' => out.extend_from_slice(&commit.message),
        b's' => out.extend_from_slice(&commit.subject),
        b'f' => out.extend_from_slice(&commit.file_name),
        b'b' => out.extend_from_slice(&commit.body),
        b'a' => return person(&commit.author, text.get(1), out),
        b'c' => return person(&commit.committer, text.get(1), out),
        // An archive has no reflog.
        b'g' => {
            return match text.get(1) {
                Some(b'd' | b'D' | b's' | b'n' | b'N' | b'e' | b'E') => Step::Known(2),
                _ => Step::Unknown,
            };
        }
        // Notes, colours and padding.
        b'N' | b'C' | b'<' | b'>' => return Step::Left(1),
        b'w' if text.get(1) == Some(&b'(') => return Step::Left(1),
        b'G' => {
            return match text.get(1) {
                Some(b'G' | b'?' | b'S' | b'K' | b'F' | b'P' | b'T') => Step::Left(2),
                _ => Step::Unknown,
            };
        }
        b'(' if may_close => return in_parentheses(text),
        _ => return Step::Unknown,
    }
    Step::Known(1)
}

fn in_parentheses(text: &[u8]) -> Step {
    let known: [&[u8]; 5] = [b"(describe", b"(trailers", b"(decorate", b"(count", b"(total"];
    if !known.iter().any(|known| text.starts_with(known)) {
        return Step::Unknown;
    }
    match text.iter().position(|byte| *byte == b')') {
        Some(end) => Step::Left(end + 1),
        None => Step::Unknown,
    }
}

fn person(person: &Person, part: Option<&u8>, out: &mut Vec<u8>) -> Step {
    let Some(part) = part else {
        return Step::Unknown;
    };
    let local = || {
        person
            .email
            .split(|byte| *byte == b'@')
            .next()
            .unwrap_or_default()
    };
    match (part, &person.date) {
        (b'n' | b'N', _) if person.known => out.extend_from_slice(&person.name),
        (b'e' | b'E', _) if person.known => out.extend_from_slice(&person.email),
        (b'l' | b'L', _) if person.known => out.extend_from_slice(local()),
        (b't', Some(date)) => out.extend_from_slice(&date.digits),
        // The date relative to now.
        (b'r' | b'h', Some(_)) => return Step::Left(2),
        (_, Some(date)) => {
            let form = match part {
                b'd' => DateFormat::Normal,
                b'D' => DateFormat::Mail,
                b'i' => DateFormat::Iso,
                b'I' => DateFormat::IsoStrict,
                b's' => DateFormat::Short,
                _ => return Step::Unknown,
            };
            out.extend_from_slice(date::write(date.seconds, date.zone, form).as_bytes());
        }
        // The person or the date is not known.
        (b'n' | b'e' | b't' | b'd' | b'D' | b'r' | b'i', _) => {}
        _ => return Step::Unknown,
    }
    Step::Known(2)
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}
