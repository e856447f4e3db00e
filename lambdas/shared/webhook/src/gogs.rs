//! The events of Gogs (<https://gogs.io/advancing/webhooks>). Its payloads are those that Gitea has from it, but a push
//! event reports branches alone: a tag is reported by `create` and `delete`.

mod payload;

use domain::push::SourceName;
use http::HeaderMap;

use payload::deliver;

use crate::gitea::{Dialect, read_dialect};
use crate::{Error, Proof, Report, Webhooks};

/// The header of the signature, in lower case as API Gateway passes header names on.
pub const SIGNATURE_HEADER: &str = "x-gogs-signature";

/// The webhooks of Gogs, and what it does not send.
pub(crate) const WEBHOOKS: Webhooks = Webhooks {
    proof: Proof::Signature {
        headers: &[SIGNATURE_HEADER],
        prefix: "",
        signs_forms: false,
    },
    read,
    deliver,
    setup: &[
        "In the repository or the organisation, open Settings > Webhooks and add one of the type Gogs.",
        "Enter the URL as Payload URL, and the secret as Secret.",
        "Choose application/json and Let me choose what I need, and tick Create, Delete and Push.",
    ],
    not_sent: &[
        "a webhook again whose response was an error, or that was not answered in time, until somebody asks for it",
    ],
};

const GOGS: Dialect = Dialect {
    host: "Gogs",
    events: &["X-Gogs-Event"],
    deliveries: &["x-gogs-delivery"],
    pushes_tags: false,
};

fn read(source: &SourceName, headers: &HeaderMap, body: &[u8]) -> Result<Report, Error> {
    read_dialect(&GOGS, source, headers, body)
}

#[cfg(test)]
mod tests;
