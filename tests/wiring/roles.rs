//! The roles that belong to no function: of a build, of CloudFormation, and of another account that reads evidence.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::project::{items, parse, resources, role_statements, templates, texts};

/// Returns what a role may do, as `s3:PutObject` with where.
fn allowed(template: &Value, role: &str) -> BTreeSet<(String, String)> {
    role_statements(template, role)
        .into_iter()
        .flat_map(|statement| {
            assert_eq!(statement["Effect"], "Allow");
            texts(&statement["Action"]).into_iter().flat_map(|action| {
                items(&statement["Resource"]).map(|resource| {
                    let resource = resource["Fn::Sub"].as_str().or(resource["Fn::GetAtt"].as_str());
                    (action.to_owned(), resource.unwrap_or("*").to_owned())
                })
            })
        })
        .collect()
}

/// Returns the statement by which others may assume a role.
fn trust<'a>(template: &'a Value, role: &str) -> &'a Value {
    let document = &template["Resources"][role]["Properties"]["AssumeRolePolicyDocument"];
    let mut statements = items(&document["Statement"]);
    let statement = statements.next().unwrap();
    assert_eq!(statements.next(), None, "{role} is assumed by others too");
    assert_eq!(statement["Action"], "sts:AssumeRole");
    statement
}

/// It runs the repository's code: what it may do, whoever may push may do.
#[test]
fn a_build_reads_zips_and_writes_its_output_and_its_log() {
    let template = parse("delivery.yaml");
    let zips = "arn:${AWS::Partition}:s3:::${SourceBucketName}/*";
    let expected = [
        ("s3:GetObject", zips),
        ("s3:GetObjectVersion", zips),
        ("s3:PutObject", "${ArtifactBucket.Arn}/builds/*"),
        ("logs:CreateLogStream", "BuildProjectLogGroup.Arn"),
        ("logs:PutLogEvents", "BuildProjectLogGroup.Arn"),
    ];
    let expected = expected.map(|(action, resource)| (action.to_owned(), resource.to_owned()));
    assert_eq!(allowed(&template, "BuildRole"), BTreeSet::from(expected));
}

#[test]
fn another_account_reads_evidence_with_its_role_and_the_external_id() {
    let template = parse("delivery.yaml");
    let table = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${AuditTableName}";
    let expected = [
        ("dynamodb:GetItem", table),
        ("s3:GetObject", "${ArtifactBucket.Arn}/sha256/*"),
    ];
    let expected = expected.map(|(action, resource)| (action.to_owned(), resource.to_owned()));
    assert_eq!(allowed(&template, "EvidenceRole"), BTreeSet::from(expected));
    let trust = trust(&template, "EvidenceRole");
    assert_eq!(
        trust["Principal"],
        json!({ "AWS": { "Ref": "EvidenceReaderArn" } })
    );
    let external_id = json!({ "StringEquals": { "sts:ExternalId": { "Ref": "EvidenceExternalId" } } });
    assert_eq!(trust["Condition"], external_id);
}

#[test]
fn a_service_assumes_a_role_for_this_account_only() {
    let template = parse("delivery.yaml");
    for (role, service) in [
        ("BuildRole", "codebuild.amazonaws.com"),
        ("DeliveredRole", "events.amazonaws.com"),
        ("ExecutionRole", "cloudformation.amazonaws.com"),
    ] {
        let trust = trust(&template, role);
        assert_eq!(trust["Principal"], json!({ "Service": service }), "{role}");
        let here = json!({ "StringEquals": { "aws:SourceAccount": { "Ref": "AWS::AccountId" } } });
        assert_eq!(trust["Condition"], here, "{role}");
    }
}

/// An organisation may refuse a stack that has a role without its boundary.
#[test]
fn every_role_has_the_path_and_the_boundary_of_the_parameters() {
    let path = json!({ "Ref": "RolePath" });
    let boundary = json!({
        "Fn::If": ["HasBoundary", { "Ref": "PermissionsBoundaryArn" }, { "Ref": "AWS::NoValue" }]
    });
    for (file, template) in templates() {
        let functions = &template["Globals"]["Function"];
        let mut roles = vec![("Globals", functions, &functions["RolePath"])];
        let of_roles = resources(&template, "AWS::IAM::Role");
        roles.extend(of_roles.map(|(name, properties)| (name, properties, &properties["Path"])));
        let of_machines = resources(&template, "AWS::Serverless::StateMachine");
        roles.extend(of_machines.map(|(name, properties)| (name, properties, &properties["RolePath"])));
        assert!(roles.len() > 5, "{file}: {roles:?}");
        for (name, properties, found) in roles {
            assert_eq!(*found, path, "{file}: {name}");
            assert_eq!(properties["PermissionsBoundary"], boundary, "{file}: {name}");
        }
    }
}

/// An application's template is the repository's too. What it makes has the names of its stack, and no role that it
/// makes can do more than the boundary.
#[test]
fn an_application_makes_only_what_has_its_stacks_name_and_roles_within_the_boundary() {
    let template = parse("delivery.yaml");
    let mut makes_roles = false;
    for statement in role_statements(&template, "ExecutionRole") {
        let actions = texts(&statement["Action"]);
        for action in &actions {
            assert!(!action.contains('*'), "{action}");
            let service = action.split_once(':').unwrap().0;
            for resource in items(&statement["Resource"]) {
                let confined = match service {
                    // AWS chooses the ids of APIs, and the delivery of logs has no narrower resource.
                    "apigateway" => {
                        resource["Fn::Sub"].as_str().unwrap().contains("::/apis")
                            || resource["Fn::Sub"].as_str().unwrap().contains("::/tags/")
                    }
                    "logs" if resource == "*" => {
                        action.contains("Describe")
                            || action.contains("LogDeliver")
                            || action.ends_with("ResourcePolicy")
                    }
                    "s3" => *resource == json!({ "Fn::Sub": "${ArtifactBucket.Arn}/sha256/*" }),
                    "cloudformation" => resource["Fn::Sub"]
                        .as_str()
                        .unwrap()
                        .ends_with(":transform/Serverless-2016-10-31"),
                    _ => resource["Fn::Sub"]
                        .as_str()
                        .unwrap()
                        .contains("${ApplicationStackName}"),
                };
                assert!(confined, "{action} on {resource}");
            }
            // These give a role rights, or take away its boundary.
            let widens = [
                "CreateRole",
                "PutRolePermissionsBoundary",
                "AttachRolePolicy",
                "PutRolePolicy",
            ];
            if widens.iter().any(|name| *action == format!("iam:{name}")) {
                let boundary = json!({ "StringEquals": { "iam:PermissionsBoundary": { "Ref": "PermissionsBoundary" } } });
                assert_eq!(statement["Condition"], boundary, "{action}");
                makes_roles = true;
            }
            assert_ne!(*action, "iam:DeleteRolePermissionsBoundary");
        }
        if actions.contains("iam:PassRole") {
            let passed = &statement["Condition"]["StringEquals"]["iam:PassedToService"];
            assert!(!texts(passed).contains("cloudformation.amazonaws.com"));
        }
    }
    assert!(makes_roles);
}

#[test]
fn no_role_of_an_application_reaches_what_decides_about_it() {
    let template = parse("delivery.yaml");
    let boundary = &template["Resources"]["PermissionsBoundary"]["Properties"]["PolicyDocument"]["Statement"];
    let mut refused = BTreeSet::new();
    for statement in items(boundary) {
        if statement["Effect"] == "Allow" {
            let left_out = texts(&statement["NotAction"]);
            for service in ["cloudformation", "codebuild", "iam", "organizations", "sts"] {
                assert!(left_out.contains(&*format!("{service}:*")), "{service}");
            }
            continue;
        }
        assert_eq!(statement["Effect"], "Deny");
        for action in texts(&statement["Action"]) {
            refused.extend(items(&statement["Resource"]).map(|resource| {
                let resource = resource["Fn::Sub"].as_str().or(resource["Fn::GetAtt"].as_str());
                (
                    action,
                    resource.map_or("*", |arn| arn.rsplit("}:").next().unwrap()),
                )
            }));
        }
    }
    let of_settings = "parameter/${AWS::StackName}/application";
    for expected in [
        ("dynamodb:*", "table/${AuditTableName}"),
        ("dynamodb:*", "table/${AuditTableName}/*"),
        ("s3:*", "ArtifactBucket.Arn"),
        ("s3:*", "${ArtifactBucket.Arn}/*"),
        ("s3:*", "s3:::${SourceBucketName}"),
        ("s3:*", "s3:::${SourceBucketName}/*"),
        ("lambda:Update*", "*"),
        ("lambda:Publish*", "*"),
        ("ssm:*", of_settings),
        ("states:*", "stateMachine:${AWS::StackName}-deploy"),
        ("states:*", "execution:${AWS::StackName}-deploy:*"),
        ("secretsmanager:*", "secret:*/sources/*"),
    ] {
        assert!(
            refused.contains(&expected),
            "{expected:?} is not refused: {refused:#?}"
        );
    }
    // They are so called.
    assert_eq!(
        template["Resources"]["Settings"]["Properties"]["Name"]["Fn::Sub"],
        format!("/{}", of_settings.strip_prefix("parameter/").unwrap())
    );
    let machine = &template["Resources"]["DeployStateMachine"]["Properties"]["Name"];
    assert_eq!(machine["Fn::Sub"], "${AWS::StackName}-deploy");
    let of_pushes = parse("template.yaml");
    let secrets =
        &of_pushes["Resources"]["FetchFunction"]["Properties"]["Environment"]["Variables"]["SECRET_PREFIX"];
    assert_eq!(secrets["Fn::Sub"], "${AWS::StackName}/sources/");
}
