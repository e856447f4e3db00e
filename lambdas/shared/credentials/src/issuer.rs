//! What logins are exchanged for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use chrono::{TimeDelta, Utc};
use domain::remote_url::RemoteUrl;
use openssl::x509::X509;

use crate::access::Access;
use crate::codecommit;
use crate::error::AccessError;
use crate::github_app::{self, App, Grant, Token};

/// The user name that GitHub expects with an installation token.
const GITHUB_USER: &str = "x-access-token";
/// How long before its end a token is not used any more. A fetch takes at most 13 minutes, and sends the token to its
/// end.
const MARGIN: TimeDelta = TimeDelta::minutes(15);

/// Issues what logins are exchanged for: the installation tokens of GitHub Apps, and the signatures of CodeCommit.
///
/// A process has one, which keeps each token until shortly before it expires.
#[derive(Default)]
pub struct Issuer {
    /// `None` if this program has no credentials of AWS.
    aws: Option<SharedCredentialsProvider>,
    tokens: Mutex<HashMap<Grant, Token>>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Issuer").finish_non_exhaustive()
    }
}

impl Issuer {
    /// Creates an issuer that signs for CodeCommit with these credentials of AWS.
    #[must_use]
    pub fn new(aws: Option<SharedCredentialsProvider>) -> Self {
        Self {
            aws,
            tokens: Mutex::default(),
        }
    }

    /// Returns the login of `app` for the repository at `url`.
    pub(crate) async fn installation_token(
        &self,
        app: &App,
        url: &RemoteUrl,
        authorities: &[X509],
    ) -> Result<Access, AccessError> {
        let refused = |source| AccessError::Token {
            app_id: app.id().to_owned(),
            url: url.without_credentials().into(),
            source,
        };
        let grant = app.grant(url).map_err(refused)?;
        let token = match self.kept(&grant) {
            Some(token) => token,
            None => {
                // Two fetches at once may each get a token. That is cheaper than to let one wait for the other.
                let token = github_app::issue(app, &grant, authorities).await;
                let token = token.map_err(refused)?;
                self.keep(grant, token.clone());
                token
            }
        };
        Ok(Access::Password {
            username: GITHUB_USER.to_owned(),
            password: token.text,
        })
    }

    fn kept(&self, grant: &Grant) -> Option<Token> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(grant).filter(|token| token.is_fresh()).cloned()
    }

    fn keep(&self, grant: Grant, token: Token) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| token.is_fresh());
        tokens.insert(grant, token);
    }

    /// Returns the login at CodeCommit for the repository at `url`.
    pub(crate) async fn codecommit(&self, region: &str, url: &RemoteUrl) -> Result<Access, AccessError> {
        let unsigned = |source| AccessError::Unsigned {
            url: url.without_credentials().into(),
            source,
        };
        let provider = self.aws.as_ref();
        let provider = provider.ok_or_else(|| unsigned("this program has none".into()))?;
        let credentials = provider.provide_credentials().await;
        let credentials = credentials.map_err(|error| unsigned(error.into()))?;
        Ok(codecommit::sign(&credentials, region, url, SystemTime::now()))
    }
}

impl Token {
    fn is_fresh(&self) -> bool {
        self.expires_at - Utc::now() > MARGIN
    }
}
