//! Which requests are let in by their headers.

use secrecy::SecretString;

use super::*;

/// The secret of every source.
struct OneSecret(&'static str);

impl Secrets for OneSecret {
    async fn read(&self, _: &SourceName, kind: &'static str) -> Result<SecretString, SecretError> {
        assert_eq!(kind, "webhook");
        Ok(self.0.into())
    }
}

const TOKEN: &str = r#"{"token":"new","also_accepted":["old"]}"#;
const GITHUB: &str = r#"{"provider":"github","secret":"new","also_accepted":["old"]}"#;

async fn is_let_in(secret: &'static str, source: &str, headers: &[(&'static str, &str)]) -> bool {
    let mut request = ApiGatewayV2CustomAuthorizerV2Request::default();
    request.path_parameters.insert("source".into(), source.into());
    for (name, value) in headers {
        request.headers.insert(*name, value.parse().unwrap());
    }
    let secrets = SecretCache::new(OneSecret(secret), "webhook");
    handle(&secrets, &request).await.unwrap().is_authorized
}

#[tokio::test]
async fn a_host_that_sends_a_token_is_let_in_by_it_alone() {
    for (headers, expected) in [
        (&[("x-gitlab-token", "new")][..], true),
        (&[("x-gitlab-token", "old")], true),
        (&[("x-gitlab-token", "newer")], false),
        (&[("x-gitlab-token", "")], false),
        (&[], false),
        (
            &[("x-hub-signature-256", &format!("sha256={}", "0a".repeat(32)))],
            false,
        ),
    ] {
        assert_eq!(is_let_in(TOKEN, "gitlab", headers).await, expected, "{headers:?}");
        assert!(!is_let_in(TOKEN, "Git Lab", headers).await);
    }
}

#[tokio::test]
async fn a_host_that_signs_is_let_in_by_what_can_be_a_signature_and_not_by_a_token() {
    let digits = "0a".repeat(32);
    for (headers, expected) in [
        (&[("x-hub-signature-256", &*format!("sha256={digits}"))][..], true),
        (&[("x-hub-signature-256", &digits)], false),
        (&[("x-hub-signature-256", &format!("sha1={digits}"))], false),
        (
            &[(
                "x-hub-signature-256",
                &format!("sha256={}", digits.to_uppercase()),
            )],
            false,
        ),
        (&[("x-hub-signature-256", &format!("sha256={digits}0a"))], false),
        (
            &[("x-hub-signature-256", &format!("sha256={}", &digits[1..]))],
            false,
        ),
        (
            &[("x-hub-signature-256", &format!("sha256={digits},sha256={digits}"))],
            false,
        ),
        (
            &[("x-hub-signature", &format!("sha1={}", "0a".repeat(20)))],
            false,
        ),
        (&[("x-gitlab-token", "new")], false),
        (&[("x-gitlab-token", "")], false),
        (&[], false),
    ] {
        assert_eq!(
            is_let_in(GITHUB, "github", headers).await,
            expected,
            "{headers:?}"
        );
    }
}
