//! Checks that roles allow the calls that are made, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::dependencies::DependencyTree;
use crate::functions::functions;
use crate::machine::machines;
use crate::project::{
    capitalised, entries, items, parse, resources, role_statements, root, rust_files, statements, template,
    texts,
};

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
                    ("sfn", action) => format!("states:{}", capitalised(action)),
                    ("cloudwatchlogs", action) => format!("logs:{}", capitalised(action)),
                    (_, action) => format!("{service}:{}", capitalised(action)),
                }
            })
            .collect();
        let mut allowed = BTreeSet::new();
        for statement in statements(&machine.template, machine.properties()) {
            let actions = texts(&statement["Action"]);
            if statement["Resource"] == "*" {
                for action in actions.iter().filter(|action| !action.starts_with("logs:")) {
                    // A task's token is no resource.
                    assert!(action.starts_with("states:SendTask"), "{action}");
                    allowed.insert((*action).to_owned());
                }
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

/// A push starts those to the further destinations, which run the same state machine.
#[test]
fn a_push_may_start_others() {
    let template = template();
    let policy = &template["Resources"]["FurtherDestinationsPolicy"]["Properties"];
    assert_eq!(policy["Roles"], json!([{ "Ref": "PushStateMachineRole" }]));
    let statement = json!({
        "Effect": "Allow", "Action": "states:StartExecution", "Resource": { "Ref": "PushStateMachine" }
    });
    assert_eq!(policy["PolicyDocument"]["Statement"], json!([statement]));
}

/// Reads all Rust files below these folders without their tests, and without white space, so that a call is found
/// however it is broken into lines.
fn code_of(folders: impl IntoIterator<Item = PathBuf>) -> String {
    let mut code = String::new();
    for folder in folders {
        for path in rust_files(&folder) {
            let inside = path.strip_prefix(&folder).unwrap();
            if inside.ends_with("tests.rs") || inside.iter().any(|part| part == "tests") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let product = text
                .split_once("#[cfg(test)]\nmod tests {")
                .map_or(text.as_str(), |(product, _)| product);
            code.extend(product.split_whitespace());
        }
    }
    code
}

/// Returns the calls of the SDK that need an action.
fn calls(action: &str) -> &'static [&'static str] {
    match action {
        "codebuild:BatchGetBuilds" => &[".batch_get_builds()"],
        "codebuild:StartBuild" => &[".start_build()"],
        "dynamodb:Query" => &[".query()"],
        "dynamodb:GetItem" => &[".get_item()"],
        "dynamodb:PutItem" => &[".put_item()", "Put::builder()"],
        "s3:GetObject" => &[".get_object()", ".head_object()", ".upload_part_copy()"],
        "s3:GetObjectVersion" => &[".set_version_id(", "?versionId="],
        "s3:PutObject" => &[".put_object()", ".create_multipart_upload()"],
        "s3:AbortMultipartUpload" => &[".abort_multipart_upload()"],
        "s3:DeleteObject" => &[".delete_objects()", ".delete_object()"],
        // It also changes the response for a missing object.
        "s3:ListBucket" => &[".list_objects_v2()", ".get_object()", ".head_object()"],
        "secretsmanager:GetSecretValue" => &[".get_secret_value()"],
        "kms:Sign" => &[".sign()"],
        "ssm:GetParametersByPath" => &[".get_parameters_by_path()"],
        "states:StartExecution" => &[".start_execution()"],
        "states:DescribeExecution" => &[".describe_execution()"],
        "states:SendTaskFailure" => &[".send_task_failure()"],
        "states:SendTaskSuccess" => &[".send_task_success()"],
        "sts:AssumeRole" => &[".assume_role()"],
        _ => &[],
    }
}

/// Returns the calls in a function's own code that need an action on what `scope` names. All functions that depend on a
/// library contain all of it, so that only their own code tells what they do.
fn own_calls(action: &str, scope: &str) -> &'static [&'static str] {
    match (action, scope) {
        ("cloudformation:CreateChangeSet", _) => &[".create_change_set("],
        ("cloudformation:DeleteChangeSet", _) => &[".delete_change_set("],
        ("cloudformation:DeleteStack", _) => &[".delete("],
        ("cloudformation:DescribeChangeSet", _) => &[".change_set("],
        ("cloudformation:DescribeEvents" | "cloudformation:DescribeStackEvents", _) => &[".failure_of("],
        ("cloudformation:DescribeStackDriftDetectionStatus", _) => &[".drift_status("],
        ("cloudformation:DescribeStackResourceDrifts", _) => &[".drifts("],
        ("cloudformation:DescribeStacks", _) => &[".stack("],
        ("cloudformation:DetectStackDrift", _) => &[".detect_drift("],
        ("cloudformation:ExecuteChangeSet", _) => &[".execute("],
        ("cloudformation:GetTemplate", _) => &[".template("],
        ("cloudformation:ListStackResources", _) => &[".resources("],
        ("codebuild:BatchGetBuilds", _) => &[".batch_get_builds()"],
        ("codebuild:StartBuild", _) => &[".start_build()"],
        ("dynamodb:PutItem", "PUSH" | "DEPLOYMENT") => &[
            "workflow::run(",
            "workflow::run_with(",
            "workflow::execute(",
            "call.run(",
            "trail.append(",
            "deployments.append(",
        ],
        ("dynamodb:Query", "PUSH" | "DEPLOYMENT") => &[
            "workflow::run(",
            "workflow::run_with(",
            "workflow::execute(",
            "call.run(",
            "trail.append(",
            "deployments.append(",
            "checkpoint(trail,",
        ],
        ("dynamodb:PutItem", "DELIVERED") => &[".closing_event()"],
        ("dynamodb:GetItem", "DELIVERED") => &["pushes.delivered("],
        ("dynamodb:Query", "STATUS") => &["checkpoint(trail,", ".find(Index::Status,"],
        ("dynamodb:Query", "REPOSITORY") => &[".find(Index::Repository,"],
        ("dynamodb:PutItem", "REF") => &["trail.number("],
        ("dynamodb:GetItem", "REF") => &["trail.number(", "trail.last_push("],
        ("dynamodb:PutItem", "SOURCE") => &["trail.number(", ".put_sweep_begins_with("],
        ("dynamodb:GetItem", "SOURCE") => &[".sweep_begins_with("],
        ("dynamodb:Query", "SOURCE") => &["trail.refs("],
        ("dynamodb:PutItem", "DESTINATION") => &["trail.acquire("],
        ("dynamodb:GetItem", "DESTINATION") => &["trail.acquire(", "trail.destination("],
        ("dynamodb:PutItem", "CHECKPOINT") => &["trail.put_checkpoint("],
        ("dynamodb:Query", "CHECKPOINT") => &["trail.checkpoints("],
        ("dynamodb:PutItem", "SLOT") => &["deployments.put_slot("],
        ("dynamodb:GetItem", "SLOT") => &["deployments.slot("],
        ("dynamodb:PutItem", "ENVIRONMENT") => &["trail.put_release("],
        ("dynamodb:Query", "ENVIRONMENT") => &[".releases("],
        ("dynamodb:PutItem", "APPROVAL") => &["trail.put_approval("],
        ("dynamodb:PutItem", "ARTIFACT") => &["keep(deps.artifacts,"],
        ("dynamodb:GetItem", "ARTIFACT") => &["keep(deps.artifacts,", "evidence.find("],
        ("iam:PassRole", _) => &[".create_change_set(", ".delete("],
        ("kms:Sign", _) => &["Envelope::sign("],
        ("lambda:GetAlias" | "lambda:ListAliases", _) => &[".version("],
        // The delivered zip is copied from there.
        ("s3:GetObject" | "s3:GetObjectVersion", "StagingBucket") => &["staging.load(", "store.prepare("],
        ("s3:PutObject" | "s3:AbortMultipartUpload", "StagingBucket") => {
            &["staging.store(", "staging.store_file("]
        }
        ("s3:DeleteObject", "StagingBucket") => &["staging.remove(", "staging.remove_all("],
        ("s3:ListBucket", "StagingBucket") => &["staging.load(", "staging.remove_all(", "store.prepare("],
        // The sweep's own trait is implemented for all destinations.
        ("s3:GetObject" | "s3:ListBucket", "DestinationBucket") => &["store.head(", "self.head("],
        ("s3:GetObjectVersion", "DestinationBucket") => &["Zip::Version("],
        ("s3:PutObject", "DestinationBucket") => &["store.prepare(", "store.put("],
        ("s3:AbortMultipartUpload", "DestinationBucket") => &["store.prepare(", "store.abort("],
        ("s3:DeleteObject", "DestinationBucket") => &["store.remove_if_unchanged("],
        ("s3:GetObject", "ArtifactBucket") => &["artifacts.get(", "artifacts.load(", "is_complete("],
        ("s3:PutObject", "ArtifactBucket") => &["artifacts.put(", "own.put("],
        ("s3:ListBucket", "ArtifactBucket") => &["is_complete(", "keep(deps.artifacts,", "artifacts.get("],
        ("s3:GetObject", "SourceBucket") => &["artifacts.load("],
        ("s3:GetObjectVersion", "SourceBucket") => &["version_id:Some("],
        ("secretsmanager:GetSecretValue", _) => &["secrets.read(", "SecretCache::new("],
        ("ssm:GetParametersByPath", _) => &["sources.list("],
        ("states:StartExecution", _) => &["executions::start(", "tasks.start("],
        ("states:DescribeExecution", _) => &["executions::describe(", "tasks.is_running("],
        ("states:SendTaskFailure", _) => &["tasks.fail(", "tasks::answer("],
        ("states:SendTaskSuccess", _) => &["tasks.succeed(", "tasks::answer("],
        ("sts:AssumeRole", _) => &[".assume_role()"],
        _ => &[],
    }
}

/// Returns what a statement is about, as far as the calls of functions differ by it: how the partition keys of items
/// begin, or the bucket.
fn scopes<'a>(statement: &'a Value, action: &str) -> Vec<&'a str> {
    if action.starts_with("dynamodb:") {
        return leading_keys(statement)
            .filter_map(|key| key.split('#').next())
            .collect();
    }
    if action.starts_with("s3:") {
        let resource = statement["Resource"].to_string();
        let mut buckets = vec![
            "StagingBucket",
            "DestinationBucket",
            "ArtifactBucket",
            "SourceBucket",
        ];
        buckets.retain(|bucket| resource.contains(bucket));
        assert_eq!(buckets.len(), 1, "{resource}");
        return buckets;
    }
    vec![""]
}

/// Returns the partition keys to which a statement confines an action on the table.
fn leading_keys(statement: &Value) -> impl Iterator<Item = &str> {
    let keys = &statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
    items(keys).map(|key| key["Fn::Sub"].as_str().or(key.as_str()).unwrap())
}

/// Returns the statements of a function's role, and those of keys' policies that are about this role.
fn statements_of<'a>(template: &'a Value, function: &str) -> Vec<&'a Value> {
    let role = json!({ "Fn::GetAtt": format!("{function}Role.Arn") });
    let own = statements(template, &template["Resources"][function]["Properties"]);
    let of_keys = resources(template, "AWS::KMS::Key")
        .flat_map(|(_, key)| items(&key["KeyPolicy"]["Statement"]))
        .filter(|statement| statement["Principal"]["AWS"] == role);
    own.into_iter().chain(of_keys).collect()
}

#[test]
fn no_function_may_do_what_no_code_does() {
    for (verb, template) in functions() {
        let name = capitalised(&verb) + "Function";
        let tree = DependencyTree::of(&verb);
        // A function is built of its own code, and of the project's libraries on which it depends.
        let all = code_of(tree.features.keys().filter_map(|dependency| {
            let path = dependency.split_once('(')?.1.trim_end_matches(')');
            path.contains("/lambdas/").then(|| Path::new(path).join("src"))
        }));
        let own = code_of([root().join(format!("lambdas/{verb}/src"))]);
        for statement in statements_of(&template, &name) {
            for action in texts(&statement["Action"]) {
                // Neither a task's token nor the status of a detection is a resource, and a key's policy is about the
                // key.
                let of_no_resource = action.starts_with("states:SendTask")
                    || action.starts_with("kms:")
                    || action == "cloudformation:DescribeStackDriftDetectionStatus";
                let anything = items(&statement["Resource"]).any(|resource| resource == "*");
                assert_eq!(anything, of_no_resource, "{name}: {action}");
                // Lambda sends the result of a function to the bus.
                let invoked = &template["Resources"][&name]["Properties"]["EventInvokeConfig"];
                if action == "events:PutEvents" {
                    let bus = &invoked["DestinationConfig"]["OnSuccess"]["Destination"];
                    assert_eq!(statement["Resource"], *bus, "{name}");
                    continue;
                }
                let service = match action.split_once(':').unwrap().0 {
                    "states" => "sfn",
                    // CloudFormation is given the role.
                    "iam" => "cloudformation",
                    service => service,
                };
                let sdk = format!("aws-sdk-{service} ");
                let is_linked = tree
                    .features
                    .keys()
                    .any(|dependency| dependency.starts_with(&sdk));
                let calls = calls(action);
                let is_called = calls.is_empty() || calls.iter().any(|call| all.contains(call));
                assert!(is_linked && is_called, "{name} is allowed {action}");
                for scope in scopes(statement, action) {
                    let calls = own_calls(action, scope);
                    assert!(
                        !calls.is_empty(),
                        "{name} is allowed {action} {scope}: say here what calls it"
                    );
                    assert!(
                        calls.iter().any(|call| own.contains(call)),
                        "{name} is allowed {action} {scope}"
                    );
                }
            }
        }
    }
}

/// Without the right to list a bucket, S3 answers a request for an object that is missing as one that is not allowed.
#[test]
fn whoever_reads_objects_learns_that_one_is_missing() {
    let mut lacking = BTreeSet::new();
    for (verb, template) in functions() {
        let statements = statements_of(&template, &(capitalised(&verb) + "Function"));
        let buckets = |action: &str| -> BTreeSet<String> {
            let allowing = statements
                .iter()
                .filter(|statement| texts(&statement["Action"]).contains(&action));
            allowing
                .flat_map(|statement| scopes(statement, action))
                .map(|bucket| format!("{verb} {bucket}"))
                .collect()
        };
        lacking.extend(&buckets("s3:GetObject") - &buckets("s3:ListBucket"));
    }
    // What was built from is there, or there would be no build.
    assert_eq!(lacking, BTreeSet::from(["compile SourceBucket".to_owned()]));
}

/// No function reaches the events of the other machine. An operation stands with
/// the partition keys that it may have, as `Query PUSH#*`.
#[test]
fn a_function_reaches_only_its_own_items_of_the_trail() {
    let of_environment = "#${Environment}#${ApplicationName}";
    let artifacts = "ARTIFACT#${ApplicationName}#*";
    for (verb, template) in functions() {
        let name = capitalised(&verb) + "Function";
        let statements = statements_of(&template, &name);
        let (events, more): (&str, &[(&[&str], &str)]) = match verb.as_str() {
            "accept" | "authorize" => ("", &[]),
            "package" | "report" => ("PUSH#*", &[]),
            "record" => ("PUSH#*", &[(&["PutItem"], "DELIVERED#*")]),
            "validate" => (
                "PUSH#*",
                &[(&["GetItem", "PutItem"], "REF#*"), (&["PutItem"], "SOURCE#*")],
            ),
            "fetch" => (
                "PUSH#*",
                &[
                    (&["GetItem", "PutItem"], "REF#*"),
                    (&["PutItem"], "SOURCE#*"),
                    (&["GetItem"], "DESTINATION#*"),
                    (&["Query"], "REPOSITORY#*"),
                ],
            ),
            "checkpoint" => (
                "",
                &[
                    (&["Query"], "PUSH#*"),
                    (&["PutItem", "Query"], "CHECKPOINT"),
                    (&["Query"], "STATUS#*"),
                ],
            ),
            "sweep" => (
                "PUSH#*",
                &[
                    (&["Query"], "STATUS#Open#*"),
                    (&["GetItem", "PutItem", "Query"], "SOURCE#*"),
                    (&["GetItem"], "REF#*"),
                    (&["GetItem"], "DESTINATION#*"),
                ],
            ),
            "upload" => (
                "PUSH#*",
                &[
                    (&["GetItem", "PutItem"], "DESTINATION#*"),
                    (&["GetItem"], "REF#*"),
                ],
            ),
            "admit" => (
                "DEPLOYMENT#*",
                &[
                    (&["GetItem", "PutItem"], &*format!("SLOT{of_environment}")),
                    (&["Query"], &format!("ENVIRONMENT{of_environment}")),
                    (&["GetItem"], "DELIVERED#*"),
                ],
            ),
            "acquire" | "compile" => ("DEPLOYMENT#*", &[(&["GetItem", "PutItem"], artifacts)]),
            "plan" => (
                "DEPLOYMENT#*",
                &[(&["Query"], &format!("ENVIRONMENT{of_environment}"))],
            ),
            "apply" => ("DEPLOYMENT#*", &[]),
            "track" => (
                "DEPLOYMENT#*",
                &[
                    (&["PutItem"], &format!("ENVIRONMENT{of_environment}")),
                    (&["PutItem"], "APPROVAL#*"),
                ],
            ),
            other => unreachable!("say here which items {other} needs"),
        };
        let mut expected = BTreeSet::new();
        if !events.is_empty() {
            expected.extend(["PutItem", "Query"].map(|operation| format!("{operation} {events}")));
        }
        for (operations, keys) in more {
            expected.extend(operations.iter().map(|operation| format!("{operation} {keys}")));
        }
        assert_eq!(items_reached(&statements), expected, "{name}");
    }
    let template = parse("delivery.yaml");
    let evidence = items_reached(&role_statements(&template, "EvidenceRole"));
    assert_eq!(evidence, BTreeSet::from([format!("GetItem {artifacts}")]));
}

/// Returns the operations on a table, each with the partition keys to which its condition confines it.
fn items_reached(statements: &[&Value]) -> BTreeSet<String> {
    let table = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${AuditTableName}";
    let tables = [
        json!({ "Fn::Sub": table }),
        json!({ "Fn::GetAtt": "AuditTable.Arn" }),
    ];
    // An index is a resource of its own, whose keys begin otherwise.
    let indexes = [
        ("STATUS#", "PushesByStatus"),
        ("REPOSITORY#", "PushesByRepository"),
    ];
    let mut reached = BTreeSet::new();
    for statement in statements {
        for action in texts(&statement["Action"]) {
            let Some(operation) = action.strip_prefix("dynamodb:") else {
                continue;
            };
            let keys: Vec<_> = leading_keys(statement).collect();
            let index_of = |start: &str| keys.iter().any(|key| key.starts_with(start));
            let resource = &statement["Resource"];
            match indexes.into_iter().find(|(start, _)| index_of(start)) {
                Some((_, index)) => {
                    let index = format!("${{AuditTable.Arn}}/index/{index}");
                    assert_eq!(*resource, json!({ "Fn::Sub": index }), "{action}");
                }
                None => assert!(tables.contains(resource), "{action}"),
            }
            reached.extend(keys.iter().map(|key| format!("{operation} {key}")));
            assert!(!keys.is_empty(), "{action} reaches every item");
        }
    }
    reached
}

#[test]
fn a_function_may_use_a_resource_whose_name_it_gets() {
    for (verb, template) in functions() {
        let name = capitalised(&verb) + "Function";
        let function = &template["Resources"][&name]["Properties"];
        let told: BTreeSet<_> = entries(&function["Environment"]["Variables"])
            .flat_map(|(variable, _)| match variable {
                "TABLE_NAME" => vec!["dynamodb"],
                "STAGING_BUCKET" | "ARTIFACT_BUCKET" => vec!["s3"],
                "SECRET_PREFIX" => vec!["secretsmanager"],
                // The settings of the sources name the buckets.
                "SOURCES_PATH" => vec!["ssm", "s3"],
                "STATE_MACHINE_ARN" => vec!["states"],
                "BUILD_PROJECT" => vec!["codebuild"],
                "EVIDENCE_ROLE_ARN" => vec!["sts"],
                "EXECUTION_ROLE_ARN" => vec!["iam"],
                "SIGNING_KEY_ARN" | "CHECKPOINT_KEY_ARN" => vec!["kms"],
                // They belong to one of the others.
                "APPLICATION"
                | "ENVIRONMENT"
                | "ALARM_ROLLBACK_MINUTES"
                | "AUDIT_RETENTION_DAYS"
                | "BASE_DAYS"
                | "CODEBUILD_ENDPOINT_URL"
                | "EVIDENCE_BUCKET"
                | "EVIDENCE_EXTERNAL_ID"
                | "EVIDENCE_TABLE_NAME"
                | "EXECUTIONS_URL"
                | "PERMISSIONS_BOUNDARY_ARN" => vec![],
                other => unreachable!("{name} has {other}: say here what it is for"),
            })
            .collect();
        let mut used: BTreeSet<_> = statements_of(&template, &name)
            .iter()
            .flat_map(|statement| texts(&statement["Action"]))
            .map(|action| action.split_once(':').unwrap().0)
            .collect();
        if !told.contains("states") {
            // A task's token is part of the event.
            used.remove("states");
        }
        // Lambda sends the result of a function to the bus.
        if !function["EventInvokeConfig"].is_null() {
            used.remove("events");
        }
        // The application's names are part of the event.
        used.retain(|service| !["cloudformation", "lambda"].contains(service));
        assert_eq!(used, told, "{name}");
    }
}

/// A policy of IAM can give nobody what the key's own policy does not give to the account.
#[test]
fn nobody_may_sign_but_the_function_that_delivers() {
    let template = template();
    let key = &template["Resources"]["ProvenanceKey"]["Properties"];
    let mut signers = vec![];
    for statement in items(&key["KeyPolicy"]["Statement"]) {
        for action in texts(&statement["Action"]) {
            let pattern = action.trim_end_matches('*');
            let gives =
                |right: &str| right == action || (action.ends_with('*') && right.starts_with(pattern));
            assert!(!gives("kms:CreateGrant") && !gives("kms:ReEncryptTo"), "{action}");
            if gives("kms:Sign") {
                assert_eq!(action, "kms:Sign");
                signers.push(&statement["Principal"]);
            }
        }
    }
    assert_eq!(
        signers,
        [&json!({ "AWS": { "Fn::GetAtt": "UploadFunctionRole.Arn" } })]
    );
    assert_eq!(
        (&key["KeySpec"], &key["KeyUsage"]),
        (&json!("ECC_NIST_P256"), &json!("SIGN_VERIFY"))
    );
}

#[test]
fn the_destination_bucket_is_of_the_account_that_was_named() {
    let template = template();
    let statements = ["UploadFunction", "SweepFunction"].map(|function| {
        let mut statements = statements(&template, &template["Resources"][function]["Properties"]);
        statements.retain(|statement| {
            let resources = serde_json::to_string(&statement["Resource"]).unwrap();
            resources.contains("DestinationBucket")
        });
        assert_eq!(
            statements.len(),
            4,
            "of objects and of the list, each for the bucket and the further ones"
        );
        statements
    });
    for statement in statements.concat() {
        let account = &statement["Condition"]["StringEqualsIfExists"]["aws:ResourceAccount"];
        let expected = json!({
            "Fn::If": ["InOwnAccount", { "Ref": "AWS::AccountId" }, { "Ref": "DestinationAccount" }]
        });
        assert_eq!(*account, expected);
    }
}
