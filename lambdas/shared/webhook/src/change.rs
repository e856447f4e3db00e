//! What the payloads of all git hosts say of a push, in their words.

use domain::Invalid;
use domain::git::ObjectId;
use domain::plain;
use domain::push::{DeliveryId, Push, PushId, SourceName, Trigger};
use domain::remote_url::public_url;

/// A longer URL is left out, because the input of an execution is limited to 256 KiB.
const MAX_URL_BYTES: usize = 2_048;
/// A longer name of the pusher is cut.
const MAX_PUSHER_CHARACTERS: usize = 200;

/// A change of one ref, as a payload has it.
pub struct Change {
    /// The repository's path.
    pub repository: String,
    /// The URLs to clone it, the preferred one first.
    pub clone_urls: [Option<String>; 2],
    /// The full name of the ref.
    pub ref_name: String,
    /// What the ref pointed to before: zeros for no object, and `None` if the payload does not say it.
    pub before: Option<String>,
    /// What it points to now: zeros or `None` if it was deleted.
    pub after: Option<String>,
    /// The names of who pushed, of which the first one that is not empty is used.
    pub pushers: [Option<String>; 2],
}

impl Change {
    /// Returns the push that `delivery` reports. A delivery without an id is known by its body.
    pub fn push(self, source: &SourceName, delivery: Option<&str>, body: &[u8]) -> Result<Push, Invalid> {
        let delivery_id = match delivery {
            Some(text) => text.parse()?,
            None => DeliveryId::of_content(body),
        };
        let object = |id: Option<String>| match id {
            Some(id) => ObjectId::parse_nullable(&id),
            None => Ok(None),
        };
        let ref_name = self.ref_name.parse()?;
        Ok(Push {
            push_id: PushId::new(source, &delivery_id, &ref_name),
            source: source.clone(),
            delivery_id,
            repository: self.repository.parse()?,
            clone_urls: self
                .clone_urls
                .into_iter()
                .flatten()
                .filter(|url| url.len() <= MAX_URL_BYTES)
                .filter_map(|url| public_url(&url))
                .collect(),
            ref_name,
            destination: None,
            before: object(self.before)?,
            after: object(self.after)?,
            pusher: self
                .pushers
                .into_iter()
                .flatten()
                .find(|name| !name.is_empty())
                .map(|name| plain(&name, MAX_PUSHER_CHARACTERS)),
            trigger: Trigger::Webhook,
            missed: None,
            rollback_to: None,
        })
    }
}
