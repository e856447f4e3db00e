//! The buckets.

use std::collections::BTreeMap;

use serde_json::json;

use crate::project::{entries, items, resources, template, templates};

#[test]
fn every_bucket_is_versioned_encrypted_private_and_refuses_plain_http() {
    for (_, template) in templates() {
        let policies: BTreeMap<_, _> = resources(&template, "AWS::S3::BucketPolicy")
            .map(|(_, policy)| (policy["Bucket"]["Ref"].as_str().unwrap(), policy))
            .collect();
        for (name, bucket) in resources(&template, "AWS::S3::Bucket") {
            assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled", "{name}");
            assert!(
                bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"].is_array(),
                "{name}"
            );
            let block = &bucket["PublicAccessBlockConfiguration"];
            assert_eq!(
                entries(block).filter(|(_, on)| **on == json!(true)).count(),
                4,
                "{name}"
            );
            let refuses = items(&policies[name]["PolicyDocument"]["Statement"]).any(|statement| {
                statement["Effect"] == "Deny"
                    && statement["Action"] == "s3:*"
                    && statement["Principal"] == "*"
                    && statement["Condition"] == json!({ "Bool": { "aws:SecureTransport": "false" } })
                    && items(&statement["Resource"]).count() == 2
            });
            assert!(refuses, "{name}");
        }
    }
    let template = template();
    let staging = &template["Resources"]["StagingBucket"]["Properties"];
    let rules = &staging["LifecycleConfiguration"]["Rules"];
    let expected = [
        ("pushes/", json!({ "Ref": "StagedObjectDays" })),
        (
            "bases/",
            json!({ "Fn::If": ["KeepsBases", { "Ref": "BaseDays" }, 1] }),
        ),
    ];
    let found = items(rules).map(|rule| (rule["Prefix"].as_str().unwrap(), rule["ExpirationInDays"].clone()));
    assert!(found.eq(expected), "{rules}");
}

/// Rollbacks need earlier versions, so they stay unless somebody has said how long.
#[test]
fn earlier_zips_expire_by_the_parameter_alone_and_current_ones_never() {
    let template = template();
    let zips = &template["Resources"]["DestinationBucket"]["Properties"];
    let rules: Vec<_> = items(&zips["LifecycleConfiguration"]["Rules"]).collect();
    let [uploads, versions] = rules[..] else {
        panic!("{rules:#?}");
    };
    assert_eq!(
        uploads["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"],
        1
    );
    let [condition, rule, nothing] = &versions["Fn::If"].as_array().unwrap()[..] else {
        panic!("{versions:#?}");
    };
    assert_eq!(
        (condition, nothing),
        (
            &json!("ExpiresEarlierVersions"),
            &json!({ "Ref": "AWS::NoValue" })
        )
    );
    let days = json!({ "NoncurrentDays": { "Ref": "EarlierVersionDays" } });
    assert_eq!(rule["NoncurrentVersionExpiration"], days);
    assert!(
        rules
            .iter()
            .chain([&rule])
            .all(|rule| rule.get("ExpirationInDays").is_none())
    );
}
