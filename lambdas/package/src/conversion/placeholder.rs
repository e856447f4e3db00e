//! The placeholders of `git log --format`, as far as one commit by itself can answer them.

use super::TooLarge;
use super::commit::{Commit, Person};
use super::date::{self, Form};

/// git's shortest.
const ABBREVIATED: usize = 7;

/// What became of a placeholder. Numbers are the bytes after the percent sign that it took.
enum Step {
    Known(usize),
    /// git knows it, and we cannot.
    Left(usize),
    /// git does not know it.
    Unknown,
}

/// Appends `format` with its placeholders replaced, until `out` has more than `most` bytes. `left` is told of those that
/// only a whole repository could replace.
pub fn format(
    commit: &Commit,
    format: &[u8],
    out: &mut Vec<u8>,
    most: usize,
    left: &mut dyn FnMut(&str),
) -> Result<(), TooLarge> {
    // git reads C strings.
    let mut rest = format.split(|byte| *byte == 0).next().unwrap_or_default();
    // What is behind the last one is not looked through for another at each placeholder.
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
                left(&format!("%{}", String::from_utf8_lossy(placeholder)));
                out.push(b'%');
                out.extend_from_slice(placeholder);
                rest = after;
            }
            Step::Unknown => out.push(b'%'),
        }
        if out.len() > most {
            return Err(TooLarge);
        }
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// A placeholder with what may stand before it: `+` and a space put a line end and a space before what is not empty, `-`
/// removes line ends before what is. `may_close` is whether `text` has a closing parenthesis.
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
        // There is no reflog in an archive.
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
        // How long ago it was.
        (b'r' | b'h', Some(_)) => return Step::Left(2),
        (_, Some(date)) => {
            let form = match part {
                b'd' => Form::Normal,
                b'D' => Form::Mail,
                b'i' => Form::Iso,
                b'I' => Form::IsoStrict,
                b's' => Form::Short,
                _ => return Step::Unknown,
            };
            out.extend_from_slice(date::write(date.seconds, date.zone, form).as_bytes());
        }
        // Nobody, or no date.
        (b'n' | b'e' | b't' | b'd' | b'D' | b'r' | b'i', _) => {}
        _ => return Step::Unknown,
    }
    Step::Known(2)
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}
