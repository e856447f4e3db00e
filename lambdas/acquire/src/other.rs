//! The account whose evidence may be read, by one role with an external id
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html>).

use artifacts::ArtifactError;
use artifacts::bucket::S3Artifacts;
use artifacts::evidence::DynamoEvidence;
use aws::AwsFailure;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::{Denial, Error};

/// The name of the sessions, which the other account's logs show.
const SESSION_NAME: &str = "push-code-acquire";

/// How long a session lasts, in seconds, which is the least that STS accepts.
const SESSION_SECONDS: i32 = 900;

/// The account whose evidence may be read.
#[derive(Debug, Clone)]
pub struct OtherAccount {
    /// The configuration of the caller.
    pub config: SdkConfig,
    /// The role to assume.
    pub role_arn: String,
    /// What the role's trust policy asks for, so that nobody else has the role assumed for them.
    pub external_id: String,
    /// The table with the evidence.
    pub table: String,
    /// The artifact bucket.
    pub bucket: String,
}

impl OtherAccount {
    /// Assumes the role. Returns the evidence and the artifacts as it sees them.
    pub(crate) async fn open(&self) -> Result<(DynamoEvidence, S3Artifacts), Error> {
        let request = aws_sdk_sts::Client::new(&self.config)
            .assume_role()
            .role_arn(&self.role_arn)
            .role_session_name(SESSION_NAME)
            .external_id(&self.external_id)
            .duration_seconds(SESSION_SECONDS);
        let output = request.send().await.map_err(|error| {
            let (role, source) = (self.role_arn.clone(), AwsFailure::new("sts:AssumeRole", &error));
            if source.transient {
                Error::Unavailable { role, source }
            } else {
                let source = Denial::Role(source);
                Error::Refused { role, source }
            }
        })?;
        let Some(given) = output.credentials else {
            return Err(Error::Invalid {
                role: self.role_arn.clone(),
                reason: "STS has given no credentials".to_owned(),
            });
        };
        let credentials = Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            None,
            SESSION_NAME,
        );
        let config = self
            .config
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Ok((
            DynamoEvidence::new(&config, self.table.clone()),
            S3Artifacts::new(&config, self.bucket.clone()),
        ))
    }

    /// Returns what it means that something could not be read there.
    pub(crate) fn failed(&self, error: ArtifactError) -> Error {
        if !error.is_denied() {
            return Error::Artifact(error);
        }
        Error::Refused {
            role: self.role_arn.clone(),
            source: Denial::Read(Box::new(error)),
        }
    }
}
