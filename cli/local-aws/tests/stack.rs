//! Tests that there is a handle for any deployed stack, by its name. The stack here has a single bucket, in the local
//! AWS.

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use deployed_stack::Stack;
use local_aws::ministack::{Ministack, Settings};
use local_aws::tools::Tools;
use local_aws::{ACCESS_KEY, REGION};
use shell::progress::Progress;

const DEPLOY: &str = r#"
import boto3, json
template = {
    "Resources": {"Zips": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "zips"}}},
    "Outputs": {"DestinationBucket": {"Value": {"Ref": "Zips"}}},
}
cloudformation = boto3.client("cloudformation")
cloudformation.create_stack(StackName="small", TemplateBody=json.dumps(template))
cloudformation.get_waiter("stack_create_complete").wait(StackName="small", WaiterConfig={"Delay": 1})
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_stack_is_found_by_its_name_with_its_outputs() {
    let tools = Tools::install(Progress::on_stderr()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (aws, mut process) = Ministack::start(&tools, &Settings::default(), folder.path(), true)
        .await
        .unwrap();
    let mut deploy = tokio::process::Command::new(tools.ministack_python());
    deploy
        .args(["-c", DEPLOY])
        .env("AWS_ENDPOINT_URL", aws.endpoint())
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", &aws.secret_key)
        .env("AWS_DEFAULT_REGION", REGION);
    assert!(deploy.status().await.unwrap().success());

    let began = std::time::Instant::now();
    let stack = Stack::deployed("small", aws.sdk_config()).await.unwrap();
    println!("read in {:?}", began.elapsed());
    assert_eq!(stack.name(), "small");
    let bucket = stack.output("DestinationBucket").unwrap();
    stack.s3().head_bucket().bucket(bucket).send().await.unwrap();
    let missing = stack.output("TableName").unwrap_err().to_string();
    assert!(
        missing.contains("small") && missing.contains("TableName"),
        "{missing}"
    );

    let unknown = Stack::deployed("unknown", aws.sdk_config()).await;
    let unknown = unknown.unwrap_err().to_string();
    assert!(
        unknown.starts_with("there is no stack unknown in us-east-1: "),
        "{unknown}"
    );
    let wrong = Credentials::new(ACCESS_KEY, "wrong", None, None, "test");
    let config = aws.sdk_config().into_builder();
    let config = config.credentials_provider(SharedCredentialsProvider::new(wrong));
    let refused = Stack::deployed("small", config.build()).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.starts_with("AWS does not accept the credentials: log in"),
        "{refused}"
    );
    process.kill().unwrap();
    process.wait().unwrap();
}
