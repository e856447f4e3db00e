//! The local AWS refuses what AWS refuses, and records it in case the code under test swallows the error.

use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Aws, BUCKET};

/// The smallest part that S3 accepts, except for the last one.
const PART_BYTES: usize = 5 << 20;

impl Aws {
    /// Uploads two parts, of `first_bytes` and of one byte, each with the SDK's CRC32 checksum, and completes the
    /// upload with the parts as `change` leaves them. `announced` is the checksum algorithm of the upload. The error is
    /// S3's code.
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

    /// Writes an object with this metadata. Returns the metadata that S3 returns.
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

    /// Runs a state machine of one state that fails. Returns its error.
    async fn error_of(&self, name: &str, role: &str, state: &Value) -> String {
        let machine = self.create_state_machine(name, role, state).await;
        let execution = json!({"stateMachineArn": machine, "input": "{}"});
        let execution = self.states("StartExecution", &execution).await;
        let execution = json!({"executionArn": execution["executionArn"]});
        let end = async {
            loop {
                let described = self.states("DescribeExecution", &execution).await;
                if let Some(error) = described["error"].as_str() {
                    return error.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), end).await.unwrap()
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

    // The size is that of "text" and the value.
    assert_eq!(aws.put_and_get(&"x".repeat(2_044)).await.unwrap().len(), 2_044);
    assert_eq!(
        aws.put_and_get(&"x".repeat(2_045)).await,
        Err("MetadataTooLarge".into())
    );
    let head = aws.s3.head_object().bucket(BUCKET).key("k".repeat(1_025)).send();
    assert!(head.await.is_err());

    let objects = (0..1_001).map(|key| ObjectIdentifier::builder().key(key.to_string()).build().unwrap());
    let delete = aws.s3.delete_objects().bucket(BUCKET);
    let too_many = Delete::builder()
        .set_objects(Some(objects.collect()))
        .build()
        .unwrap();
    let error = delete.clone().delete(too_many).send().await.unwrap_err();
    assert_eq!(code(&error), "MalformedXML");
    let one = ObjectIdentifier::builder().key("0").build().unwrap();
    let one = Delete::builder().objects(one).build().unwrap();
    let delete = delete.delete(one).customize().mutate_request(|request| {
        request.headers_mut().remove("x-amz-checksum-crc32").unwrap();
    });
    let error = delete.send().await.unwrap_err();
    assert_eq!(code(&error), "InvalidRequest");

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
            "MalformedXML",
            "InvalidRequest",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_aws_encodes_metadata_as_s3_does() {
    let aws = Aws::start().await;
    for (written, read) in [
        ("plain", "plain"),
        ("refs/heads/gr%C3%BCn", "refs/heads/gr%C3%BCn"),
        // These are Jörg, 推送, and an encoded word that needs no encoding.
        ("=?UTF-8?B?SsO2cmc=?=", "=?UTF-8?Q?J=C3=B6rg?="),
        ("=?UTF-8?Q?=E6=8E=A8=E9=80=81?=", "=?UTF-8?B?5o6o6YCB?="),
        ("=?UTF-8?B?cGxhaW4=?=", "plain"),
        ("=?UTF-8?B?not Base64?=", "=?UTF-8?B?not Base64?="),
    ] {
        assert_eq!(aws.put_and_get(written).await.unwrap(), read);
    }
    // 60 times ä do not fit into one word.
    let long = format!("=?UTF-8?Q?{}?=", "=C3=A4".repeat(60));
    let read = aws.put_and_get(&long).await.unwrap();
    assert!(read.split(' ').count() > 1, "{read}");
    for word in read.split(' ') {
        assert!(word.starts_with("=?UTF-8?B?") && word.ends_with("?=") && word.len() <= 75);
    }
    assert_eq!(aws.refused(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_aws_refuses_what_the_models_of_services_do_not_allow() {
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
            dynamodb,
            "BatchGetItem",
            json!({"RequestItems": {}}),
            "0 is less than 1",
        ),
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
            "'Text' is not one of",
        ),
    ] {
        let target = format!("{prefix}.{operation}");
        let answer = aws.administrator.json(service, &target, &body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        let (_, message) = aws.refused().pop().unwrap();
        assert!(message.contains(expected), "{message}");
        assert!(answer.text.contains(&operation.to_owned()), "{answer:?}");
    }
    assert_eq!(aws.refused().len(), 8);

    // The body of this request is not read.
    let delete = aws
        .administrator
        .rest("s3", Method::DELETE, "/bucket/none", "text".into());
    assert_eq!(delete.await.status, 204);
    // These are REST requests with a wrong pattern, method, and part of the query.
    let by_rest = async |service, path, expected| {
        let call = aws.administrator.rest(service, Method::POST, path, "{}".into());
        assert_eq!(call.await.status, 400);
        let (_, message) = aws.refused().pop().unwrap();
        assert!(message.contains(expected), "{message}");
    };
    let invoke = "/2015-03-31/functions/no~name/invocations";
    by_rest("lambda", invoke, "is not of the pattern").await;
    by_rest("s3", "/bucket/key", "there is no operation POST /bucket/key").await;
    let head = aws.s3.head_bucket().bucket(BUCKET).customize();
    let head = head.mutate_request(|request| {
        request
            .set_uri(format!("{}?neither=known", request.uri()))
            .unwrap();
    });
    assert!(head.send().await.is_err());
    let (_, message) = aws.refused().pop().unwrap();
    assert!(message.contains("no parameters ['neither']"), "{message}");
    assert_eq!(aws.refused().len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_aws_checks_calls_of_state_machines_too() {
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
