//! The example of a bucket in another account, and what the roles of Push Code do there.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::project::{items, parse, resources, statements, template, texts};

/// What a policy of the example allows a role.
fn allowed<'a>(policy: &'a Value, role: &str) -> BTreeSet<&'a str> {
    items(&policy["Statement"])
        .filter(|statement| {
            statement["Effect"] == "Allow"
                && items(&statement["Principal"]["AWS"]).any(|principal| principal["Ref"] == role)
        })
        .flat_map(|statement| texts(&statement["Action"]))
        .collect()
}

#[test]
fn the_bucket_and_the_key_allow_what_the_roles_do_and_nothing_else() {
    let (example, template) = (parse("examples/cross-account/template.yaml"), template());
    let policy = |of_type| resources(&example, of_type).next().unwrap().1;
    let bucket = &policy("AWS::S3::BucketPolicy")["PolicyDocument"];
    for (role, function) in [
        ("UploadRoleArn", "UploadFunction"),
        ("SweepRoleArn", "SweepFunction"),
    ] {
        let statements = statements(&template, &template["Resources"][function]["Properties"]);
        let there = statements.into_iter().filter(|statement| {
            let resource = statement["Resource"].to_string();
            resource.contains("DestinationBucketName")
        });
        let does: BTreeSet<_> = there.flat_map(|statement| texts(&statement["Action"])).collect();
        assert_eq!(allowed(bucket, role), does, "{function}");
    }
    let key = &policy("AWS::KMS::Key")["KeyPolicy"];
    let (_, rights) = resources(&template, "AWS::IAM::Policy")
        .find(|(name, _)| *name == "DestinationKeysPolicy")
        .unwrap();
    let statement = &rights["PolicyDocument"]["Statement"][0];
    assert_eq!(allowed(key, "UploadRoleArn"), texts(&statement["Action"]));
    let use_of_key = items(&key["Statement"])
        .find(|statement| statement["Sid"] == "WriteZips")
        .unwrap();
    assert_eq!(use_of_key["Condition"], statement["Condition"]);
}
