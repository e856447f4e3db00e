//! The credentials of one source.

use std::sync::{Arc, Mutex, PoisonError};

use aws::secrets::SecretError;
use domain::glob::Globs;
use domain::push::SourceName;
use domain::remote_url::{Origin, RemoteUrl};
use openssl::x509::X509;
use secrecy::{ExposeSecret, SecretString};

use crate::access::{Access, key_lines};
use crate::codecommit::region_of;
use crate::error::AccessError;
use crate::github_app::App;
use crate::issuer::Issuer;
use crate::secret::{Credential, GitSecretJson, Login, globs, invalid};

/// The shortest text that is replaced. A shorter one protects nothing, and may be part of any word.
const MIN_SECRET: usize = 4;

/// How to log in at the hosts of a source, and whom to trust there.
pub struct Credentials {
    entries: Vec<Entry>,
    authorities: Vec<X509>,
    issuer: Arc<Issuer>,
    /// The secret texts of the git secret, and what was issued since.
    secrets: Mutex<Vec<SecretString>>,
}

struct Entry {
    /// `None` if no URL of a repository can have it.
    origin: Option<Origin>,
    /// `None` if the entry is for all repositories.
    repositories: Option<Globs>,
    method: Method,
}

/// How an entry logs in.
enum Method {
    /// By what the git secret says.
    Stored(Access),
    GitHubApp(App),
    CodeCommit {
        region: String,
    },
}

impl Credentials {
    /// Takes from the git secret of `source` what is needed to speak to its hosts.
    ///
    /// # Errors
    /// Returns [`SecretError::Invalid`] if the secret has what cannot be used.
    pub fn of(source: &SourceName, json: &GitSecretJson, issuer: &Arc<Issuer>) -> Result<Self, SecretError> {
        let mut entries = Vec::new();
        let mut secrets = Vec::new();
        for credential in &json.credentials {
            let method = Method::of(credential).map_err(|reason| invalid(source, reason.to_owned()))?;
            secrets.extend(method.secrets());
            entries.push(Entry {
                origin: Origin::of(&credential.host),
                repositories: globs(source, credential.repositories.as_deref())?,
                method,
            });
        }
        Ok(Self {
            entries,
            authorities: json.authorities(source)?,
            issuer: Arc::clone(issuer),
            secrets: Mutex::new(secrets),
        })
    }

    /// Returns the certificates of authorities that are trusted besides the system's.
    #[must_use]
    pub fn authorities(&self) -> &[X509] {
        &self.authorities
    }

    /// Returns how to log in for the repository at `url`. The login is that of the first entry of the git secret that
    /// is for its host and for its path. It is never used for another host or port.
    ///
    /// # Errors
    /// Returns an [`AccessError`] if `url` is for SSH and there is no key for it, or if nothing is issued for it.
    pub async fn access(&self, url: &RemoteUrl) -> Result<Access, AccessError> {
        let is_ssh = url.scheme() == "ssh";
        match self.find(url) {
            None if !is_ssh => Ok(Access::Anonymous),
            Some(Method::Stored(access)) if matches!(access, Access::Key { .. }) == is_ssh => {
                Ok(access.clone())
            }
            Some(Method::GitHubApp(app)) if !is_ssh => {
                let issued = self.issuer.installation_token(app, url, &self.authorities);
                Ok(self.remember(issued.await?))
            }
            Some(Method::CodeCommit { region }) if !is_ssh => {
                Ok(self.remember(self.issuer.codecommit(region, url).await?))
            }
            _ => Err(AccessError::missing(url)),
        }
    }

    fn find(&self, url: &RemoteUrl) -> Option<&Method> {
        let path = url.repository();
        let is_for = |entry: &&Entry| {
            let of_path = |globs: &Globs| path.as_ref().is_some_and(|path| globs.match_any(path.as_str()));
            entry.origin.as_ref() == Some(url.origin()) && entry.repositories.as_ref().is_none_or(of_path)
        };
        self.entries.iter().find(is_for).map(|entry| &entry.method)
    }

    /// Adds what was issued to the secret texts.
    fn remember(&self, access: Access) -> Access {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.extend(access.secrets());
        if let Access::Password { username, .. } = &access {
            // That of CodeCommit has the token of a session in it.
            secrets.extend(username.split_once('%').map(|(_, token)| token.into()));
        }
        access
    }

    /// Replaces the secrets in `text`, because a host may send back what it was sent.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets.iter().map(ExposeSecret::expose_secret) {
            if secret.len() >= MIN_SECRET {
                text = text.replace(secret, "***");
            }
        }
        text
    }
}

impl Method {
    /// Returns the method of an entry, or what is wrong with it.
    fn of(credential: &Credential) -> Result<Self, &'static str> {
        Ok(match &credential.login {
            Login::Password { username, password } => Self::Stored(Access::Password {
                username: username.clone(),
                password: password.clone(),
            }),
            Login::Key {
                private_key,
                passphrase,
                known_hosts,
            } => Self::Stored(Access::Key {
                private_key: private_key.clone(),
                passphrase: passphrase.clone(),
                known_hosts: known_hosts.clone(),
            }),
            Login::GitHubApp {
                app_id,
                private_key,
                installation_id,
                api_url,
            } => Self::GitHubApp(App::new(
                &credential.host,
                app_id,
                private_key,
                installation_id.clone(),
                api_url.clone(),
            )?),
            Login::CodeCommit(codecommit) => {
                let of_host = || region_of(credential.host.host_str()?).map(str::to_owned);
                let region = codecommit.region.clone().or_else(of_host);
                Self::CodeCommit {
                    region: region.ok_or("codecommit has no region, and the host's name does not say it")?,
                }
            }
        })
    }

    fn secrets(&self) -> Vec<SecretString> {
        match self {
            Self::Stored(access) => access.secrets(),
            Self::GitHubApp(app) => key_lines(app.private_key()),
            Self::CodeCommit { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(json: &str) -> Result<Credentials, SecretError> {
        let source = "gitlab".parse().unwrap();
        let secret = GitSecretJson::parse(&source, &json.to_owned().into())?;
        Credentials::of(&source, &secret, &Arc::default())
    }

    /// Returns the user name or the key of the login for a URL.
    async fn login(credentials: &Credentials, url: &str) -> Result<String, String> {
        let access = credentials.access(&url.parse().unwrap()).await;
        match access.map_err(|error| error.to_string())? {
            Access::Anonymous => Ok("nobody".to_owned()),
            Access::Password { username, .. } => Ok(username),
            Access::Key { private_key, .. } => Ok(private_key.expose_secret().to_owned()),
        }
    }

    #[tokio::test]
    async fn each_host_and_port_has_its_own_login() {
        let credentials = credentials(
            r#"{"credentials":[
                {"host":"https://git.example.com","username":"bot","password":"token"},
                {"host":"ssh://git.example.com","private_key":"key","known_hosts":"git.example.com ssh-ed25519 AAAA"},
                {"host":"https://key.example.com","private_key":"key","known_hosts":""},
                {"host":"ssh://password.example.com","username":"bot","password":"token"}
            ]}"#,
        )
        .unwrap();
        for (url, expected) in [
            ("https://git.example.com/a/b.git", Ok("bot")),
            ("ssh://git@git.example.com/a/b.git", Ok("key")),
            ("https://git.example.com:8443/a/b.git", Ok("nobody")),
            ("http://git.example.com/a/b.git", Ok("nobody")),
            ("https://git.example.com.evil.example/a/b.git", Ok("nobody")),
            (
                "ssh://git@git.example.com:2222/a/b.git",
                Err("the git secret has no credentials for ssh://git.example.com:2222/a/b.git"),
            ),
            (
                "https://key.example.com/a/b.git",
                Err("the git secret has no credentials for https://key.example.com/a/b.git"),
            ),
            (
                "ssh://password.example.com/a/b.git",
                Err("the git secret has no credentials for ssh://password.example.com/a/b.git"),
            ),
        ] {
            let login = login(&credentials, url).await;
            assert_eq!(login.as_deref().map_err(String::as_str), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn the_first_entry_whose_globs_match_is_used() {
        let credentials = credentials(
            r#"{"credentials":[
                {"host":"https://h","repositories":["group/*","deep/**"],"username":"group","password":"1234"},
                {"host":"https://h","repositories":["group/other","alone"],"username":"other","password":"1234"},
                {"host":"https://h","repositories":[],"username":"never","password":"1234"},
                {"host":"https://all","repositories":["a/*"],"username":"a","password":"1234"},
                {"host":"https://all","username":"rest","password":"1234"},
                {"host":"ssh://h","repositories":["group/*"],"private_key":"key","known_hosts":""}
            ]}"#,
        )
        .unwrap();
        for (url, expected) in [
            ("https://h/group/project.git", "group"),
            ("https://h/group/other", "group"),
            ("https://h/deep/a/b/c.git/", "group"),
            ("https://h/alone.git", "other"),
            ("https://h/group/sub/project.git", "nobody"),
            ("https://h/x/group/project.git", "nobody"),
            ("https://h/Group/project.git", "nobody"),
            ("https://h/group%2fproject.git", "nobody"),
            ("https://h/%67roup/project.git", "group"),
            ("https://all/a/b.git", "a"),
            ("https://all/b/b.git", "rest"),
            ("https://all/a%2fb.git", "rest"),
            ("ssh://git@h/group/project", "key"),
        ] {
            assert_eq!(login(&credentials, url).await.as_deref(), Ok(expected), "{url}");
        }
        let error = login(&credentials, "ssh://git@h/secret/project")
            .await
            .unwrap_err();
        assert_eq!(
            error,
            "the git secret has no credentials for ssh://h/secret/project"
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_a_word_of_it() {
        let app = |key: &str, host: &str| {
            let app = serde_json::json!({"host": host, "app_id": 7, "private_key": key});
            serde_json::json!({ "credentials": [app] }).to_string()
        };
        let rsa = |bits| openssl::rsa::Rsa::generate(bits).unwrap();
        let pem = |key: openssl::rsa::Rsa<_>| String::from_utf8(key.private_key_to_pem().unwrap()).unwrap();
        let cipher = openssl::symm::Cipher::aes_128_cbc();
        let locked = rsa(2048)
            .private_key_to_pem_passphrase(cipher, b"hunter2")
            .unwrap();
        let ec = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
        let ec = openssl::ec::EcKey::generate(&ec)
            .unwrap()
            .private_key_to_pem()
            .unwrap();
        let text = |pem: Vec<u8>| String::from_utf8(pem).unwrap();
        assert!(credentials(&app(&pem(rsa(2048)), "https://github.com")).is_ok());
        let pkcs8 = openssl::pkey::PKey::from_rsa(rsa(2048)).unwrap();
        let pkcs8 = text(pkcs8.private_key_to_pem_pkcs8().unwrap());
        assert!(credentials(&app(&pkcs8, "https://github.com")).is_ok());
        for (json, reason) in [
            (app("hunter2", "https://github.com"), "RSA key"),
            (app(&text(locked), "https://github.com"), "RSA key"),
            (app(&text(ec), "https://github.com"), "RSA key"),
            (app(&pem(rsa(1024)), "https://github.com"), "2048 bits"),
            (app(&pem(rsa(2048)), "ssh://github.com"), "api_url"),
            (
                r#"{"credentials":[{"host":"https://hunter2.example","codecommit":{}}]}"#.to_owned(),
                "region",
            ),
            (
                r#"{"credentials":[{"host":"https://h","repositories":["[hunter2"],"codecommit":{"region":"x"}}]}"#
                    .to_owned(),
                "glob",
            ),
        ] {
            let error = credentials(&json).err().unwrap().to_string();
            assert!(error.contains(reason) && error.contains("gitlab/git"), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("BEGIN"), "{error}");
        }
    }

    #[test]
    fn all_secrets_are_replaced() {
        let key = openssl::rsa::Rsa::generate(2048)
            .unwrap()
            .private_key_to_pem()
            .unwrap();
        let key = String::from_utf8(key).unwrap();
        let entries = serde_json::json!([
            {"host": "https://a", "username": "bot", "password": "hunter2"},
            {"host": "https://b", "username": "bot", "password": "abc"},
            {"host": "ssh://c", "private_key": "-----BEGIN\nline1\nline2\n", "passphrase": "open", "known_hosts": ""},
            {"host": "https://d", "app_id": "7", "private_key": key},
        ]);
        let credentials = credentials(&serde_json::json!({ "credentials": entries }).to_string()).unwrap();
        let basic = openssl::base64::encode_block(b"bot:hunter2");
        let text = format!("hunter2 {basic} line1 line2 open abc {key}");
        let redacted = credentials.redact(&text);
        assert!(
            redacted.starts_with("*** *** *** *** *** abc -----BEGIN"),
            "{redacted}"
        );
        let lines = redacted.lines().filter(|line| !line.starts_with("-----"));
        let rest: Vec<_> = lines.skip(1).collect();
        assert!(
            rest.len() > 20 && rest.iter().all(|line| *line == "***"),
            "{rest:?}"
        );
    }
}
