//! The metadata of a delivered object: who made it, for people, for CodePipeline, and for the order guard.
//!
//! S3 takes 2 KB of it in all, and ASCII only: other text is written as RFC 2047 encoded words, as S3 itself does
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>).

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::SecondsFormat;
use domain::contract::FetchedCommit;
use domain::destination::ObjectKey;
use domain::git::ObjectId;
use domain::order::DeliveredPush;

/// The longest encoded text of one author or subject, in bytes. Both fit into the 2 KB beside the rest, whose longest
/// parts (repository, ref) are bounded by the object key's 1,024 bytes.
const TEXT_BYTES: usize = 200;
/// What S3 takes in all.
const METADATA_BYTES: usize = 2_048;

/// The metadata of the zip of `mine`.
pub fn write(
    mine: &DeliveredPush,
    fetched: &FetchedCommit,
    provenance: &ObjectKey,
) -> HashMap<String, String> {
    let object = |id: &Option<ObjectId>| id.as_ref().map_or_else(String::new, ToString::to_string);
    let author = format!("{} <{}>", fetched.author.name, fetched.author.email);
    let mut metadata: HashMap<_, _> = [
        // The name that CodePipeline shows as the revision's summary.
        ("codepipeline-artifact-revision-summary", encode(&fetched.subject)),
        ("commit", fetched.commit.to_string()),
        (
            "commit-time",
            fetched.committed_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        ),
        ("author", encode(&author)),
        ("sha256", mine.sha256.clone()),
        ("push-id", mine.push_id.to_string()),
        ("sequence", mine.sequence.to_string()),
        ("source", mine.source.to_string()),
        ("repository", encode_whole(mine.repository.as_str())),
        ("ref", encode_whole(mine.ref_name.as_str())),
        ("before", object(&mine.before)),
        ("after", object(&mine.after)),
        ("ref-now", object(&mine.ref_now)),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    // Without it the zip is still to be delivered, and the trail names the document too.
    let provenance = ("provenance".to_owned(), encode_whole(provenance.as_str()));
    let bytes: usize = metadata
        .iter()
        .chain([(&provenance.0, &provenance.1)])
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes <= METADATA_BYTES {
        metadata.extend([provenance]);
    }
    metadata
}

/// The push that the metadata names. `None` if the object is not one of this project's.
pub fn read(metadata: &HashMap<String, String>) -> Option<DeliveredPush> {
    let text = |name: &str| metadata.get(name).map(|value| decode(value));
    let object = |name: &str| match metadata.get(name) {
        Some(value) => value.parse().map(Some).ok(),
        None => Some(None),
    };
    Some(DeliveredPush {
        push_id: text("push-id")?.parse().ok()?,
        source: text("source")?.parse().ok()?,
        repository: text("repository")?.parse().ok()?,
        ref_name: text("ref")?.parse().ok()?,
        before: object("before")?,
        after: object("after")?,
        sequence: text("sequence")?.parse().ok()?,
        ref_now: object("ref-now")?,
        sha256: text("sha256")?,
    })
}

/// Whose zip it is, for people.
pub fn owner(metadata: &HashMap<String, String>) -> String {
    let text = |name: &str| {
        metadata
            .get(name)
            .map_or_else(|| "?".to_owned(), |value| decode(value))
    };
    format!(
        "{} of {} (source {})",
        text("ref"),
        text("repository"),
        text("source")
    )
}

/// Text that may be cut.
fn encode(text: &str) -> String {
    let mut end = text.len();
    loop {
        let encoded = encode_whole(&text[..end]);
        if encoded.len() <= TEXT_BYTES {
            return encoded;
        }
        // One character less each time: an encoded character has up to six bytes.
        end = text[..end]
            .char_indices()
            .next_back()
            .map_or(0, |(index, _)| index);
    }
}

fn encode_whole(text: &str) -> String {
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && !text.starts_with("=?");
    if plain {
        return text.to_owned();
    }
    format!("=?UTF-8?B?{}?=", STANDARD.encode(text))
}

fn decode(value: &str) -> String {
    value
        .strip_prefix("=?UTF-8?B?")
        .and_then(|value| value.strip_suffix("?="))
        .and_then(|value| STANDARD.decode(value).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_script_comes_back() {
        for text in ["plain text", "Grüße", "推送", "=?not encoded", "a\tb"] {
            assert_eq!(decode(&encode(text)), text);
            assert!(encode(text).is_ascii());
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let encoded = encode(&"推".repeat(5_000));
        assert!(encoded.len() <= TEXT_BYTES);
        let decoded = decode(&encoded);
        assert!(decoded.chars().all(|char| char == '推') && decoded.chars().count() > 40);
    }

    #[test]
    fn a_foreign_object_names_no_push() {
        assert_eq!(read(&HashMap::new()), None);
        assert_eq!(read(&HashMap::from([("push-id".into(), "x".into())])), None);
    }
}
