//! Tests of the middleware that makes the local AWS stricter, and of the project's own clients against it. No stack is
//! deployed.

mod clients;
mod rules;

use std::process::Child;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use domain::index::Index;
use local_aws::ministack::{Ministack, Settings};
use local_aws::tools::Tools;
use serde_json::{Value, json};
use shell::progress::Progress;
use tempfile::TempDir;

use crate::fixtures::aws::{Answer, Caller};
use crate::fixtures::strict;

const BUCKET: &str = "bucket";

/// A local AWS without the stack, until it is dropped.
struct Aws {
    ministack: Ministack,
    config: SdkConfig,
    s3: Client,
    administrator: Caller,
    folder: TempDir,
    process: Child,
}

impl Aws {
    /// Starts a local AWS with a bucket that keeps versions.
    async fn start() -> Self {
        let tools = Tools::install(Progress::on_stderr()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            middleware: Some(strict::middleware()),
            ..Settings::default()
        };
        let (ministack, process) = Ministack::start(&tools, &settings, folder.path(), true)
            .await
            .unwrap();
        let config = ministack.sdk_config();
        let aws = Self {
            s3: Client::new(&config),
            administrator: Caller::administrator(&ministack),
            config,
            ministack,
            folder,
            process,
        };
        aws.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
        let versions = aws.s3.put_bucket_versioning().bucket(BUCKET);
        let versions = versions.versioning_configuration(enabled.build());
        versions.send().await.unwrap();
        aws
    }

    /// Returns the codes and messages of the refused requests.
    fn refused(&self) -> Vec<(String, String)> {
        let text = |refused: &Value, name: &str| refused[name].as_str().unwrap().to_owned();
        strict::refused(self.folder.path())
            .iter()
            .map(|refused| (text(refused, "code"), text(refused, "message")))
            .collect()
    }

    async fn dynamodb(&self, operation: &str, body: &Value) -> Answer {
        let target = format!("DynamoDB_20120810.{operation}");
        self.administrator.json("dynamodb", &target, body).await
    }

    /// Creates a table like the template's.
    async fn create_table(&self) {
        let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
        let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
        let keys = |[hash, range]: [&str; 2]| json!([key(hash, "HASH"), key(range, "RANGE")]);
        let indexes = [Index::Repository, Index::Status, Index::Commit];
        let attributes = indexes.iter().flat_map(|index| index.attributes());
        let attributes: Vec<_> = ["pk", "sk"]
            .into_iter()
            .chain(attributes)
            .map(attribute)
            .collect();
        let indexes = indexes.map(|index| {
            json!({
                "IndexName": index.name(),
                "KeySchema": keys(index.attributes()),
                "Projection": {"ProjectionType": "ALL"},
            })
        });
        let table = json!({
            "TableName": "trail",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": attributes,
            "KeySchema": keys(["pk", "sk"]),
            "GlobalSecondaryIndexes": indexes,
        });
        self.dynamodb("CreateTable", &table).await.value();
    }

    /// Creates a role that is allowed everything.
    async fn role_of_state_machines(&self) -> String {
        let assume = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ]});
        let allow = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        let version = ("Version", "2010-05-08");
        let role = [
            ("Action", "CreateRole"),
            version,
            ("RoleName", "machines"),
            ("AssumeRolePolicyDocument", &assume.to_string()),
        ];
        let policy = [
            ("Action", "PutRolePolicy"),
            version,
            ("RoleName", "machines"),
            ("PolicyName", "all"),
            ("PolicyDocument", &allow.to_string()),
        ];
        for call in [&role[..], &policy] {
            let answer = self.administrator.query("iam", call).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        "arn:aws:iam::000000000000:role/machines".to_owned()
    }

    /// Creates a state machine of one state. Returns its ARN.
    async fn create_state_machine(&self, name: &str, role: &str, state: &Value) -> String {
        let definition = json!({"QueryLanguage": "JSONata", "StartAt": "Only", "States": {"Only": state}});
        let machine = json!({"name": name, "roleArn": role, "definition": definition.to_string()});
        let machine = self.states("CreateStateMachine", &machine).await;
        machine["stateMachineArn"].as_str().unwrap().to_owned()
    }

    async fn states(&self, operation: &str, body: &Value) -> Value {
        let target = format!("AWSStepFunctions.{operation}");
        self.administrator.json("states", &target, body).await.value()
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.ministack.stop();
        let _ = self.process.wait();
    }
}
