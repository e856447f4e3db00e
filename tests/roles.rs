//! What the roles of a delivery stack may do, and what they may not, by calls in their names.

use reqwest::Method;
use serde_json::json;

use crate::fixtures::aws::{Answer, Caller};
use crate::fixtures::delivery::Delivery;
use sample_application::SampleApplication;

/// A call of AWS.
#[derive(Debug, Clone, Copy)]
enum Call<'a> {
    /// Reads the items of a key in the table of the trail.
    Query(&'a str),
    /// Reads an item of the table.
    GetItem(&'a str),
    /// Reads an object of a bucket.
    GetObject(&'a str, &'a str),
    /// Writes an object.
    PutObject(&'a str, &'a str),
    /// Does something with a stack.
    Stack(&'a str, &'a str),
    /// Looks a function up.
    GetFunction(&'a str),
}

impl Call<'_> {
    /// Makes the call.
    async fn by(self, caller: &Caller, table: &str) -> Answer {
        let object = async |method: Method, bucket: &str, key: &str| {
            let path = format!("/{bucket}/{key}");
            caller.rest("s3", method, &path, String::new()).await
        };
        match self {
            Self::Query(key) => {
                let query = json!({
                    "TableName": table,
                    "KeyConditionExpression": "pk = :pk",
                    "ExpressionAttributeValues": { ":pk": { "S": key } },
                });
                caller.json("dynamodb", "DynamoDB_20120810.Query", &query).await
            }
            Self::GetItem(key) => {
                let item =
                    json!({ "TableName": table, "Key": { "pk": { "S": key }, "sk": { "S": "SLOT" } } });
                caller.json("dynamodb", "DynamoDB_20120810.GetItem", &item).await
            }
            Self::GetObject(bucket, key) => object(Method::GET, bucket, key).await,
            Self::PutObject(bucket, key) => object(Method::PUT, bucket, key).await,
            Self::Stack(action, stack) => {
                let call = [
                    ("Action", action),
                    ("Version", "2010-05-15"),
                    ("StackName", stack),
                ];
                caller.query("cloudformation", &call).await
            }
            Self::GetFunction(name) => {
                let path = format!("/2015-03-31/functions/{name}");
                caller.rest("lambda", Method::GET, &path, String::new()).await
            }
        }
    }
}

#[tokio::test]
async fn each_role_of_a_deployment_may_do_its_work_and_not_that_of_others() {
    let delivery = Delivery::of("rights", &[]).await;
    let released = delivery.push(&SampleApplication::new("", "Hello")).await;
    assert_eq!(released.ended.error, None, "{:?}", released.shown);
    let stack = delivery.deployments.stack();
    let (zips, artifacts) = (
        delivery.scene.stack.output("DestinationBucket"),
        stack.output("ArtifactBucketName").unwrap(),
    );
    let artifact = released.shown.state.artifact.as_ref().unwrap();
    let (zip, object) = (artifact.zip.key.as_str(), artifact.template.key());
    let application = delivery.application_stack.as_str();
    let own = format!("SLOT#dev#{}", delivery.scene.source);
    let (greet, admit) = (
        delivery.function("Greet").await,
        delivery.function_of_workflow("Admit").await,
    );
    let deployment = format!("DEPLOYMENT#{}", released.id);
    for (role, may, may_not) in [
        (
            "AdmitFunctionRole",
            Call::GetItem(&own),
            Call::GetObject(zips, zip),
        ),
        (
            "AcquireFunctionRole",
            Call::GetObject(artifacts, &object),
            Call::GetObject(zips, zip),
        ),
        (
            "CompileFunctionRole",
            Call::GetObject(zips, zip),
            Call::PutObject(zips, zip),
        ),
        (
            "PlanFunctionRole",
            Call::Stack("DescribeStacks", application),
            Call::Stack("DescribeStacks", stack.name()),
        ),
        (
            "ApplyFunctionRole",
            Call::Stack("DescribeStacks", application),
            Call::Stack("DeleteStack", application),
        ),
        ("TrackFunctionRole", Call::Query(&deployment), Call::GetItem(&own)),
        (
            "BuildRole",
            Call::GetObject(zips, zip),
            Call::GetObject(artifacts, &object),
        ),
        (
            "ExecutionRole",
            Call::GetFunction(&greet),
            Call::GetFunction(&admit),
        ),
    ] {
        let caller = delivery.role(role).await;
        let table = delivery.scene.stack.output("TableName");
        let answer = may.by(&caller, table).await;
        assert_eq!(answer.status, 200, "{role} {may:?}: {answer:?}");
        let answer = may_not.by(&caller, table).await;
        assert!(answer.is_denied(), "{role} {may_not:?}: {answer:?}");
    }
}
