//! The secrets of a source.

use std::sync::Arc;

use aws::failure::chain;
use chrono::Utc;
use credentials::{Credentials, GitSecretJson, Issuer};
use domain::push::SourceName;
use domain::source::Provider;
use secrecy::ExposeSecret as _;
use webhook::WebhookSecret;

use crate::check::outcome::Check;
use crate::store::{Kind, Stored};
use crate::{Error, Store};

/// The shortest secret that nobody guesses, in characters.
const MIN_CHARACTERS: usize = 16;

/// Returns what to do if a secret is not there.
fn restore(store: &Store, name: &SourceName, kind: Kind) -> String {
    if store.is_of_the_template(name) {
        return format!(
            "If it was deleted, restore it (aws secretsmanager restore-secret --secret-id {}). If that finds none, deploy the stack with \
             another SourceName.",
            store.secret_name(name, kind)
        );
    }
    "Remove the source and add it again: push-code sources remove, push-code sources add.".to_owned()
}

/// Checks the webhook secret, for a source whose settings are about a host of this kind.
pub async fn webhook(store: &Store, name: &SourceName, settings: Option<Provider>) -> Result<Check, Error> {
    const SUBJECT: &str = "webhook secret";
    let text = match store.secret(name, Kind::Webhook).await? {
        Stored::Missing => {
            return Ok(Check::wrong(
                SUBJECT,
                "it does not exist",
                restore(store, name, Kind::Webhook),
            ));
        }
        Stored::Deleted => {
            return Ok(Check::wrong(
                SUBJECT,
                "it was deleted",
                restore(store, name, Kind::Webhook),
            ));
        }
        Stored::Text(text) => text,
    };
    let secret: WebhookSecret = match serde_json::from_str(text.expose_secret()) {
        Ok(secret) => secret,
        // The message may quote the secret.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let reason = format!("it is malformed: see line {line}, column {column}");
            let remedy = "Write it in the form that push-code docs reference/secrets shows.";
            return Ok(Check::wrong(SUBJECT, reason, remedy));
        }
    };
    let of_secret = secret.provider.name();
    if let Some(settings) = settings
        && settings != secret.provider
    {
        let reason = format!(
            "it is for webhooks of {of_secret}, and the settings are about {}",
            settings.name()
        );
        let remedy = "Give both the same provider: the secret decides which webhooks are let in.";
        return Ok(Check::wrong(SUBJECT, reason, remedy));
    }
    if secret.secret.expose_secret().chars().count() < MIN_CHARACTERS {
        let reason = format!("it has fewer than {MIN_CHARACTERS} characters, and can be guessed");
        let remedy = "Make another one: push-code sources rotate.";
        return Ok(Check::wrong(SUBJECT, reason, remedy));
    }
    let rotation = match secret.also_accepted.len() {
        0 => String::new(),
        others => {
            format!(
                "; previous secrets still accepted: {others} (push-code sources rotate --finish ends that)"
            )
        }
    };
    Ok(Check::ok(SUBJECT, format!("it is for {of_secret}{rotation}")))
}

/// Returns whether logins and tokens of a git secret that can be used end soon.
fn ends(subject: &str, secret: &GitSecretJson) -> Check {
    let expiring = secret.expiring(Utc::now().date_naive());
    if expiring.is_empty() {
        let logins = secret.credentials.len();
        return Check::ok(subject, format!("it has {logins} logins"));
    }
    let ends = expiring
        .iter()
        .map(|one| format!("that for {} on {}", one.host, one.expires));
    let ends: Vec<_> = ends.collect();
    Check::wrong(
        subject,
        format!("a login or token ends soon, or has ended: {}", ends.join(", ")),
        "Put a new one in its place: push-code docs guides/rotate.",
    )
}

/// Checks the git secret, and returns it if it can be used.
pub async fn git(
    store: &Store,
    name: &SourceName,
    issuer: &Arc<Issuer>,
) -> Result<(Option<Credentials>, Check), Error> {
    const SUBJECT: &str = "git secret";
    let text = match store.secret(name, Kind::Git).await? {
        Stored::Missing => {
            return Ok((
                None,
                Check::wrong(SUBJECT, "it does not exist", restore(store, name, Kind::Git)),
            ));
        }
        Stored::Deleted => {
            return Ok((
                None,
                Check::wrong(SUBJECT, "it was deleted", restore(store, name, Kind::Git)),
            ));
        }
        Stored::Text(text) => text,
    };
    let read = GitSecretJson::parse(name, &text);
    let read = read.and_then(|json| {
        let credentials = Credentials::of(name, &json, issuer)?;
        Ok((credentials, json))
    });
    Ok(match read {
        Ok((secret, json)) => (Some(secret), ends(SUBJECT, &json)),
        Err(error) => {
            let remedy = "Write it in the form that push-code docs reference/secrets shows.";
            (None, Check::wrong(SUBJECT, chain(&error), remedy))
        }
    })
}
