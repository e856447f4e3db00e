//! A push, as a git host reported it, and the names that identify it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Invalid;
use crate::git::{ObjectId, RefName, RepositoryPath};
use crate::text::{id_newtype, parse_name, text_newtype};

/// The namespace of [`PushId`]s, a constant of this project that must never change.
const PUSH_NAMESPACE: Uuid = Uuid::from_u128(0x9a9c_6c1e_2f0e_4f4b_9d5b_7a5e_3c0d_e001);

text_newtype!(
    /// The name of a source, as in `/hooks/{source}`: 1 to 40 of `a-z`, `0-9` and `-`, a letter first.
    SourceName,
    parse_source_name
);

text_newtype!(
    /// The id that a git host gives one delivery of one webhook. It stays the same when the delivery is sent again.
    DeliveryId,
    parse_delivery_id
);

text_newtype!(
    /// The name of a further destination of a source: 1 to 40 of `a-z`, `0-9` and `-`, a letter first.
    DestinationName,
    parse_destination_name
);

id_newtype!(
    /// The id of one push of one ref to one destination, and the name of its first execution.
    ///
    /// It is the [UUIDv5](https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-5) of source, delivery, ref, and the
    /// name of a further destination, so a delivery that arrives twice is the same push.
    PushId,
    "push id"
);

impl PushId {
    /// Returns the id of the push of `ref_name` that `delivery` from `source` reports, to the source's own destination.
    #[must_use]
    pub fn new(source: &SourceName, delivery: &DeliveryId, ref_name: &RefName) -> Self {
        Self::at(source, delivery, ref_name, None)
    }

    /// Returns the id of the push of `ref_name` that `delivery` from `source` reports, to a further destination if one
    /// is named.
    #[must_use]
    pub fn at(
        source: &SourceName,
        delivery: &DeliveryId,
        ref_name: &RefName,
        destination: Option<&DestinationName>,
    ) -> Self {
        // No part can contain a line feed, so the name is unambiguous.
        let mut name = format!("{source}\n{delivery}\n{ref_name}");
        if let Some(destination) = destination {
            name += &format!("\n{destination}");
        }
        Self(Uuid::new_v5(&PUSH_NAMESPACE, name.as_bytes()))
    }
}

impl DeliveryId {
    /// Returns the id of a delivery from a host that sends none. The same content is the same delivery.
    #[must_use]
    pub fn of_content(content: &[u8]) -> Self {
        Self(Uuid::new_v5(&PUSH_NAMESPACE, content).to_string())
    }
}

/// One push of one ref to one destination, which is the input of an execution. It depends only on the delivery, so that
/// the same delivery always starts the same execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// Its id.
    pub push_id: PushId,
    /// The source whose webhook reported it.
    pub source: SourceName,
    /// The delivery that reported it.
    pub delivery_id: DeliveryId,
    /// The repository.
    pub repository: RepositoryPath,
    /// The payload's URLs to clone the repository. They are not trusted by themselves: see [`crate::policy::decide`].
    pub clone_urls: Vec<String>,
    /// The ref that moved.
    #[serde(rename = "ref")]
    pub ref_name: RefName,
    /// The further destination of the source that it is delivered to, or `None` for the source's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<DestinationName>,
    /// What the ref pointed to before, or `None` if the push created it.
    pub before: Option<ObjectId>,
    /// The commit or annotated tag that the ref points to now, or `None` if the push deleted it.
    pub after: Option<ObjectId>,
    /// Who pushed, as the git host names them.
    pub pusher: Option<String>,
    /// What has started the push. It is not written if it was a webhook, as it was not before there was a sweep.
    #[serde(default, skip_serializing_if = "Trigger::is_webhook")]
    pub trigger: Trigger,
    /// Why no webhook came, if the sweep knows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
    /// The earlier push whose zip is delivered again, if a person has rolled the ref's destination back. Then the ref
    /// has not moved, and `before` and `after` are both what it pointed to after that push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<PushId>,
}

/// What tells the push to a further destination from the one that reports the same change to the source's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FurtherPush {
    /// Its id.
    pub push_id: PushId,
    /// The destination.
    pub destination: DestinationName,
}

/// What has started a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The git host has called the webhook.
    #[default]
    Webhook,
    /// The sweep has compared the host's refs with the trail.
    Sweep,
    /// A person has asked for an earlier version of the zip.
    Rollback,
}

impl Trigger {
    /// Returns whether it was a webhook.
    #[must_use]
    pub fn is_webhook(&self) -> bool {
        *self == Self::Webhook
    }

    /// Returns what it was, for people, if it was not a webhook.
    #[must_use]
    pub fn by(self) -> Option<&'static str> {
        match self {
            Self::Webhook => None,
            Self::Sweep => Some("found by the sweep"),
            Self::Rollback => Some("rollback"),
        }
    }
}

/// Why no webhook came for a push that the sweep has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// More branches, or more tags, have changed than GitLab's limit `push_event_hooks_limit`, which is three. For a
    /// push of more GitLab sends nothing.
    PushEventHooksLimit,
}

impl Missed {
    /// Returns the reason, for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PushEventHooksLimit => {
                "GitLab sends no webhook for a push of more than three branches or tags"
            }
        }
    }
}

impl Push {
    /// Returns the push that delivers the zip of this one again, at the request of `requester`. Each request has its
    /// own `id`.
    #[must_use]
    pub fn rolled_back_to(&self, id: Uuid, requester: Option<String>) -> Self {
        let delivery_id = DeliveryId(format!("rollback-{id}"));
        Self {
            push_id: PushId::at(
                &self.source,
                &delivery_id,
                &self.ref_name,
                self.destination.as_ref(),
            ),
            delivery_id,
            before: self.after.clone(),
            pusher: requester,
            trigger: Trigger::Rollback,
            missed: None,
            rollback_to: Some(self.push_id),
            ..self.clone()
        }
    }

    /// Returns the push that delivers the same change to a further destination.
    #[must_use]
    pub fn to_further(&self, destination: &DestinationName) -> FurtherPush {
        FurtherPush {
            push_id: PushId::at(&self.source, &self.delivery_id, &self.ref_name, Some(destination)),
            destination: destination.clone(),
        }
    }

    /// Returns what has started the push if it was not a webhook, with the reason if that is known, for people.
    #[must_use]
    pub fn started_by(&self) -> Option<String> {
        let by = self.trigger.by()?;
        let reason = self.missed.map(|missed| format!(" ({})", missed.as_str()));
        let to = self.rollback_to.map(|to| format!(" to push {to}"));
        Some(by.to_owned() + &reason.or(to).unwrap_or_default())
    }

    /// Checks that the id is the one of this push's source, delivery, ref and destination, because an input that was
    /// written by hand must not end up in another push's trail.
    ///
    /// # Errors
    /// Returns [`Invalid`], with the expected id.
    pub fn check_identity(&self) -> Result<(), Invalid> {
        let destination = self.destination.as_ref();
        let expected = PushId::at(&self.source, &self.delivery_id, &self.ref_name, destination);
        if self.push_id == expected {
            return Ok(());
        }
        Err(Invalid::new(
            "push id",
            &self.push_id.to_string(),
            format!("the id of this source, delivery, ref and destination is {expected}"),
        ))
    }
}

fn parse_source_name(text: &str) -> Result<String, Invalid> {
    parse_name("source name", text, 40)
}

fn parse_destination_name(text: &str) -> Result<String, Invalid> {
    parse_name("destination name", text, 40)
}

fn parse_delivery_id(text: &str) -> Result<String, Invalid> {
    let well_formed = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if well_formed {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new(
            "delivery id",
            text,
            "it must have 1 to 128 visible ASCII characters",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(source: &str, delivery: &str, ref_name: &str) -> PushId {
        PushId::new(
            &source.parse().unwrap(),
            &delivery.parse().unwrap(),
            &ref_name.parse().unwrap(),
        )
    }

    #[test]
    fn a_push_id_is_pinned_by_source_delivery_and_ref() {
        let first = id("gitlab", "d1", "refs/heads/main");
        assert_eq!(first.to_string(), "87513765-0933-52f9-8a01-27081a19c5c8");
        assert_ne!(first, id("gitlab", "d2", "refs/heads/main"));
        assert_ne!(first, id("gitlab", "d1", "refs/heads/next"));
        assert_ne!(first, id("other", "d1", "refs/heads/main"));
        let push = crate::samples::push("d1", "refs/heads/main");
        let further = push.to_further(&"api".parse().unwrap());
        assert_eq!(
            further.push_id.to_string(),
            "37ea7fcc-fbf8-5e2e-881c-191874cf909e"
        );
        let further = Push {
            push_id: further.push_id,
            destination: Some(further.destination),
            ..push
        };
        further.check_identity().unwrap();
        assert!(
            Push {
                destination: None,
                ..further
            }
            .check_identity()
            .is_err()
        );
    }

    #[test]
    fn source_names_fit_into_paths_and_secret_names() {
        assert!("gitlab-2".parse::<SourceName>().is_ok());
        for wrong in ["", "GitLab", "2lab", "a/b", "a_b", &"a".repeat(41)] {
            assert!(wrong.parse::<SourceName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn delivery_ids_are_visible_ascii() {
        assert!("0b8a3e0e-7d0a".parse::<DeliveryId>().is_ok());
        for wrong in ["", "a b", "a\n", "é"] {
            assert!(wrong.parse::<DeliveryId>().is_err(), "{wrong:?}");
        }
    }
}
