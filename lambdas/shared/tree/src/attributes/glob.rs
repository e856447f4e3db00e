//! Matches the patterns of `.gitattributes` against paths as git's `wildmatch` does
//! (<https://git-scm.com/docs/gitattributes>, <https://git-scm.com/docs/gitignore#_pattern_format>), in bounded time.
//!
//! Anyone who may push can choose both the pattern and the path. git tries all the ways in which the stars can match,
//! which takes exponential time if a pattern has several `**/`. But the part of a pattern between two `**/` matches a
//! fixed number of folders, so the first place where it matches is as good as any later one; and between two slashes
//! the same is true of each `*`. So only the last `**/` and the last `*` are ever tried again, and each byte of the
//! pattern is compared with each byte of the path at most once.

use gix_attributes::glob::Pattern;
use gix_attributes::glob::pattern::Mode;

/// A path relative to the folder of an attributes file, without a slash at its end.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    whole: &'a [u8],
    /// The start of the last part of `whole`.
    name: usize,
    is_folder: bool,
}

/// A pattern.
#[derive(Debug)]
pub struct Glob {
    /// Whether the pattern is compared only with the last part of a path.
    name_only: bool,
    must_be_folder: bool,
    /// The bytes before the first one that may be special.
    prefix: Box<[u8]>,
    rest: Rest,
}

/// The part of a pattern after its prefix.
#[derive(Debug)]
enum Rest {
    Nothing,
    /// One `*`, then these bytes, none of which is a slash.
    EndsWith(Box<[u8]>),
    Tokens(Box<[Token]>),
    /// The pattern matches nothing, because it has a class that is never closed, or a backslash at the end.
    Never,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// `?`: any byte but a slash.
    Any,
    /// `[...]`: one of these bytes, as a bit set.
    Class(Box<[u64; 4]>),
    /// `*`: any bytes but slashes.
    Star,
    /// `**/` after a slash: any number of folders, each with its slash.
    Folders {
        /// Whether the number may be zero.
        optional: bool,
    },
    /// `**` after a slash and at the end: the rest of the path.
    All,
}

impl<'a> Path<'a> {
    /// Wraps `path`, which is relative to the folder of the attributes file. A folder's path ends with a slash.
    pub fn new(path: &'a [u8]) -> Self {
        let whole = path.strip_suffix(b"/");
        let is_folder = whole.is_some();
        let whole = whole.unwrap_or(path);
        Self {
            whole,
            name: whole
                .iter()
                .rposition(|byte| *byte == b'/')
                .map_or(0, |slash| slash + 1),
            is_folder,
        }
    }

    pub fn whole(self) -> &'a [u8] {
        self.whole
    }

    /// Returns the last part.
    pub fn name(self) -> &'a [u8] {
        &self.whole[self.name..]
    }
}

impl Glob {
    pub fn new(pattern: &Pattern) -> Self {
        let text = pattern.text.as_slice();
        let name_only = pattern.mode.contains(Mode::NO_SUB_DIR) && !pattern.mode.contains(Mode::ABSOLUTE);
        // A pattern begins with one of these only if it was escaped, or if it stood behind a slash. The backslash ends
        // git's prefix, and gix has removed it, as it has the slash.
        let is_escaped = matches!(text.first(), Some(b'!' | b'#')) && !pattern.mode.contains(Mode::ABSOLUTE);
        let special = if is_escaped {
            Some(0)
        } else {
            pattern.first_wildcard_pos
        };
        let (prefix, rest) = text.split_at(special.unwrap_or(text.len()));
        Self {
            name_only,
            must_be_folder: pattern.mode.contains(Mode::MUST_BE_DIR),
            prefix: prefix.into(),
            rest: Rest::new(rest, name_only),
        }
    }

    /// Returns the name or path that the pattern matches, or `None` if it has special bytes.
    pub fn literal(&self) -> Option<&[u8]> {
        matches!(self.rest, Rest::Nothing).then_some(&self.prefix)
    }

    /// Returns whether the pattern matches `path`. Adds the number of comparisons to `steps`.
    pub fn matches(&self, path: Path<'_>, steps: &mut u64) -> bool {
        *steps += 1;
        if self.must_be_folder && !path.is_folder {
            return false;
        }
        let text = if self.name_only { path.name() } else { path.whole };
        let Some(text) = text.strip_prefix(&*self.prefix) else {
            return false;
        };
        match &self.rest {
            Rest::Nothing => text.is_empty(),
            Rest::EndsWith(end) => text
                .strip_suffix(&**end)
                .is_some_and(|star| self.name_only || !star.contains(&b'/')),
            Rest::Tokens(tokens) => matches(tokens, text, steps),
            Rest::Never => false,
        }
    }
}

impl Rest {
    fn new(pattern: &[u8], name_only: bool) -> Self {
        match tokens(pattern, name_only) {
            None => Self::Never,
            Some(tokens) if tokens.is_empty() => Self::Nothing,
            Some(tokens) => match ends_with(&tokens) {
                Some(end) => Self::EndsWith(end),
                None => Self::Tokens(tokens.into()),
            },
        }
    }
}

/// Splits a pattern into tokens. Returns `None` if the pattern matches no path at all. To git the pattern begins after
/// its prefix: `a/b**/c` matches `a/bc`, because nothing comes before `**/`.
fn tokens(pattern: &[u8], name_only: bool) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = pattern.get(at) {
        at += 1;
        tokens.push(match byte {
            b'?' => Token::Any,
            b'\\' => {
                let escaped = *pattern.get(at)?;
                at += 1;
                Token::Byte(escaped)
            }
            b'[' => {
                let (class, length) = class(&pattern[at..])?;
                at += length;
                Token::Class(Box::new(class))
            }
            b'*' => {
                let first = at - 1;
                at += pattern[at..].iter().take_while(|byte| **byte == b'*').count();
                let free = first == 0 || pattern[first - 1] == b'/';
                match &pattern[at..] {
                    _ if name_only || at - first == 1 || !free => Token::Star,
                    [] => Token::All,
                    [b'/', ..] => {
                        at += 1;
                        Token::Folders { optional: true }
                    }
                    // To git the folders are optional only if the slash is not escaped.
                    [b'\\', b'/', ..] => {
                        at += 2;
                        Token::Folders { optional: false }
                    }
                    _ => Token::Star,
                }
            }
            byte => Token::Byte(*byte),
        });
    }
    Some(tokens)
}

fn ends_with(tokens: &[Token]) -> Option<Box<[u8]>> {
    let (Token::Star, rest) = tokens.split_first()? else {
        return None;
    };
    rest.iter()
        .map(|token| match token {
            Token::Byte(byte) if *byte != b'/' => Some(*byte),
            _ => None,
        })
        .collect()
}

/// Parses a class after its `[`. Returns the bytes that it has, and its length with the `]`, or `None` if git takes it
/// for malformed.
fn class(pattern: &[u8]) -> Option<([u64; 4], usize)> {
    let mut class = [0; 4];
    let mut at = 0;
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    if negated {
        at += 1;
    }
    // The byte that may begin a range.
    let mut previous = None;
    // A `]` that comes first is a member of the class.
    let mut first = true;
    loop {
        let byte = *pattern.get(at)?;
        at += 1;
        match byte {
            b']' if !first => break,
            b'\\' => {
                let escaped = *pattern.get(at)?;
                at += 1;
                insert(&mut class, escaped..=escaped);
                previous = Some(escaped);
            }
            b'-' if previous.is_some() && !matches!(pattern.get(at), None | Some(b']')) => {
                let mut last = pattern[at];
                at += 1;
                if last == b'\\' {
                    last = *pattern.get(at)?;
                    at += 1;
                }
                insert(&mut class, previous.unwrap_or(last)..=last);
                previous = None;
            }
            b'[' if pattern.get(at) == Some(&b':') => {
                let name = &pattern[at + 1..];
                let name = &name[..name.iter().position(|byte| *byte == b']')?];
                match name.strip_suffix(b":") {
                    Some(known) => {
                        let has = named(known)?;
                        for byte in (0..=u8::MAX).filter(has) {
                            insert(&mut class, byte..=byte);
                        }
                        at += name.len() + 2;
                        previous = None;
                    }
                    None => {
                        insert(&mut class, byte..=byte);
                        previous = Some(byte);
                    }
                }
            }
            byte => {
                insert(&mut class, byte..=byte);
                previous = Some(byte);
            }
        }
        first = false;
    }
    if negated {
        class = class.map(|bits: u64| !bits);
    }
    class[usize::from(b'/' >> 6)] &= !(1 << (b'/' & 63));
    Some((class, at))
}

fn insert(class: &mut [u64; 4], bytes: std::ops::RangeInclusive<u8>) {
    for byte in bytes {
        class[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
}

/// Returns which bytes are in `[:name:]`. git knows only ASCII, and its white space has fewer bytes than C's.
fn named(name: &[u8]) -> Option<fn(&u8) -> bool> {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    Some(match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"punct" => u8::is_ascii_punctuation,
        b"space" => space,
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    })
}

/// Returns whether the tokens match the whole `text`, by the algorithm that the module describes.
fn matches(tokens: &[Token], text: &[u8], steps: &mut u64) -> bool {
    let (mut token, mut at) = (0, 0);
    // For the last `*` and the last `**/`, the token after it, and the end of what it has matched.
    let mut star: Option<(usize, usize)> = None;
    let mut folders: Option<(usize, usize)> = None;
    loop {
        *steps += 1;
        let fits = match (tokens.get(token), text.get(at)) {
            (None, None) | (Some(Token::All), _) => return true,
            (Some(Token::Star), _) => {
                token += 1;
                star = Some((token, at));
                continue;
            }
            (Some(Token::Folders { optional: true }), _) => {
                token += 1;
                (star, folders) = (None, Some((token, at)));
                continue;
            }
            (Some(Token::Folders { optional: false }), _) => {
                token += 1;
                let Some(next) = behind_slash(text, at) else {
                    return false;
                };
                at = next;
                (star, folders) = (None, Some((token, at)));
                continue;
            }
            (Some(Token::Byte(expected)), Some(byte)) => expected == byte,
            (Some(Token::Any), Some(byte)) => *byte != b'/',
            (Some(Token::Class(class)), Some(byte)) => {
                class[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        if fits {
            // A `*` before a slash is never tried again.
            if text[at] == b'/' {
                star = None;
            }
            token += 1;
            at += 1;
        } else if let Some((behind, end)) = star
            && text.get(end).is_some_and(|byte| *byte != b'/')
        {
            star = Some((behind, end + 1));
            (token, at) = (behind, end + 1);
        } else if let Some((behind, end)) = folders
            && let Some(next) = behind_slash(text, end)
        {
            (star, folders) = (None, Some((behind, next)));
            (token, at) = (behind, next);
        } else {
            return false;
        }
    }
}

/// Returns where the next part of `text` begins, after the first slash at or after `from`.
fn behind_slash(text: &[u8], from: usize) -> Option<usize> {
    let slash = text[from..].iter().position(|byte| *byte == b'/')?;
    Some(from + slash + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(pattern: &str, path: &str) -> (bool, u64) {
        let mut steps = 0;
        let glob = Glob::new(&Pattern::from_bytes(pattern.as_bytes()).unwrap());
        let matches = glob.matches(Path::new(path.as_bytes()), &mut steps);
        (matches, steps)
    }

    #[test]
    fn each_byte_of_a_pattern_is_compared_with_each_byte_of_a_path_at_most_once() {
        for (unit, end, part) in [
            ("**/a/", "b", "a/"),
            ("**/a*/", "b", "aaaa/"),
            ("**\\/a/", "b", "a/"),
            ("a*/**/", "b", "aaa/"),
            ("*a", "/b", "aaaa"),
            ("a*", "/b", "a"),
            ("**/[ab]*a/**/?*/", "b", "aba/a/"),
            ("**/*a*a/*/", "**/b", "aaaa/a/"),
        ] {
            for times in [1, 10, 100] {
                let pattern = format!("/{}{end}", unit.repeat(times));
                let path = format!("{}c", part.repeat(1_000 / part.len()));
                let (matches, steps) = steps(&pattern, &path);
                assert!(!matches, "{pattern}");
                let most = 2 * (pattern.len() as u64 + 1) * (path.len() as u64 + 1);
                assert!(
                    steps <= most,
                    "{unit} {times} times: {steps} steps, more than {most}"
                );
            }
        }
    }

    #[test]
    fn what_comes_after_many_folders_is_found() {
        let path = format!("{}b", "a/".repeat(200));
        assert!(steps(&format!("{}b", "**/a/".repeat(200)), &path).0);
        assert!(!steps(&format!("{}b", "**/a/".repeat(201)), &path).0);
        assert!(steps(&format!("{}*", "**/".repeat(600)), &path).0);
    }

    #[test]
    fn usual_patterns_take_one_step() {
        for pattern in ["*.c", "*.rs", "a.c", "/b/a.c", "x/*.rs", "*", "a*", "b/**", "z/"] {
            assert_eq!(steps(pattern, "x/y/z.rs").1, 1, "{pattern}");
        }
    }
}
