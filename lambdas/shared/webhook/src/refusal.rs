//! Why a request is refused.

/// Why a request is not known to be from the git host. No text quotes what was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no token.
    #[error("the header {0} with the token is missing")]
    NoToken(&'static str),
    /// The token is wrong.
    #[error("the token in the header {0} is not one of the source's")]
    WrongToken(&'static str),
    /// There is no password.
    #[error(
        "the header authorization with a basic authentication is missing: set user name and password in the webhook"
    )]
    NoPassword,
    /// The password is wrong.
    #[error("the password in the header authorization is not one of the source's secrets")]
    WrongPassword,
    /// There is no signature.
    #[error("the header {0} with the signature is missing: set a secret in the webhook")]
    NoSignature(&'static str),
    /// There is a signature by SHA-1 alone.
    #[error("the header {0} with the signature is missing, and one by SHA-1 is not accepted")]
    Sha1Alone(&'static str),
    /// The signature cannot be one.
    #[error("the header {0} is not a SHA-256 in lower-case hexadecimal digits, as the git host sends it")]
    MalformedSignature(&'static str),
    /// The signature of Standard Webhooks cannot be one.
    #[error("the header {0} has no signature of the form v1,BASE64")]
    MalformedStandardSignature(&'static str),
    /// The time of sending cannot be one.
    #[error("the header {0} is not a time in seconds since 1970")]
    MalformedTimestamp(&'static str),
    /// It was sent long ago, or by a clock that is wrong.
    #[error("by the header {0} the request was sent more than five minutes from now")]
    NotNow(&'static str),
    /// A key of the source cannot be one.
    #[error("a secret of the source is no key of Standard Webhooks: whsec_ and Base64")]
    MalformedKey,
    /// The signature is wrong.
    #[error("the signature in the header {0} is not that of this body by one of the source's secrets")]
    WrongSignature(&'static str),
    /// The host does not sign what it sends.
    #[error(
        "the signature in the header {0} is not that of this form: choose the content type application/json in the webhook"
    )]
    UnsignedForm(&'static str),
    /// The source's host does not call webhooks.
    #[error("a source of this kind has no webhook")]
    NoWebhook,
}
