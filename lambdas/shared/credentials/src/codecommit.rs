//! The login at CodeCommit, which signs the repository's URL by AWS Signature Version 4, as the credential helper of
//! the AWS CLI and git-remote-codecommit do. CodeCommit accepts a signature for about 15 minutes.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use chrono::{DateTime, Utc};
use domain::remote_url::RemoteUrl;
use secrecy::SecretString;

use crate::access::Access;

const SERVICE: &str = "codecommit";

/// Returns the region of a host of CodeCommit, or `None` if it is not one of AWS's own. Its name is
/// `git-codecommit.{region}.amazonaws.com` or `.com.cn`, `git-codecommit-fips.{region}...`, or that of an endpoint in a
/// VPC, `vpce-{id}.git-codecommit.{region}.vpce.amazonaws.com`.
pub fn region_of(host: &str) -> Option<&str> {
    let host = host
        .strip_suffix(".amazonaws.com")
        .or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let mut labels: Vec<&str> = host.split('.').collect();
    if labels.first()?.starts_with("vpce-") && labels.last() == Some(&"vpce") {
        labels.pop();
        labels.remove(0);
    }
    match labels[..] {
        ["git-codecommit" | "git-codecommit-fips", region] => Some(region),
        _ => None,
    }
}

/// Signs for the repository at `url` that it is asked for at `now`.
pub fn sign(credentials: &Credentials, region: &str, url: &RemoteUrl, now: SystemTime) -> Access {
    let time = DateTime::<Utc>::from(now);
    let (date, time) = (time.format("%Y%m%d"), time.format("%Y%m%dT%H%M%S"));
    // The method is not one of HTTP, and the port of the host is left out.
    let request = format!(
        "GIT\n{}\n\nhost:{}\n\nhost\n",
        url.path().trim_end_matches('/'),
        url.origin().host()
    );
    let digest = hex::encode(openssl::sha::sha256(request.as_bytes()));
    // The time has no `Z` here, but in the password.
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{date}/{region}/{SERVICE}/aws4_request\n{digest}");
    let key = generate_signing_key(credentials.secret_access_key(), now, region, SERVICE);
    let signature = calculate_signature(key, text.as_bytes());
    let token = credentials.session_token();
    let token = token.map(|token| format!("%{token}")).unwrap_or_default();
    Access::Password {
        username: format!("{}{token}", credentials.access_key_id()),
        password: SecretString::from(format!("{time}Z{signature}")),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    /// The expected signatures were made by botocore 1.43, as git-remote-codecommit calls it.
    #[test]
    fn a_signature_is_that_of_the_tools_of_aws() {
        let now = DateTime::parse_from_rfc3339("2026-11-30T01:02:03Z")
            .unwrap()
            .into();
        let (id, key) = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        for (url, region, token, expected) in [
            (
                "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/project",
                "eu-west-1",
                None,
                (
                    "AKIDEXAMPLE",
                    "20261130T010203Zbec9798d7a039f5ce6c2a181bf4590f7532a1c57b50781903a181fb0d5106eab",
                ),
            ),
            (
                "https://git-codecommit.cn-north-1.amazonaws.com.cn:443/v1/repos/a.b_c/",
                "cn-north-1",
                Some("tok/en+="),
                (
                    "AKIDEXAMPLE%tok/en+=",
                    "20261130T010203Z771b40cf91f78af9917fbebfab4a7669cb64b47e9d801d82dca2649aaa7bba33",
                ),
            ),
        ] {
            let credentials = Credentials::new(id, key, token.map(str::to_owned), None, "test");
            let access = sign(&credentials, region, &url.parse().unwrap(), now);
            let Access::Password { username, password } = access else {
                panic!("{url}");
            };
            assert_eq!((username.as_str(), password.expose_secret()), expected, "{url}");
        }
    }

    #[test]
    fn a_region_is_read_from_the_names_of_aws_alone() {
        for (host, expected) in [
            ("git-codecommit.eu-west-1.amazonaws.com", Some("eu-west-1")),
            (
                "git-codecommit-fips.us-gov-west-1.amazonaws.com",
                Some("us-gov-west-1"),
            ),
            ("git-codecommit.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            (
                "vpce-0a1-b2c.git-codecommit.eu-west-1.vpce.amazonaws.com",
                Some("eu-west-1"),
            ),
            ("git-codecommit.eu-west-1.amazonaws.com.evil.example", None),
            ("git-codecommit.eu-west-1.evil.amazonaws.com", None),
            ("evil.git-codecommit.eu-west-1.amazonaws.com", None),
            ("xgit-codecommit.eu-west-1.amazonaws.com", None),
            ("codecommit.eu-west-1.amazonaws.com", None),
            ("amazonaws.com", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(region_of(host), expected, "{host}");
        }
    }
}
