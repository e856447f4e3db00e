//! The proof that a request comes from a GitHub App: a JSON Web Token, signed with the app's private key by RS256
//! (<https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>).

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use secrecy::SecretString;
use serde_json::json;

/// How much the clock of GitHub may be behind, in seconds.
const CLOCK_DRIFT: i64 = 60;
/// How long the proof is valid from its own time of issue, in seconds, which is the longest that GitHub accepts.
const LIFETIME: i64 = 600;

/// Signs for the app `app_id` that the request is made at `now`, in seconds since 1970.
pub fn sign(app_id: &str, key: &PKey<Private>, now: i64) -> Result<SecretString, ErrorStack> {
    let issued = now - CLOCK_DRIFT;
    let header = json!({"alg": "RS256", "typ": "JWT"});
    let claims = json!({"iat": issued, "exp": issued + LIFETIME, "iss": app_id});
    let [header, claims] = [header, claims].map(|part| base64url(part.to_string().as_bytes()));
    let signed = format!("{header}.{claims}");
    let mut signer = Signer::new(MessageDigest::sha256(), key)?;
    let signature = base64url(&signer.sign_oneshot_to_vec(signed.as_bytes())?);
    Ok(format!("{signed}.{signature}").into())
}

fn base64url(bytes: &[u8]) -> String {
    let text = openssl::base64::encode_block(bytes);
    text.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

#[cfg(test)]
mod tests {
    use openssl::rsa::Rsa;
    use secrecy::ExposeSecret;

    use super::*;

    /// An API of the tests checks the signature.
    #[test]
    fn a_proof_is_issued_before_now_and_ends_within_ten_minutes_of_that() {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let proof = sign("Iv1.\"x", &key, 1_800_000_000).unwrap();
        let claims = proof.expose_secret().split('.').nth(1).unwrap().to_owned();
        let width = claims.len().div_ceil(4) * 4;
        let claims = openssl::base64::decode_block(&format!("{claims:=<width$}"));
        let claims: serde_json::Value = serde_json::from_slice(&claims.unwrap()).unwrap();
        let expected = json!({"iat": 1_799_999_940, "exp": 1_800_000_540, "iss": "Iv1.\"x"});
        assert_eq!(claims, expected);
    }

    #[test]
    fn base64url_has_no_characters_that_mean_something_in_a_url() {
        assert_eq!(base64url(&[0xfb, 0xff, 0xfe, 0xff]), "-__-_w");
    }
}
