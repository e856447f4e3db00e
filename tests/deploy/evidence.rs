//! Evidence of another account, whose role alone may read it.

use std::path::PathBuf;

use ::artifacts::bucket::{ArtifactStore as _, S3Artifacts};
use ::artifacts::evidence::{DynamoEvidence, EvidenceStore as _};
use acquire::{Deps, Error, OtherAccount};
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use delivery::artifact::{Artifact, Digest};
use delivery::contract::Acquired;
use delivery::samples;
use domain::error::{Code, Coded};
use serde_json::{Value, json};

use crate::{Aws, BUCKET, TABLE, create_table};

const PROD: &str = "222222222222";
const DEV: &str = "111111111111";
const EXTERNAL_ID: &str = "push-code-evidence";
const PROD_BUCKET: &str = "prod-artifacts";
const DEV_BUCKET: &str = "dev-artifacts";

/// Two accounts: dev has evidence, and a role that prod's function may assume.
struct Accounts {
    aws: Aws,
    /// The administrator of dev.
    dev: SdkConfig,
    /// The role of prod's function.
    acquire: SdkConfig,
    /// Another role of prod, which may assume any role.
    other: SdkConfig,
}

impl Accounts {
    async fn start() -> Self {
        let aws = Aws::start().await;
        let (dev, prod) = (
            aws.ministack.sdk_config_of(DEV),
            aws.ministack.sdk_config_of(PROD),
        );
        for (config, bucket) in [(&dev, DEV_BUCKET), (&prod, PROD_BUCKET)] {
            create_table(config).await;
            let s3 = aws_sdk_s3::Client::new(config);
            s3.create_bucket().bucket(bucket).send().await.unwrap();
        }
        let here = json!({ "Effect": "Allow", "Principal": { "AWS": format!("arn:aws:iam::{PROD}:root") }, "Action": "sts:AssumeRole" });
        let table = |account: &str| format!("arn:aws:dynamodb:us-east-1:{account}:table/{TABLE}");
        let own = json!([
            { "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": format!("arn:aws:iam::{DEV}:role/evidence") },
            { "Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:PutItem"], "Resource": table(PROD) },
            { "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": format!("arn:aws:s3:::{PROD_BUCKET}/sha256/*") },
            { "Effect": "Allow", "Action": "s3:ListBucket", "Resource": format!("arn:aws:s3:::{PROD_BUCKET}") },
        ]);
        create_role(&prod, "acquire", &here, &own).await;
        let any = json!([{ "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*" }]);
        create_role(&prod, "other", &here, &any).await;
        let trusted = json!({
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{PROD}:role/acquire") },
            "Action": "sts:AssumeRole",
            "Condition": { "StringEquals": { "sts:ExternalId": EXTERNAL_ID } },
        });
        let read = json!([
            { "Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": table(DEV) },
            { "Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{DEV_BUCKET}/sha256/*") },
        ]);
        create_role(&dev, "evidence", &trusted, &read).await;
        let acquire = assume(&prod, &role(PROD, "acquire"), None).await;
        let other = assume(&prod, &role(PROD, "other"), None).await;
        Self {
            aws,
            dev,
            acquire,
            other,
        }
    }

    /// Stores an object of dev at this digest, or at its own. Returns the digest.
    async fn object(&self, bytes: &[u8], at: Option<Digest>) -> Digest {
        let digest = at.unwrap_or_else(|| Digest::of(bytes));
        let s3 = aws_sdk_s3::Client::new(&self.dev);
        let request = s3.put_object().bucket(DEV_BUCKET).key(digest.key());
        request.body(bytes.to_vec().into()).send().await.unwrap();
        digest
    }

    /// Gives dev evidence of an artifact. The code of its function is `code`, at the digest of `told`.
    async fn built(&self, told: &[u8], code: &[u8]) -> Artifact {
        let mut artifact = samples::artifact();
        artifact.template = self.object(b"template", None).await;
        artifact.provenance = self.object(b"provenance", None).await;
        let digest = Digest::of(told);
        artifact.objects[0].sha256 = self.object(code, Some(digest)).await;
        let evidence = DynamoEvidence::new(&self.dev, TABLE.to_owned());
        assert!(evidence.put(&artifact, None).await.unwrap());
        artifact
    }

    async fn acquire(&self, config: &SdkConfig, external_id: &str) -> Result<Acquired, Error> {
        let other = OtherAccount {
            config: config.clone(),
            role_arn: role(DEV, "evidence"),
            external_id: external_id.to_owned(),
            table: TABLE.to_owned(),
            bucket: DEV_BUCKET.to_owned(),
        };
        let deps = Deps {
            artifacts: &S3Artifacts::new(&self.acquire, PROD_BUCKET.to_owned()),
            evidence: &DynamoEvidence::new(&self.acquire, TABLE.to_owned()),
            other: Some(&other),
        };
        acquire::acquire(&deps, &samples::request()).await
    }

    fn scratch(&self) -> PathBuf {
        self.aws.folder.path().join("scratch")
    }
}

fn role(account: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:role/{name}")
}

/// Creates a role in the account of `config`.
async fn create_role(config: &SdkConfig, name: &str, trust: &Value, statements: &Value) {
    let policy = |statements: &Value| json!({ "Version": "2012-10-17", "Statement": statements });
    let role = json!({
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": name,
            "AssumeRolePolicyDocument": policy(&json!([trust])),
            "Policies": [{ "PolicyName": "p", "PolicyDocument": policy(statements) }],
        },
    });
    crate::create_stack(config, name, &json!({ "Resources": { "Role": role } })).await;
}

async fn assume(config: &SdkConfig, role_arn: &str, external_id: Option<&str>) -> SdkConfig {
    let request = aws_sdk_sts::Client::new(config).assume_role().role_arn(role_arn);
    let request = request
        .role_session_name("test")
        .set_external_id(external_id.map(str::to_owned));
    let given = request.send().await.unwrap().credentials.unwrap();
    let credentials = Credentials::new(
        given.access_key_id,
        given.secret_access_key,
        Some(given.session_token),
        None,
        "test",
    );
    let config = config.to_builder();
    config
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

#[tokio::test]
async fn what_the_other_account_has_built_is_copied_once() {
    let accounts = Accounts::start().await;
    let none = accounts.acquire(&accounts.acquire, EXTERNAL_ID).await.unwrap();
    assert_eq!((none.artifact, none.from), (None, None));
    let artifact = accounts.built(b"code", b"code").await;
    let acquired = accounts.acquire(&accounts.acquire, EXTERNAL_ID).await.unwrap();
    assert_eq!(acquired.artifact.as_ref(), Some(&artifact));
    assert_eq!(acquired.from, Some(role(DEV, "evidence")));
    let own = S3Artifacts::new(&accounts.acquire, PROD_BUCKET.to_owned());
    let loaded = own
        .get(&artifact.objects[0].sha256, 10, &accounts.scratch())
        .await
        .unwrap();
    assert_eq!(loaded.size, 4);
    // From then on it is this account's.
    let again = accounts.acquire(&accounts.acquire, "wrong").await.unwrap();
    assert_eq!(
        (again.artifact, again.from.as_deref()),
        (Some(artifact), Some("own"))
    );
}

#[tokio::test]
async fn an_object_that_is_not_what_the_evidence_says_is_refused() {
    let accounts = Accounts::start().await;
    accounts.built(b"code", b"evil").await;
    let error = accounts
        .acquire(&accounts.acquire, EXTERNAL_ID)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::ArtifactMismatch, "{error}");
    let own = DynamoEvidence::new(&accounts.acquire, TABLE.to_owned());
    let request = samples::request();
    let found = own
        .find(&request.settings.application, &request.push.tree)
        .await
        .unwrap();
    assert_eq!(found, None);
}

#[tokio::test]
async fn only_the_function_with_the_external_id_may_read_and_nobody_may_write() {
    let accounts = Accounts::start().await;
    let artifact = accounts.built(b"code", b"code").await;
    for (config, external_id) in [(&accounts.acquire, "wrong"), (&accounts.other, EXTERNAL_ID)] {
        let error = accounts.acquire(config, external_id).await.unwrap_err();
        assert_eq!(error.code(), Code::EvidenceRefused, "{error}");
        assert!(error.to_string().contains(&role(DEV, "evidence")), "{error}");
    }
    let evidence = assume(&accounts.acquire, &role(DEV, "evidence"), Some(EXTERNAL_ID)).await;
    let digest = &artifact.objects[0].sha256;
    let scratch = accounts.scratch();
    let theirs = |config: &SdkConfig| S3Artifacts::new(config, DEV_BUCKET.to_owned());
    theirs(&evidence).get(digest, 10, &scratch).await.unwrap();
    let written = theirs(&evidence)
        .put(&samples::digest('0'), &scratch)
        .await
        .unwrap_err();
    assert!(written.is_denied(), "{written}");
    let directly = theirs(&accounts.acquire)
        .get(digest, 10, &scratch)
        .await
        .unwrap_err();
    assert!(directly.is_denied(), "{directly}");
    let items = DynamoEvidence::new(&evidence, TABLE.to_owned());
    assert!(
        items
            .put(&artifact, Some(&artifact))
            .await
            .unwrap_err()
            .is_denied()
    );
    assert_ne!(BUCKET, DEV_BUCKET);
}
