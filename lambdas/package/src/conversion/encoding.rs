//! The attribute `working-tree-encoding`: git stores the content in UTF-8, and the file has another encoding.

/// An encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    name: &'static str,
    layout: Layout,
}

/// The encoding is not known here.
#[derive(Debug)]
pub struct Unknown;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// UTF-16, and whether it begins with a byte order mark.
    Utf16(ByteOrder, bool),
    /// UTF-32, and whether it begins with a byte order mark.
    Utf32(ByteOrder, bool),
    /// UTF-16 without surrogates.
    Ucs2(ByteOrder),
    /// One byte per character. Only the code points below this number have one.
    First(u32),
    /// An encoding of the WHATWG standard.
    Web(&'static encoding_rs::Encoding),
    /// An encoding of the WHATWG standard, but with the control characters from U+0080, which the standard leaves out.
    Iso(&'static encoding_rs::Encoding),
}

/// The order of the bytes of a code unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteOrder {
    Little,
    Big,
}

use ByteOrder::{Big, Little};

/// A name without a byte order means little-endian, as on the machines that git runs on. glibc does the same, except
/// for UCS-4.
const UNICODE: [(&str, Layout); 17] = [
    ("UTF-16", Layout::Utf16(Little, true)),
    ("UTF-16LE", Layout::Utf16(Little, false)),
    ("UTF-16BE", Layout::Utf16(Big, false)),
    ("UTF-16LE-BOM", Layout::Utf16(Little, true)),
    ("UTF-16BE-BOM", Layout::Utf16(Big, true)),
    ("UTF-32", Layout::Utf32(Little, true)),
    ("UTF-32LE", Layout::Utf32(Little, false)),
    ("UTF-32BE", Layout::Utf32(Big, false)),
    ("UCS-2", Layout::Ucs2(Little)),
    ("UCS-2LE", Layout::Ucs2(Little)),
    ("UCS-2BE", Layout::Ucs2(Big)),
    ("UCS-4", Layout::Utf32(Big, false)),
    ("UCS-4LE", Layout::Utf32(Little, false)),
    ("UCS-4BE", Layout::Utf32(Big, false)),
    ("US-ASCII", Layout::First(0x80)),
    ("ASCII", Layout::First(0x80)),
    ("ISO-8859-1", Layout::First(0x100)),
];

impl Encoding {
    /// Returns the encoding of this name, or `None` if it is UTF-8, which the content has already.
    pub fn named(name: &[u8]) -> Result<Option<Self>, Unknown> {
        let name = std::str::from_utf8(name)
            .map_err(|_| Unknown)?
            .to_ascii_uppercase();
        // iconv takes options after the slashes, none of which is supported here.
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
        if let Some((name, layout)) = UNICODE.into_iter().find(|(known, _)| *known == name) {
            return Ok(Some(Self { name, layout }));
        }
        let web = encoding_rs::Encoding::for_label(name.as_bytes()).ok_or(Unknown)?;
        if web.output_encoding() != web || web == encoding_rs::UTF_8 || web == encoding_rs::X_USER_DEFINED {
            return Err(Unknown);
        }
        let layout = if name.contains("8859") || name.starts_with("LATIN") {
            Layout::Iso(web)
        } else {
            Layout::Web(web)
        };
        Ok(Some(Self {
            name: web.name(),
            layout,
        }))
    }

    pub fn name(self) -> &'static str {
        self.name
    }

    /// Encodes `content`. Returns `None` if it is not UTF-8, or has a character that this encoding lacks.
    pub fn encode(self, content: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(content).ok()?;
        match self.layout {
            Layout::Utf16(order, mark) => Some(utf16(text, order, mark)),
            Layout::Utf32(order, mark) => Some(utf32(text, order, mark)),
            Layout::Ucs2(order) => text
                .chars()
                .all(|char| u32::from(char) < 0x1_0000)
                .then(|| utf16(text, order, false)),
            Layout::First(count) => text
                .chars()
                .map(|char| {
                    u8::try_from(u32::from(char))
                        .ok()
                        .filter(|byte| u32::from(*byte) < count)
                })
                .collect(),
            Layout::Web(web) => encoded(web, text),
            Layout::Iso(web) => {
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

fn utf16(text: &str, order: ByteOrder, mark: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() * 2 + 2);
    let mark = mark.then_some(0xfeff);
    for unit in mark.into_iter().chain(text.encode_utf16()) {
        bytes.extend_from_slice(&match order {
            Little => unit.to_le_bytes(),
            Big => unit.to_be_bytes(),
        });
    }
    bytes
}

fn utf32(text: &str, order: ByteOrder, mark: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() * 4 + 4);
    let mark = mark.then_some(0xfeff);
    for unit in mark.into_iter().chain(text.chars().map(u32::from)) {
        bytes.extend_from_slice(&match order {
            Little => unit.to_le_bytes(),
            Big => unit.to_be_bytes(),
        });
    }
    bytes
}
