//! The local AWS as strict as AWS itself in what was found to matter: that it is, and that the clients of this project obey.

use std::collections::HashMap;
use std::process::Child;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart,
    VersioningConfiguration,
};
use domain::destination::{Destination, staging_key};
use domain::push::PushId;
use platform::audit::{DynamoTrail, conformance};
use platform::destination::{DestinationStore, S3Destination};
use platform::staging::{PIECE_BYTES, S3Staging, Staging};
use push_code::local::ministack::{Ministack, Settings};
use push_code::local::tools::Tools;
use push_code::progress::Progress;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixtures::aws::{Answer, Caller};
use crate::fixtures::repository::noise;
use crate::fixtures::strict;

const BUCKET: &str = "bucket";
/// The smallest part that S3 takes, but for the last one.
const PART_BYTES: usize = 5 << 20;

/// A local AWS without the stack, for as long as this is kept.
struct Aws {
    ministack: Ministack,
    config: SdkConfig,
    s3: Client,
    administrator: Caller,
    folder: TempDir,
    process: Child,
}

impl Aws {
    /// One with a bucket that keeps versions.
    async fn start() -> Self {
        let tools = Tools::install(Progress::on_stderr()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            front: Some(strict::front()),
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

    /// The codes and messages of what was refused.
    fn refused(&self) -> Vec<(String, String)> {
        let text = |refused: &Value, name: &str| refused[name].as_str().unwrap().to_owned();
        strict::refused(self.folder.path())
            .iter()
            .map(|refused| (text(refused, "code"), text(refused, "message")))
            .collect()
    }

    /// Uploads two parts, of `first_bytes` and of one byte, each with the SDK's checksum of CRC32, and completes the upload
    /// with what `change` makes of them. `announced` is the algorithm that the upload says it has. The error is S3's code.
    async fn upload_in_parts(
        &self,
        first_bytes: usize,
        announced: Option<ChecksumAlgorithm>,
        change: impl Fn(&mut Vec<CompletedPart>),
    ) -> Result<(), String> {
        let create = self.s3.create_multipart_upload().bucket(BUCKET).key("parts");
        let created = create.set_checksum_algorithm(announced).send().await.unwrap();
        let upload_id = created.upload_id().unwrap();
        let mut parts = Vec::new();
        for (number, bytes) in [(1, vec![0; first_bytes]), (2, vec![0])] {
            let upload = self.s3.upload_part().bucket(BUCKET).key("parts");
            let upload = upload.upload_id(upload_id).part_number(number);
            let part = upload
                .body(bytes.into())
                .send()
                .await
                .map_err(|error| code(&error))?;
            let done = CompletedPart::builder().part_number(number).set_e_tag(part.e_tag);
            parts.push(done.set_checksum_crc32(part.checksum_crc32).build());
        }
        change(&mut parts);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.s3.complete_multipart_upload().bucket(BUCKET).key("parts");
        let complete = complete.upload_id(upload_id).multipart_upload(parts);
        complete.send().await.map(|_| ()).map_err(|error| code(&error))
    }

    /// Writes an object with this metadata, and gives what S3 says is its metadata.
    async fn put_and_get(&self, value: &str) -> Result<String, String> {
        let put = self.s3.put_object().bucket(BUCKET).key("object");
        let put = put.metadata("text", value).send().await;
        put.map_err(|error| code(&error))?;
        let head = self.s3.head_object().bucket(BUCKET).key("object").send();
        let head = head.await.unwrap().metadata.unwrap();
        let get = self.s3.get_object().bucket(BUCKET).key("object").send();
        assert_eq!(Some(&head), get.await.unwrap().metadata());
        Ok(head["text"].clone())
    }

    async fn dynamodb(&self, operation: &str, body: &Value) -> Answer {
        let target = format!("DynamoDB_20120810.{operation}");
        self.administrator.json("dynamodb", &target, body).await
    }

    /// A table as the template has it, without its indexes.
    async fn create_table(&self) {
        let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
        let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
        let table = json!({
            "TableName": "trail",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [attribute("pk"), attribute("sk")],
            "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
        });
        self.dynamodb("CreateTable", &table).await.value();
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.ministack.stop();
        let _ = self.process.wait();
    }
}

fn code(error: &impl ProvideErrorMetadata) -> String {
    error.code().unwrap().to_owned()
}

fn without_checksums(parts: &mut Vec<CompletedPart>) {
    for part in parts {
        part.checksum_crc32 = None;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_aws_refuses_what_s3_refuses() {
    let aws = Aws::start().await;
    let crc32 = Some(ChecksumAlgorithm::Crc32);
    let as_they_are = |_: &mut Vec<CompletedPart>| ();
    let upload = async |first_bytes, announced: &Option<_>, change: &dyn Fn(&mut Vec<_>)| {
        aws.upload_in_parts(first_bytes, announced.clone(), change).await
    };
    assert_eq!(upload(PART_BYTES, &crc32, &as_they_are).await, Ok(()));
    assert_eq!(upload(PART_BYTES, &None, &without_checksums).await, Ok(()));
    assert_eq!(aws.refused(), []);
    for (expected, result) in [
        ("InvalidPart", upload(PART_BYTES, &None, &as_they_are).await),
        (
            "InvalidRequest",
            upload(PART_BYTES, &crc32, &without_checksums).await,
        ),
        (
            "InvalidRequest",
            upload(PART_BYTES, &Some(ChecksumAlgorithm::Sha256), &as_they_are).await,
        ),
        (
            "EntityTooSmall",
            upload(PART_BYTES - 1, &crc32, &as_they_are).await,
        ),
        (
            "InvalidPartOrder",
            upload(PART_BYTES, &crc32, &|parts| parts.reverse()).await,
        ),
        ("MalformedXML", upload(PART_BYTES, &crc32, &Vec::clear).await),
    ] {
        assert_eq!(result, Err(expected.to_owned()));
    }

    // "text" and the value.
    assert_eq!(aws.put_and_get(&"x".repeat(2_044)).await.unwrap().len(), 2_044);
    assert_eq!(
        aws.put_and_get(&"x".repeat(2_045)).await,
        Err("MetadataTooLarge".into())
    );
    let head = aws.s3.head_object().bucket(BUCKET).key("k".repeat(1_025)).send();
    assert!(head.await.is_err());

    let codes: Vec<_> = aws.refused().into_iter().map(|(code, _)| code).collect();
    assert_eq!(
        codes,
        [
            "InvalidPart",
            "InvalidRequest",
            "InvalidRequest",
            "EntityTooSmall",
            "InvalidPartOrder",
            "MalformedXML",
            "MetadataTooLarge",
            "KeyTooLongError",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_aws_encodes_metadata_as_s3_does() {
    let aws = Aws::start().await;
    for (written, read) in [
        ("plain", "plain"),
        ("refs/heads/gr%C3%BCn", "refs/heads/gr%C3%BCn"),
        // Jörg, 推送, and an encoded word that needed no encoding.
        ("=?UTF-8?B?SsO2cmc=?=", "=?UTF-8?Q?J=C3=B6rg?="),
        ("=?UTF-8?Q?=E6=8E=A8=E9=80=81?=", "=?UTF-8?B?5o6o6YCB?="),
        ("=?UTF-8?B?cGxhaW4=?=", "plain"),
        ("=?UTF-8?B?not Base64?=", "=?UTF-8?B?not Base64?="),
    ] {
        assert_eq!(aws.put_and_get(written).await.unwrap(), read);
    }
    // 60 times ä: more than one word has room for.
    let long = format!("=?UTF-8?Q?{}?=", "=C3=A4".repeat(60));
    let read = aws.put_and_get(&long).await.unwrap();
    assert!(read.split(' ').count() > 1, "{read}");
    for word in read.split(' ') {
        assert!(word.starts_with("=?UTF-8?B?") && word.ends_with("?=") && word.len() <= 75);
    }
    assert_eq!(aws.refused(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_aws_refuses_what_no_model_of_a_service_allows() {
    let aws = Aws::start().await;
    aws.create_table().await;
    let key = json!({"pk": {"S": "p"}, "sk": {"S": "s"}});
    let item = json!({"TableName": "trail", "Item": key});
    aws.dynamodb("PutItem", &item).await.value();
    assert_eq!(aws.refused(), []);

    let no_text = json!({"TableName": "trail", "Key": {"pk": {"S": 1}, "sk": {"S": "s"}}});
    let dynamodb = ("dynamodb", "DynamoDB_20120810");
    let states = ("states", "AWSStepFunctions");
    let secrets = ("secretsmanager", "secretsmanager");
    let ssm = ("ssm", "AmazonSSM");
    let secret = "x".repeat(65_537);
    for ((service, prefix), operation, body, expected) in [
        (dynamodb, "PutItem", json!({"TableName": "trail"}), "\"Item\""),
        (dynamodb, "PutItems", json!({}), "there is no operation"),
        (dynamodb, "GetItem", no_text, "Key.pk.S"),
        (dynamodb, "GetItem", json!({"Table": "trail"}), "\"Table\""),
        (
            states,
            "DescribeExecution",
            json!({"executionArn": "x".repeat(257)}),
            "257 is more than 256",
        ),
        (
            secrets,
            "CreateSecret",
            json!({"Name": "n", "SecretString": secret}),
            "65537 is more than 65536",
        ),
        (
            ssm,
            "PutParameter",
            json!({"Name": "/n", "Value": "", "Type": "Text"}),
            "'Text' is none of",
        ),
    ] {
        let target = format!("{prefix}.{operation}");
        let answer = aws.administrator.json(service, &target, &body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        let (_, message) = aws.refused().pop().unwrap();
        assert!(message.contains(expected), "{message}");
        assert!(answer.text.contains(&operation.to_owned()), "{answer:?}");
    }
    assert_eq!(aws.refused().len(), 7);

    // By REST.
    let path = "/2015-03-31/functions/no~name/invocations";
    let invoke = aws
        .administrator
        .rest("lambda", reqwest::Method::POST, path, "{}".into());
    assert_eq!(invoke.await.status, 400);
    assert_eq!(aws.refused().len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_aws_holds_calls_of_state_machines_to_the_models_too() {
    let aws = Aws::start().await;
    let role = aws.role_of_state_machines().await;
    let topic = "arn:aws:sns:us-east-1:000000000000:topic";
    for (number, (resource, arguments, expected)) in [
        (
            "aws-sdk:ssm:getParameter",
            json!({"Nam": "/n"}),
            "ssm.ValidationException",
        ),
        (
            "events:putEvents",
            json!({"Entries": []}),
            "events.ValidationException",
        ),
        (
            "sns:publish",
            json!({"TopicArn": topic, "Subject": "two\nlines", "Message": {"a": 1}}),
            "sns.InvalidParameter",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let task = json!({
            "Type": "Task",
            "Resource": format!("arn:aws:states:::{resource}"),
            "Arguments": arguments,
            "End": true,
        });
        let error = aws.error_of(&format!("machine-{number}"), &role, &task).await;
        assert_eq!(error, expected);
        assert_eq!(aws.refused().len(), number + 1);
    }
}

impl Aws {
    /// A role for which everything is allowed.
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

    /// Runs a state machine of one state that fails, and gives its error.
    async fn error_of(&self, name: &str, role: &str, state: &Value) -> String {
        let call = async |operation: &str, body: &Value| {
            let target = format!("AWSStepFunctions.{operation}");
            self.administrator.json("states", &target, body).await.value()
        };
        let definition = json!({"QueryLanguage": "JSONata", "StartAt": "Only", "States": {"Only": state}});
        let machine = json!({"name": name, "roleArn": role, "definition": definition.to_string()});
        let machine = call("CreateStateMachine", &machine).await;
        let execution = json!({"stateMachineArn": machine["stateMachineArn"], "input": "{}"});
        let execution = call("StartExecution", &execution).await;
        let execution = json!({"executionArn": execution["executionArn"]});
        let end = async {
            loop {
                let described = call("DescribeExecution", &execution).await;
                if let Some(error) = described["error"].as_str() {
                    return error.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), end).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn staging_and_destination_ask_nothing_that_s3_refuses() {
    let aws = Aws::start().await;
    let staging = S3Staging::new(&aws.config, BUCKET.to_owned());
    let store = S3Destination::new(&aws.config, BUCKET.to_owned());
    let push_id: PushId = "5e9c8a36-5d5c-5b5c-8f0e-3c1c0a5d7d11".parse().unwrap();
    let destination = Destination {
        bucket: BUCKET.to_owned(),
        key: "source/group/Größe +&=%/heads/main.zip".parse().unwrap(),
    };
    let mut expected: Option<String> = None;
    // One request, and three parts.
    for size in [0, 1_000, 2 * PIECE_BYTES + 1] {
        let bytes = noise(size);
        let (source, copy) = (aws.folder.path().join("source"), aws.folder.path().join("copy"));
        std::fs::write(&source, &bytes).unwrap();
        let key = staging_key(&push_id, "archive.zip").unwrap();
        let staged = staging.store_file(&key, &source).await.unwrap();
        staging.load(&staged, &copy).await.unwrap();
        assert_eq!(std::fs::read(&copy).unwrap(), bytes);
        if size == 0 {
            continue;
        }
        let metadata = HashMap::from([("text".to_owned(), "=?UTF-8?B?SsO2cmc=?=".to_owned())]);
        let left = store.prepare(&staged, &destination, &metadata).await.unwrap();
        store.abort(&left, &destination).await;
        let prepared = store.prepare(&staged, &destination, &metadata).await.unwrap();
        let delivered = store.complete_if_unchanged(&prepared, &destination, expected.as_deref());
        let delivered = delivered.await.unwrap().unwrap();
        let head = store.head(&destination).await.unwrap().unwrap();
        assert_eq!(head.etag, delivered.etag);
        assert_eq!(head.metadata["text"], "=?UTF-8?Q?J=C3=B6rg?=");
        expected = Some(delivered.etag);
    }
    store
        .put(&destination, "application/json", b"{}".into())
        .await
        .unwrap();
    staging.remove_all(&push_id).await.unwrap();
    assert_eq!(aws.refused(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_asks_nothing_that_dynamodb_refuses() {
    let aws = Aws::start().await;
    aws.create_table().await;
    conformance::check_all(&DynamoTrail::new(&aws.config, "trail".to_owned())).await;
    assert_eq!(aws.refused(), []);
}
