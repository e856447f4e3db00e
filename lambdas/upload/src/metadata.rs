//! The metadata of a delivered object, which says where it comes from: to people, to CodePipeline, and to the order
//! guard.
//!
//! S3 accepts at most 2 KB of metadata, and only ASCII. Other text for people is written as RFC 2047 encoded words,
//! which S3 decodes and may encode in another way
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>). So what the order guard reads is
//! percent-encoded, which S3 leaves as it is.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::SecondsFormat;
use domain::contract::FetchedCommit;
use domain::destination::ObjectKey;
use domain::git::ObjectId;
use domain::order::DeliveredPush;
use domain::push::Trigger;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// The longest encoded author or subject, in bytes. Both fit beside a repository and a ref of ordinary length.
const MAX_TEXT_BYTES: usize = 200;
/// What is escaped besides bytes that are not ASCII: what a header does not preserve, and what begins an escape or an
/// encoded word.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'=');
/// The most metadata that S3 accepts, in bytes.
const MAX_METADATA_BYTES: usize = 2_048;

/// The names of the repository and the ref do not fit into the metadata.
#[derive(Debug, thiserror::Error)]
#[error(
    "the object's metadata would have {bytes} bytes, and S3 accepts {MAX_METADATA_BYTES}: shorten the name of the ref or of \
     the repository, in which each byte that is not ASCII counts as three"
)]
pub struct NamesTooLong {
    bytes: usize,
}

/// Returns the metadata of the zip of `mine`.
///
/// # Errors
/// Returns [`NamesTooLong`] if the metadata would be larger than S3 accepts.
pub fn write(
    mine: &DeliveredPush,
    fetched: &FetchedCommit,
    provenance: &ObjectKey,
) -> Result<HashMap<String, String>, NamesTooLong> {
    let object = |id: &Option<ObjectId>| id.as_ref().map_or_else(String::new, ToString::to_string);
    let author = format!("{} <{}>", fetched.author.name, fetched.author.email);
    let mut metadata: HashMap<_, _> = [
        ("commit", fetched.commit.to_string()),
        (
            "commit-time",
            fetched.committed_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        ),
        ("sha256", mine.sha256.clone()),
        ("push-id", mine.push_id.to_string()),
        ("sequence", mine.sequence.to_string()),
        ("source", mine.source.to_string()),
        ("repository", percent_encode(mine.repository.as_str())),
        ("ref", percent_encode(mine.ref_name.as_str())),
        ("before", object(&mine.before)),
        ("after", object(&mine.after)),
        ("ref-now", object(&mine.ref_now)),
        ("trigger", trigger(mine).to_owned()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let mut bytes: usize = metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > MAX_METADATA_BYTES {
        return Err(NamesTooLong { bytes });
    }
    // The trail has these too, so a zip without them is still delivered.
    for (name, value) in [
        // CodePipeline shows this name as the revision's summary.
        (
            "codepipeline-artifact-revision-summary",
            encode_cut(&fetched.subject),
        ),
        ("author", encode_cut(&author)),
        ("provenance", encode(provenance.as_str())),
    ] {
        let more = name.len() + value.len();
        if !value.is_empty() && bytes + more <= MAX_METADATA_BYTES {
            bytes += more;
            metadata.insert(name.to_owned(), value);
        }
    }
    Ok(metadata)
}

fn trigger(mine: &DeliveredPush) -> &'static str {
    match mine.trigger {
        Trigger::Webhook => "",
        Trigger::Sweep => "sweep",
        Trigger::Rollback => "rollback",
    }
}

/// Returns the push that the metadata names, or `None` if this project has not written the object.
pub fn read(metadata: &HashMap<String, String>) -> Option<DeliveredPush> {
    let text = |name: &str| percent_decode_str(metadata.get(name)?).decode_utf8().ok();
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
        committed_at: text("commit-time").and_then(|time| time.parse().ok()),
        sha256: text("sha256")?.into_owned(),
        zip_of: None,
        trigger: match metadata.get("trigger") {
            Some(trigger) if trigger == "sweep" => Trigger::Sweep,
            Some(trigger) if trigger == "rollback" => Trigger::Rollback,
            _ => Trigger::Webhook,
        },
    })
}

/// Describes, for people, whose object it is.
pub fn owner(metadata: &HashMap<String, String>) -> String {
    match read(metadata) {
        Some(push) => format!(
            "{} of {} (source {})",
            push.ref_name, push.repository, push.source
        ),
        None => "an object that is not a delivered zip".to_owned(),
    }
}

/// Encodes text for people, cut to [`MAX_TEXT_BYTES`].
fn encode_cut(text: &str) -> String {
    let text = text.trim();
    // How long the encoded text is shows only once it is encoded, so shorter and shorter ones are tried.
    (0..=text.len())
        .rev()
        .filter(|end| text.is_char_boundary(*end))
        .map(|end| encode(&text[..end]))
        .find(|encoded| encoded.len() <= MAX_TEXT_BYTES)
        .unwrap_or_default()
}

fn encode(text: &str) -> String {
    // A header does not preserve spaces at its ends.
    let plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        && !text.starts_with("=?")
        && text.trim() == text;
    if plain {
        return text.to_owned();
    }
    format!("=?UTF-8?B?{}?=", STANDARD.encode(text))
}

/// Encodes text that the order guard reads.
fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::scene::{delivered_push, document_of, envelope, object_id, push};

    #[test]
    fn the_metadata_says_what_the_zip_was_made_of() {
        let envelope = envelope(push("d1", Some('a'), Some('b')), 7);
        let provenance = document_of(&envelope.push).key;
        let metadata = write(&delivered_push(&envelope), &envelope.input.fetched, &provenance).unwrap();
        let commit = "b".repeat(40);
        let expected = [
            ("codepipeline-artifact-revision-summary", "Change it"),
            ("commit", &commit),
            ("commit-time", "2023-11-14T22:13:20Z"),
            ("author", "Jo <jo@example.com>"),
            ("provenance", provenance.as_str()),
            ("sha256", &"b".repeat(64)),
            ("push-id", &envelope.push.push_id.to_string()),
            ("sequence", "7"),
            ("source", "gitlab"),
            ("repository", "group/project"),
            ("ref", "refs/tags/v1"),
            ("before", &"a".repeat(40)),
            ("after", &commit),
            ("ref-now", &commit),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(metadata, HashMap::from(expected));
    }

    /// Returns the metadata of a zip with a long author and subject.
    fn written(mine: &DeliveredPush, provenance: &str) -> HashMap<String, String> {
        let mut fetched = envelope(push("d1", None, Some('a')), 1).input.fetched;
        fetched.subject = "x".repeat(200);
        fetched.author.name = "y".repeat(200);
        write(mine, &fetched, &provenance.parse().unwrap()).unwrap()
    }

    fn bytes(metadata: &HashMap<String, String>) -> usize {
        metadata
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }

    #[test]
    fn what_the_order_guard_needs_is_read_back() {
        let first = delivered_push(&envelope(push("d1", None, Some('a')), 1));
        let gone = DeliveredPush {
            before: Some(object_id('b')),
            ref_now: None,
            sequence: u64::MAX,
            ..first.clone()
        };
        let of_any_script = DeliveredPush {
            repository: "group/ =?Grüße? ".parse().unwrap(),
            ref_name: "refs/heads/推送/é".parse().unwrap(),
            ..first.clone()
        };
        let with_spaces_around = DeliveredPush {
            repository: " group/project ".parse().unwrap(),
            ..first.clone()
        };
        let swept = DeliveredPush {
            trigger: Trigger::Sweep,
            ..first.clone()
        };
        let rollback = DeliveredPush {
            trigger: Trigger::Rollback,
            ..first.clone()
        };
        let long = DeliveredPush {
            repository: "r".repeat(512).parse().unwrap(),
            ref_name: format!("refs/heads/{}", "x".repeat(989)).parse().unwrap(),
            ..gone.clone()
        };
        for mine in [
            first,
            gone,
            of_any_script,
            with_spaces_around,
            swept,
            rollback,
            long,
        ] {
            let metadata = written(&mine, "p");
            assert_eq!(read(&metadata), Some(mine));
            assert!(bytes(&metadata) <= MAX_METADATA_BYTES);
            for value in metadata.values() {
                assert!(value.is_ascii() && value.trim() == value, "{value:?}");
            }
        }
    }

    #[test]
    fn what_only_people_read_is_left_out_if_it_does_not_fit() {
        let of_ref = |characters: usize| DeliveredPush {
            ref_name: format!("refs/heads/{}", "x".repeat(characters)).parse().unwrap(),
            ..delivered_push(&envelope(push("d1", None, Some('a')), 1))
        };
        let some = of_ref(500);
        let much = DeliveredPush {
            repository: "r".repeat(512).parse().unwrap(),
            ..of_ref(989)
        };
        let without = written(&some, &"k".repeat(1_024));
        assert!(without.contains_key("author") && !without.contains_key("provenance"));
        let room = MAX_METADATA_BYTES - bytes(&without) - "provenance".len();
        assert_eq!(bytes(&written(&some, &"k".repeat(room))), MAX_METADATA_BYTES);
        assert_eq!(written(&some, &"k".repeat(room + 1)), without);
        let metadata = written(&much, "k");
        assert!(!metadata.contains_key("codepipeline-artifact-revision-summary"));
        assert!(metadata.contains_key("author") && metadata.contains_key("provenance"));
    }

    #[test]
    fn an_empty_text_is_left_out() {
        let envelope = envelope(push("d1", None, Some('a')), 1);
        let mut fetched = envelope.input.fetched.clone();
        fetched.subject = "  ".to_owned();
        let metadata = write(&delivered_push(&envelope), &fetched, &"p".parse().unwrap()).unwrap();
        assert!(metadata.values().all(|value| !value.is_empty()), "{metadata:?}");
    }

    #[test]
    fn s3_does_not_re_encode_what_the_order_guard_reads() {
        let mine = DeliveredPush {
            repository: "gruppe/ =?Grüße? 100%25".parse().unwrap(),
            ref_name: "refs/heads/grün".parse().unwrap(),
            ..delivered_push(&envelope(push("d1", None, Some('a')), 1))
        };
        let metadata = written(&mine, "p");
        assert_eq!(metadata["ref"], "refs/heads/gr%C3%BCn");
        assert_eq!(
            metadata["repository"],
            "gruppe/%20%3D?Gr%C3%BC%C3%9Fe?%20100%2525"
        );
        assert_eq!(read(&metadata), Some(mine));
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        let of_ref = |characters: usize| DeliveredPush {
            ref_name: format!("refs/heads/{}", "ü".repeat(characters)).parse().unwrap(),
            ..delivered_push(&envelope(push("d1", None, Some('a')), 1))
        };
        let fetched = envelope(push("d1", None, Some('a')), 1).input.fetched;
        let write = |mine: &DeliveredPush| write(mine, &fetched, &"p".parse().unwrap());
        assert!(write(&of_ref(200)).is_ok());
        let error = write(&of_ref(400)).unwrap_err().to_string();
        assert!(
            error.contains("S3 accepts 2048: shorten the name of the ref"),
            "{error}"
        );
    }

    #[test]
    fn text_of_any_script_is_written_as_an_encoded_word() {
        assert_eq!(encode("Grüße"), "=?UTF-8?B?R3LDvMOfZQ==?=");
        for text in ["推送", "=?not encoded", "a\tb", " a"] {
            assert!(encode(text).starts_with("=?UTF-8?B?") && encode(text).is_ascii());
        }
        // Text that needs no encoding is written as it is.
        assert_eq!(encode("plain text"), "plain text");
        assert_eq!(encode_cut(" Say hello\n"), "Say hello");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(encode_cut(&"x".repeat(5_000)), "x".repeat(MAX_TEXT_BYTES));
        let encoded = encode_cut(&"推".repeat(5_000));
        assert!(encoded.len() <= MAX_TEXT_BYTES);
        let base64 = &encoded["=?UTF-8?B?".len()..encoded.len() - "?=".len()];
        let text = String::from_utf8(STANDARD.decode(base64).unwrap()).unwrap();
        assert!(text.chars().all(|char| char == '推') && text.chars().count() > 40);
    }

    #[test]
    fn metadata_that_lacks_what_the_order_guard_needs_names_no_push() {
        let mine = delivered_push(&envelope(push("d1", Some('a'), Some('b')), 1));
        let metadata = written(&mine, "p");
        for name in ["push-id", "source", "repository", "ref", "sequence", "sha256"] {
            let mut metadata = metadata.clone();
            metadata.remove(name).unwrap();
            assert_eq!(read(&metadata), None, "{name}");
        }
        for name in [
            "push-id",
            "source",
            "repository",
            "ref",
            "sequence",
            "before",
            "after",
            "ref-now",
        ] {
            let mut metadata = metadata.clone();
            metadata.insert(name.to_owned(), "..".to_owned()).unwrap();
            assert_eq!(read(&metadata), None, "{name}");
        }
        assert_eq!(read(&HashMap::new()), None);
    }

    #[test]
    fn the_owner_is_described_by_what_is_known() {
        let mut mine = delivered_push(&envelope(push("d1", None, Some('a')), 1));
        mine.ref_name = "refs/heads/推".parse().unwrap();
        assert_eq!(
            owner(&written(&mine, "p")),
            "refs/heads/推 of group/project (source gitlab)"
        );
        assert_eq!(owner(&HashMap::new()), "an object that is not a delivered zip");
    }
}
