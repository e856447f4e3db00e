//! The attribute `working-tree-encoding`: git's objects have UTF-8, and the file another encoding.

/// An encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    name: &'static str,
    form: Form,
}

/// It is none that is known here.
#[derive(Debug)]
pub struct Unknown;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// UTF-16 with or without a byte order mark.
    Utf16(End, bool),
    /// UTF-32 likewise.
    Utf32(End, bool),
    /// UTF-16 without surrogates.
    Ucs2(End),
    /// One byte for each of the first so many characters.
    First(u32),
    /// As browsers have it.
    Web(&'static encoding_rs::Encoding),
    /// As browsers have it, but for the control characters from U+0080, which browsers do without.
    Iso(&'static encoding_rs::Encoding),
}

/// The order of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Little,
    Big,
}

use End::{Big, Little};

/// Where no order is named, it is that of the machines that git is used on. So does glibc, but for UCS-4.
const UNICODE: [(&str, Form); 17] = [
    ("UTF-16", Form::Utf16(Little, true)),
    ("UTF-16LE", Form::Utf16(Little, false)),
    ("UTF-16BE", Form::Utf16(Big, false)),
    ("UTF-16LE-BOM", Form::Utf16(Little, true)),
    ("UTF-16BE-BOM", Form::Utf16(Big, true)),
    ("UTF-32", Form::Utf32(Little, true)),
    ("UTF-32LE", Form::Utf32(Little, false)),
    ("UTF-32BE", Form::Utf32(Big, false)),
    ("UCS-2", Form::Ucs2(Little)),
    ("UCS-2LE", Form::Ucs2(Little)),
    ("UCS-2BE", Form::Ucs2(Big)),
    ("UCS-4", Form::Utf32(Big, false)),
    ("UCS-4LE", Form::Utf32(Little, false)),
    ("UCS-4BE", Form::Utf32(Big, false)),
    ("US-ASCII", Form::First(0x80)),
    ("ASCII", Form::First(0x80)),
    ("ISO-8859-1", Form::First(0x100)),
];

impl Encoding {
    /// The encoding of this name; none for UTF-8, which the content is in already.
    pub fn named(name: &[u8]) -> Result<Option<Self>, Unknown> {
        let name = std::str::from_utf8(name)
            .map_err(|_| Unknown)?
            .to_ascii_uppercase();
        // An iconv may be told to do more after the slashes, but not by us.
        let name = name.strip_suffix("//").unwrap_or(&name);
        let name = match name {
            "" => return Ok(None),
            "UTF8" | "UTF-8" => return Ok(None),
            "LATIN1" | "LATIN-1" | "ISO8859-1" | "ISO_8859-1" | "8859_1" | "CP819" => "ISO-8859-1".to_owned(),
            "CP932" => "WINDOWS-31J".to_owned(),
            "CP936" => "GBK".to_owned(),
            "CP949" => "EUC-KR".to_owned(),
            "CP950" => "BIG5".to_owned(),
            "SHIFT-JIS" => "SHIFT_JIS".to_owned(),
            "EUCJP" => "EUC-JP".to_owned(),
            "EUCKR" => "EUC-KR".to_owned(),
            other => match other.strip_prefix("UTF") {
                Some(size) if size.starts_with(|first: char| first.is_ascii_digit()) => format!("UTF-{size}"),
                _ => other.to_owned(),
            },
        };
        if let Some((name, form)) = UNICODE.into_iter().find(|(known, _)| *known == name) {
            return Ok(Some(Self { name, form }));
        }
        let web = encoding_rs::Encoding::for_label(name.as_bytes()).ok_or(Unknown)?;
        if web.output_encoding() != web || web == encoding_rs::UTF_8 || web == encoding_rs::X_USER_DEFINED {
            return Err(Unknown);
        }
        let form = if name.contains("8859") || name.starts_with("LATIN") {
            Form::Iso(web)
        } else {
            Form::Web(web)
        };
        Ok(Some(Self {
            name: web.name(),
            form,
        }))
    }

    pub fn name(self) -> &'static str {
        self.name
    }

    /// The content in this encoding; none where it is not UTF-8, or has a character that the encoding has not.
    pub fn encode(self, content: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(content).ok()?;
        match self.form {
            Form::Utf16(end, mark) => Some(utf16(text, end, mark)),
            Form::Utf32(end, mark) => Some(utf32(text, end, mark)),
            Form::Ucs2(end) => text
                .chars()
                .all(|char| u32::from(char) < 0x1_0000)
                .then(|| utf16(text, end, false)),
            Form::First(count) => text
                .chars()
                .map(|char| {
                    u8::try_from(u32::from(char))
                        .ok()
                        .filter(|byte| u32::from(*byte) < count)
                })
                .collect(),
            Form::Web(web) => encoded(web, text),
            Form::Iso(web) => {
                let mut bytes = Vec::with_capacity(text.len());
                let mut buffer = [0; 4];
                for char in text.chars() {
                    match u32::from(char) {
                        code @ 0..0xa0 => bytes.push(code as u8),
                        _ => match encoded(web, char.encode_utf8(&mut buffer))?[..] {
                            [byte] if byte >= 0xa0 => bytes.push(byte),
                            _ => return None,
                        },
                    }
                }
                Some(bytes)
            }
        }
    }
}

fn encoded(web: &'static encoding_rs::Encoding, text: &str) -> Option<Vec<u8>> {
    let (bytes, _, replaced) = web.encode(text);
    (!replaced).then(|| bytes.into_owned())
}

fn utf16(text: &str, end: End, mark: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() * 2 + 2);
    let mark = mark.then_some(0xfeff);
    for unit in mark.into_iter().chain(text.encode_utf16()) {
        bytes.extend_from_slice(&match end {
            Little => unit.to_le_bytes(),
            Big => unit.to_be_bytes(),
        });
    }
    bytes
}

fn utf32(text: &str, end: End, mark: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() * 4 + 4);
    let mark = mark.then_some(0xfeff);
    for unit in mark.into_iter().chain(text.chars().map(u32::from)) {
        bytes.extend_from_slice(&match end {
            Little => unit.to_le_bytes(),
            Big => unit.to_be_bytes(),
        });
    }
    bytes
}
