//! What the functions of a deployment do with AWS, each by its library, in a local AWS of their own.

#![expect(clippy::panic, clippy::unwrap_used, reason = "the helpers of tests")]

mod artifacts;
mod build;
mod evidence;
mod update;

use std::process::Child;

use ::artifacts::bucket::S3Artifacts;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use local_aws::ministack::{Ministack, Settings};
use local_aws::tools::Tools;
use shell::progress::Progress;
use tempfile::TempDir;

const BUCKET: &str = "artifacts";
const TABLE: &str = "trail";

/// A local AWS with an artifact bucket, until it is dropped.
struct Aws {
    ministack: Ministack,
    config: SdkConfig,
    folder: TempDir,
    process: Child,
}

impl Aws {
    async fn start() -> Self {
        let tools = Tools::install(Progress::on_stderr()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let started = Ministack::start(&tools, &Settings::default(), folder.path(), true).await;
        let (ministack, process) = started.unwrap();
        let config = ministack.sdk_config();
        let s3 = aws_sdk_s3::Client::new(&config);
        s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        Self {
            ministack,
            config,
            folder,
            process,
        }
    }

    /// Creates a table with the keys of the audit trail's.
    async fn create_table(&self) {
        create_table(&self.config).await;
    }

    fn artifacts(&self) -> S3Artifacts {
        S3Artifacts::new(&self.config, BUCKET.to_owned())
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn create_table(config: &SdkConfig) {
    let attribute = |name: &str| {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        attribute.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let key = |name: &str, kind: KeyType| {
        let key = KeySchemaElement::builder().attribute_name(name);
        key.key_type(kind).build().unwrap()
    };
    let request = aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(vec![attribute("pk"), attribute("sk")]))
        .set_key_schema(Some(vec![key("pk", KeyType::Hash), key("sk", KeyType::Range)]));
    request.send().await.unwrap();
}

/// Creates a stack that a test needs besides what it is about.
async fn create_stack(config: &SdkConfig, name: &str, template: &serde_json::Value) {
    let cloudformation = aws_sdk_cloudformation::Client::new(config);
    let request = cloudformation.create_stack().stack_name(name);
    let request = request.capabilities(aws_sdk_cloudformation::types::Capability::CapabilityNamedIam);
    request.template_body(template.to_string()).send().await.unwrap();
    let stacks = stacks::Stacks::new(config);
    for _ in 0..100 {
        if stacks.stack(name).await.unwrap().unwrap().phase() == stacks::Phase::Ready {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the stack {name} is not created");
}
