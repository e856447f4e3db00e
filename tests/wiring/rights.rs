//! Checks that roles allow the calls that are made, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::dependencies::DependencyTree;
use crate::machine::machines;
use crate::project::{capitalised, entries, items, resources, rust_files, statements, template, texts};

#[test]
fn every_state_machine_may_call_what_it_calls_and_nothing_else() {
    for machine in machines() {
        let called: BTreeSet<_> = machine
            .all_tasks()
            .map(|(_, task)| {
                let mut parts = task["Resource"].as_str().unwrap().rsplit(':');
                let action = parts.next().unwrap();
                let service = parts.next().unwrap();
                match (service, action.trim_end_matches(".waitForTaskToken")) {
                    ("lambda" | "states", "invoke") => "lambda:InvokeFunction".to_owned(),
                    ("cloudwatchlogs", action) => format!("logs:{}", capitalised(action)),
                    (_, action) => format!("{service}:{}", capitalised(action)),
                }
            })
            .collect();
        let mut allowed = BTreeSet::new();
        for statement in statements(&machine.template, machine.properties()) {
            let actions = texts(&statement["Action"]);
            if statement["Resource"] == "*" {
                assert!(
                    actions.iter().all(|action| action.starts_with("logs:")),
                    "{actions:?}"
                );
                continue;
            }
            let of_application = statement["Resource"]["Fn::Sub"].is_string();
            if actions.contains("lambda:InvokeFunction") && !of_application {
                let invoked: BTreeSet<_> = machine
                    .stages()
                    .map(|(_, _, function)| format!("{function}Function.Arn"))
                    .collect();
                let allowed: BTreeSet<_> = items(&statement["Resource"])
                    .map(|resource| resource["Fn::GetAtt"].as_str().unwrap().to_owned())
                    .collect();
                assert_eq!(allowed, invoked, "{}", machine.name);
            }
            allowed.extend(actions.into_iter().map(str::to_owned));
        }
        assert_eq!(allowed, called, "{}", machine.name);
    }
}

#[test]
fn no_function_may_do_what_no_code_does() {
    let template = template();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let verb = name.strip_suffix("Function").unwrap().to_lowercase();
        let tree = DependencyTree::of(&verb);
        // A function is built of its own code, and of the project's libraries on which it depends.
        let folders = tree.features.keys().filter_map(|dependency| {
            let path = dependency.split_once('(')?.1.trim_end_matches(')');
            path.contains("/lambdas/").then(|| Path::new(path).join("src"))
        });
        let code = folders
            .flat_map(|folder| rust_files(&folder))
            .map(|path| fs::read_to_string(path).unwrap())
            .collect::<String>();
        for statement in statements(&template, function) {
            assert!(
                items(&statement["Resource"]).all(|resource| resource != "*"),
                "{name}"
            );
            for action in texts(&statement["Action"]) {
                let calls: &[&str] = match action {
                    "dynamodb:Query" => &[".query()"],
                    "dynamodb:GetItem" => &[".get_item()"],
                    "dynamodb:PutItem" => &[".put_item()", "Put::builder()"],
                    "s3:GetObject" => &[".get_object()", ".head_object()", ".upload_part_copy()"],
                    "s3:GetObjectVersion" => &[".set_version_id(", "?versionId="],
                    "s3:PutObject" => &[".put_object()", ".create_multipart_upload()"],
                    "s3:AbortMultipartUpload" => &[".abort_multipart_upload()"],
                    "s3:DeleteObject" => &[".delete_objects()"],
                    // It also changes the response for a missing object.
                    "s3:ListBucket" => &[".list_objects_v2()", ".get_object()", ".head_object()"],
                    "secretsmanager:GetSecretValue" => &[".get_secret_value()"],
                    "states:StartExecution" => &[".start_execution()"],
                    "states:DescribeExecution" => &[".describe_execution()"],
                    other => unreachable!("{name} is allowed {other}: say here what calls it"),
                };
                let service = match action.split_once(':').unwrap().0 {
                    "states" => "sfn",
                    service => service,
                };
                let sdk = format!("aws-sdk-{service} ");
                assert!(
                    tree.features
                        .keys()
                        .any(|dependency| dependency.starts_with(&sdk))
                        && calls.iter().any(|call| code.contains(call)),
                    "{name} is allowed {action}"
                );
            }
        }
    }
}

#[test]
fn a_function_may_use_a_resource_whose_name_it_gets() {
    let template = template();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let told: BTreeSet<_> = entries(&function["Environment"]["Variables"])
            .flat_map(|(variable, _)| match variable {
                "TABLE_NAME" => vec!["dynamodb"],
                "STAGING_BUCKET" => vec!["s3"],
                "SECRET_PREFIX" => vec!["secretsmanager"],
                "STATE_MACHINE_ARN" => vec!["states"],
                other => unreachable!("{name} has {other}: say here what it is for"),
            })
            .collect();
        let used: BTreeSet<_> = statements(&template, function)
            .iter()
            .flat_map(|statement| texts(&statement["Action"]))
            .map(|action| action.split_once(':').unwrap().0)
            .collect();
        assert_eq!(used, told, "{name}");
    }
}

#[test]
fn the_destination_bucket_is_of_the_account_that_was_named() {
    let template = template();
    let upload = &template["Resources"]["UploadFunction"]["Properties"];
    let mut statements = statements(&template, upload);
    statements.retain(|statement| {
        let resources = serde_json::to_string(&statement["Resource"]).unwrap();
        resources.contains("DestinationBucket")
    });
    assert_eq!(statements.len(), 2, "of objects and of the list");
    for statement in statements {
        let account = &statement["Condition"]["StringEqualsIfExists"]["aws:ResourceAccount"];
        let expected = json!({
            "Fn::If": ["InOwnAccount", { "Ref": "AWS::AccountId" }, { "Ref": "DestinationAccount" }]
        });
        assert_eq!(*account, expected);
    }
}
