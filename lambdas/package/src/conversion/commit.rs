//! Parses commit objects as git does, for the placeholders of `export-subst`.

use domain::git::{CommitId, RefName};
use git2::{Oid, Repository};

use crate::error::Error;

/// The parts of a commit object, in the commit's own encoding.
#[derive(Debug, Default)]
pub struct Commit {
    pub id: String,
    pub tree: Vec<u8>,
    pub parents: Vec<Vec<u8>>,
    pub author: Person,
    pub committer: Person,
    pub encoding: Vec<u8>,
    /// The whole message.
    pub message: Vec<u8>,
    /// The first paragraph, joined into one line.
    pub subject: Vec<u8>,
    /// The first line as a file name (`%f`). It may be empty even if the line has megabytes.
    pub file_name: Vec<u8>,
    /// The message after the first paragraph.
    pub body: Vec<u8>,
    /// The pushed ref, as `%D` shows it.
    pub decoration: String,
}

/// The author or committer, and the date. Of a line that git cannot parse, `known` is false and the rest is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Person {
    pub known: bool,
    pub name: Vec<u8>,
    pub email: Vec<u8>,
    pub date: Option<Date>,
}

/// A date.
#[derive(Debug, PartialEq, Eq)]
pub struct Date {
    /// The seconds, as the commit has them.
    pub digits: Vec<u8>,
    pub seconds: u64,
    /// The time zone: 100 stands for `+0100`.
    pub zone: i64,
}

impl Commit {
    pub fn read(repository: &Repository, id: &CommitId, pushed: &RefName) -> Result<Self, Error> {
        let oid = Oid::from_str(id.as_str()).map_err(tree::Error::Pack)?;
        let odb = repository.odb().map_err(tree::Error::Pack)?;
        let object = odb.read(oid).map_err(tree::unreadable(oid, b""))?;
        let mut commit = Self::parse(object.data());
        commit.id = id.as_str().to_owned();
        commit.decoration = decoration(pushed);
        Ok(commit)
    }

    pub fn parse(object: &[u8]) -> Self {
        // git stops at the first NUL, as it reads C strings.
        let text = object.split(|byte| *byte == 0).next().unwrap_or_default();
        let mut commit = Self::default();
        let mut rest = text;
        loop {
            let (line, after) = split_line(rest);
            rest = after;
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            if line.is_empty() {
                break;
            }
            if let Some(tree) = line.strip_prefix(b"tree ") {
                commit.tree = tree.to_vec();
            } else if let Some(parent) = line.strip_prefix(b"parent ") {
                commit.parents.push(parent.to_vec());
            } else if let Some(author) = line.strip_prefix(b"author ") {
                commit.author = Person::parse(author);
            } else if let Some(committer) = line.strip_prefix(b"committer ") {
                commit.committer = Person::parse(committer);
            } else if let Some(encoding) = line.strip_prefix(b"encoding ") {
                commit.encoding = encoding.to_vec();
            }
        }
        commit.message = rest.to_vec();
        let subject = skip_blank_lines(rest);
        commit.file_name = file_name(split_line(subject).0);
        let mut body = subject;
        loop {
            let (line, after) = split_line(body);
            let line = trim_end(line);
            body = after;
            if line.is_empty() {
                break;
            }
            if !commit.subject.is_empty() {
                commit.subject.push(b' ');
            }
            commit.subject.extend_from_slice(line);
        }
        commit.body = skip_blank_lines(body).to_vec();
        commit
    }
}

impl Person {
    fn parse(line: &[u8]) -> Self {
        let Some(open) = line.iter().position(|byte| *byte == b'<') else {
            return Self::default();
        };
        let email = &line[open + 1..];
        let Some(close) = email.iter().position(|byte| *byte == b'>') else {
            return Self::default();
        };
        let last = line.iter().rposition(|byte| *byte == b'>').unwrap_or(open);
        Self {
            known: true,
            name: trim_end(&line[..open]).to_vec(),
            email: email[..close].to_vec(),
            date: Date::parse(&line[last + 1..]),
        }
    }
}

impl Date {
    fn parse(text: &[u8]) -> Option<Self> {
        let (digits, rest) = digits(trim_start(text))?;
        let rest = trim_start(rest);
        let sign = match rest.first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let (zone, _) = self::digits(&rest[1..])?;
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u64>().ok();
        let seconds = number(digits).filter(|seconds| i64::try_from(*seconds).is_ok());
        let zone = number(zone).filter(|zone| *zone < i32::MAX as u64);
        Some(Self {
            digits: digits.to_vec(),
            seconds: seconds.unwrap_or(0),
            // If the seconds are out of range git drops the zone too.
            zone: seconds.and(zone).map_or(0, |zone| zone as i64 * sign),
        })
    }
}

fn decoration(pushed: &RefName) -> String {
    let name = pushed.as_str();
    match name.strip_prefix("refs/tags/") {
        Some(tag) => format!("tag: {tag}"),
        None => ["refs/heads/", "refs/remotes/"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name)
            .to_owned(),
    }
}

/// Converts a line to a file name as git does.
fn file_name(line: &[u8]) -> Vec<u8> {
    let mut name = Vec::new();
    let mut space = false;
    let mut bytes = line.iter().peekable();
    while let Some(byte) = bytes.next() {
        if !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'_') {
            space = true;
            continue;
        }
        if space && !name.is_empty() {
            name.push(b'-');
        }
        space = false;
        name.push(*byte);
        if *byte == b'.' {
            while bytes.next_if_eq(&&b'.').is_some() {}
        }
    }
    while name.pop_if(|byte| matches!(*byte, b'.' | b'-')).is_some() {}
    name
}

fn digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then(|| text.split_at(count))
}

/// Splits `text` after its first line feed.
fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n');
    text.split_at(end.map_or(text.len(), |end| end + 1))
}

fn skip_blank_lines(mut text: &[u8]) -> &[u8] {
    loop {
        let (line, rest) = split_line(text);
        if line.is_empty() || !trim_end(line).is_empty() {
            return text;
        }
        text = rest;
    }
}

/// Returns whether git takes `byte` for white space.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !is_space(*byte));
    &text[..end.map_or(0, |end| end + 1)]
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_space(*byte));
    &text[start.unwrap_or(text.len())..]
}
