//! The policies for whoever deploys the stack (docs/install): CloudFormation makes each resource with the caller's
//! rights. Only AWS checks these calls. The calls of SAM CLI itself are checked by the end-to-end tests too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::handlers::{actions, is_of_no_resource, of_bucket};
use crate::iam::{Context, Policy};
use crate::project::{entries, items, read, texts};
use crate::transform::transformed;

/// The policy of who calls SAM CLI.
const CALLER: &str = "docs/install/deployer-policy.json";

/// The policy by which CloudFormation makes what the stack is of, for the caller too, or for a role of its own.
const RESOURCES: &str = "docs/install/deployer-resources-policy.json";

/// The stack that SAM CLI deploys for its bucket.
const OF_SAM: &str = "aws-sam-cli-managed-default";

/// What AWS adds to the name of what CloudFormation makes.
const SUFFIX: &str = "1A2B3C4D5E6F";

/// The context of a call that CloudFormation makes for somebody.
const BY_CLOUDFORMATION: &Context<'static> = &[
    ("aws:CalledViaFirst", "cloudformation.amazonaws.com"),
    ("aws:ViaAWSService", "true"),
];

fn document(file: &str) -> Value {
    serde_json::from_str(&read(file)).unwrap()
}

fn policy(files: &[&str]) -> Policy {
    let documents: Vec<_> = files.iter().map(|file| document(file)).collect();
    Policy::of(&documents)
}

/// A stack whose template has no transform any more.
#[derive(Debug, Clone, Copy)]
struct Stack<'a> {
    template: &'a Value,
    name: &'a str,
}

impl<'a> Stack<'a> {
    fn resources(self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        entries(&self.template["Resources"])
    }

    /// Returns the name that CloudFormation gives a resource. In that of a state machine there is none of the stack
    /// (<https://github.com/aws/aws-sam-cli/issues/2022>).
    fn generated(self, logical_id: &str, of_type: &str) -> String {
        match of_type {
            "AWS::StepFunctions::StateMachine" => format!("{logical_id}-{SUFFIX}"),
            "AWS::S3::Bucket" => format!("{}-{logical_id}-{SUFFIX}", self.name).to_lowercase(),
            _ => format!("{}-{logical_id}-{SUFFIX}", self.name),
        }
    }

    /// Returns the name of a resource, which is the template's or one that CloudFormation gives it.
    fn name_of(self, logical_id: &str) -> String {
        let resource = &self.template["Resources"][logical_id];
        let of_type = resource["Type"].as_str().unwrap();
        let names = [
            "ArchiveName",
            "DashboardName",
            "LogGroupName",
            "Name",
            "RegistryName",
        ];
        let name = names.iter().find_map(|name| resource["Properties"].get(name));
        match name {
            Some(name) => self.text(name),
            None => self.generated(logical_id, of_type),
        }
    }

    /// Returns a property's text.
    fn text(self, value: &Value) -> String {
        if let Some(logical_id) = value["Ref"].as_str() {
            return self.name_of(logical_id);
        }
        let text = match value["Fn::GetAtt"][0].as_str() {
            Some(logical_id) => return self.name_of(logical_id),
            None => value["Fn::Sub"].as_str().or(value.as_str()),
        };
        let text = text.unwrap_or_else(|| unreachable!("say here what {value} is"));
        [
            ("${AWS::StackName}", self.name),
            ("${AWS::Region}", "us-east-1"),
            ("${AWS::Partition}", "aws"),
            ("${AWS::AccountId}", "123456789012"),
            ("${SourceName}", "gitlab"),
            ("${EventBusName}", "default"),
        ]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// Returns the resources, as IAM names them, that the calls for a resource of the template are about.
    fn arns(self, logical_id: &str, resource: &Value) -> Vec<String> {
        let of_type = resource["Type"].as_str().unwrap();
        let properties = &resource["Properties"];
        let name = || self.name_of(logical_id);
        let arn = |service: &str, rest: String| format!("arn:aws:{service}:us-east-1:123456789012:{rest}");
        let of_apis = |paths: &[&str]| {
            let paths = paths.iter();
            paths
                .map(|path| format!("arn:aws:apigateway:us-east-1::/{path}"))
                .collect()
        };
        let role = |name: String| format!("arn:aws:iam::123456789012:role/{name}");
        let function = |name: String| vec![arn("lambda", format!("function:{name}"))];
        match of_type {
            "AWS::ApiGatewayV2::Api" => of_apis(&["apis", "apis/a1b2c3", "tags/arn%3Aaws%3Aapigateway"]),
            "AWS::ApiGatewayV2::Authorizer" => {
                of_apis(&["apis/a1b2c3/authorizers", "apis/a1b2c3/authorizers/d4"])
            }
            "AWS::ApiGatewayV2::Integration" => {
                of_apis(&["apis/a1b2c3/integrations", "apis/a1b2c3/integrations/d4"])
            }
            "AWS::ApiGatewayV2::Route" => of_apis(&["apis/a1b2c3/routes", "apis/a1b2c3/routes/d4"]),
            "AWS::ApiGatewayV2::Stage" => of_apis(&["apis/a1b2c3/stages", "apis/a1b2c3/stages/$default"]),
            "AWS::CloudWatch::Alarm" => vec![arn("cloudwatch", format!("alarm:{}", name()))],
            "AWS::CloudWatch::Dashboard" => {
                vec![format!("arn:aws:cloudwatch::123456789012:dashboard/{}", name())]
            }
            "AWS::DynamoDB::Table" => vec![arn("dynamodb", format!("table/{}", name()))],
            "AWS::Events::Archive" => vec![arn("events", format!("archive/{}", name()))],
            "AWS::Events::Rule" => vec![arn("events", format!("rule/{}", name()))],
            "AWS::EventSchemas::Registry" => vec![arn("schemas", format!("registry/{}", name()))],
            "AWS::EventSchemas::Schema" => {
                let registry = self.text(&properties["RegistryName"]);
                let schema = self.text(&properties["SchemaName"]);
                vec![arn("schemas", format!("schema/{registry}/{schema}"))]
            }
            "AWS::IAM::Policy" => items(&properties["Roles"])
                .map(|name| role(self.text(name)))
                .collect(),
            "AWS::IAM::Role" => vec![role(name())],
            "AWS::KMS::Key" => vec![arn("kms", "key/6ea1ea9e-5a1d-4a2e-9e9b-000000000000".to_owned())],
            "AWS::Lambda::EventInvokeConfig" | "AWS::Lambda::Permission" => {
                function(self.text(&properties["FunctionName"]))
            }
            "AWS::Lambda::Function" => function(name()),
            "AWS::Logs::LogGroup" => vec![arn("logs", format!("log-group:{}", name()))],
            "AWS::Logs::MetricFilter" => {
                vec![arn(
                    "logs",
                    format!("log-group:{}", self.text(&properties["LogGroupName"])),
                )]
            }
            "AWS::S3::Bucket" => vec![format!("arn:aws:s3:::{}", name())],
            "AWS::S3::BucketPolicy" => vec![format!("arn:aws:s3:::{}", self.text(&properties["Bucket"]))],
            "AWS::Scheduler::Schedule" => vec![arn("scheduler", format!("schedule/default/{}", name()))],
            "AWS::SecretsManager::Secret" => vec![arn("secretsmanager", format!("secret:{}-AbCdEf", name()))],
            "AWS::SNS::Subscription" => vec![arn("sns", self.text(&properties["TopicArn"]))],
            "AWS::SNS::Topic" => vec![arn("sns", name())],
            "AWS::SSM::Parameter" => vec![arn("ssm", format!("parameter{}", name()))],
            "AWS::StepFunctions::StateMachine" => vec![arn("states", format!("stateMachine:{}", name()))],
            other => unreachable!("say here how IAM names {other}"),
        }
    }

    /// Returns each call that is made for a resource of the template, with what it is about.
    fn calls(self, logical_id: &str, resource: &Value) -> Vec<(String, String)> {
        let of_type = resource["Type"].as_str().unwrap();
        let mut actions = actions(of_type);
        if of_type == "AWS::S3::Bucket" {
            let properties = entries(&resource["Properties"]);
            actions.extend(properties.map(|(property, _)| of_bucket(property).to_owned()));
        }
        let mut calls = vec![];
        for action in actions {
            let mut arns = self.arns(logical_id, resource);
            if is_of_no_resource(&action) {
                arns = vec!["*".to_owned()];
            } else if action == "events:CreateArchive" {
                arns.push(self.text(&resource["Properties"]["SourceArn"]));
            }
            calls.extend(arns.into_iter().map(|arn| (action.clone(), arn)));
        }
        calls
    }

    /// Returns the roles that the stack passes to services, as IAM names them.
    fn passed_roles(self) -> BTreeMap<(String, &'static str), &'a str> {
        let of_resources = self.resources().flat_map(|(logical_id, resource)| {
            let mut roles = vec![];
            find_roles(&resource["Properties"], &mut roles);
            let service = match resource["Type"].as_str().unwrap() {
                "AWS::Lambda::Function" => "lambda.amazonaws.com",
                "AWS::Scheduler::Schedule" => "scheduler.amazonaws.com",
                "AWS::StepFunctions::StateMachine" => "states.amazonaws.com",
                other => {
                    assert!(
                        roles.is_empty(),
                        "say here which service {other} passes a role to"
                    );
                    ""
                }
            };
            roles.into_iter().map(move |role| {
                (
                    (
                        format!("arn:aws:iam::123456789012:role/{}", self.text(role)),
                        service,
                    ),
                    logical_id,
                )
            })
        });
        of_resources.collect()
    }
}

/// Finds the properties that name a role which a service is to assume.
fn find_roles<'a>(properties: &'a Value, found: &mut Vec<&'a Value>) {
    for (name, value) in entries(properties) {
        if ["Role", "RoleArn"].contains(&name) {
            found.push(value);
        }
        find_roles(value, found);
    }
    for value in properties.as_array().into_iter().flatten() {
        find_roles(value, found);
    }
}

/// Returns what IAM knows of a call that CloudFormation makes for a resource.
fn context(resource: &Value) -> Vec<(&str, &str)> {
    let properties = &resource["Properties"];
    let key = ["KeySpec", "KeyUsage"].map(|name| properties[name].as_str());
    let mut context = BY_CLOUDFORMATION.to_vec();
    if let [Some(spec), Some(usage)] = key {
        context.extend([("kms:KeySpec", spec), ("kms:KeyUsage", usage)]);
    }
    context
}

/// Returns the ARNs of the managed policies of the stack's roles, also of those that depend on a parameter.
fn managed_policies(template: &Value) -> BTreeSet<String> {
    let roles = entries(&template["Resources"]).filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role");
    let policies = roles.flat_map(|(_, role)| items(&role["Properties"]["ManagedPolicyArns"]));
    let policies = policies.map(|policy| policy["Fn::If"].get(1).unwrap_or(policy));
    policies
        .map(|policy| {
            let arn = policy["Fn::Sub"].as_str().or(policy.as_str()).unwrap();
            arn.replace("${AWS::Partition}", "aws")
        })
        .collect()
}

fn push_code(template: &Value) -> Stack<'_> {
    Stack {
        template,
        name: "push-code",
    }
}

#[tokio::test]
async fn cloudformation_may_make_each_resource_of_the_stack() {
    let stack = push_code(&transformed().await.template);
    let policy = policy(&[RESOURCES]);
    for (logical_id, resource) in stack.resources() {
        for (action, arn) in stack.calls(logical_id, resource) {
            assert!(
                policy.allows(&action, &arn, &context(resource)),
                "{RESOURCES} does not allow {action} on {arn}, for {logical_id}"
            );
        }
    }
    // The code of the functions, and the definitions of the state machines, which services read in the deployer's name.
    let object = "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1a2b/push-code/0a1b";
    assert!(policy.allows("s3:GetObject", object, &[]));
}

#[tokio::test]
async fn cloudformation_may_make_each_resource_of_the_stack_of_sam() {
    let stack = Stack {
        template: &transformed().await.of_sam,
        name: OF_SAM,
    };
    let policy = policy(&[CALLER]);
    for (logical_id, resource) in stack.resources() {
        for (action, arn) in stack.calls(logical_id, resource) {
            let allowed = policy.allows(&action, &arn, &context(resource));
            assert!(allowed, "{CALLER} does not allow {action} on {arn}");
        }
    }
}

#[tokio::test]
async fn a_role_has_the_stacks_managed_policies_and_no_other_one() {
    let policy = policy(&[RESOURCES]);
    let role = format!("arn:aws:iam::123456789012:role/push-code-FetchRole-{SUFFIX}");
    let attach = |managed: &str| {
        let context = [BY_CLOUDFORMATION, &[("iam:PolicyARN", managed)]].concat();
        policy.allows("iam:AttachRolePolicy", &role, &context)
    };
    let managed = managed_policies(&transformed().await.template);
    assert!(managed.len() > 2, "{managed:?}");
    for managed in managed {
        assert!(attach(&managed), "{managed}");
    }
    assert!(!attach("arn:aws:iam::aws:policy/AdministratorAccess"));
}

#[tokio::test]
async fn a_role_of_the_stack_is_passed_to_the_services_that_take_it_and_to_no_other_one() {
    let stack = push_code(&transformed().await.template);
    let policy = policy(&[RESOURCES]);
    let pass = |role: &str, service| policy.allows("iam:PassRole", role, &[("iam:PassedToService", service)]);
    let passed = stack.passed_roles();
    for ((role, service), logical_id) in &passed {
        assert!(pass(role, service), "{logical_id}: {role} to {service}");
    }
    let services: BTreeSet<_> = passed.keys().map(|(_, service)| *service).collect();
    let document = document(RESOURCES);
    let statement = items(&document["Statement"]).find(|statement| statement["Action"] == "iam:PassRole");
    let allowed = &statement.unwrap()["Condition"]["StringEquals"]["iam:PassedToService"];
    assert_eq!(texts(allowed), services);
    assert!(!pass(
        "arn:aws:iam::123456789012:role/Administrator",
        "lambda.amazonaws.com"
    ));
}

/// What has no name of the stack is changed by CloudFormation alone, and so only if it is in a stack that the policy
/// names.
#[tokio::test]
async fn nobody_but_cloudformation_may_make_resources() {
    let transformed = transformed().await;
    let policy = policy(&[CALLER, RESOURCES]);
    let of_sam = Stack {
        template: &transformed.of_sam,
        name: OF_SAM,
    };
    for stack in [push_code(&transformed.template), of_sam] {
        for (logical_id, resource) in stack.resources() {
            let context: Vec<_> = context(resource)
                .into_iter()
                .filter(|(key, _)| key.starts_with("kms:"))
                .collect();
            for (action, arn) in stack.calls(logical_id, resource) {
                assert!(!policy.allows(&action, &arn, &context), "{action} on {arn}");
            }
        }
    }
}

#[tokio::test]
async fn a_deployer_reaches_nothing_of_another_stack() {
    let policy = policy(&[CALLER, RESOURCES]);
    let another = Stack {
        template: &transformed().await.template,
        name: "another",
    };
    let mut named = BTreeSet::new();
    for (logical_id, resource) in another.resources() {
        for (action, arn) in another.calls(logical_id, resource) {
            if arn.contains("another") {
                let allowed = policy.allows(&action, &arn, &context(resource));
                assert!(!allowed, "{action} on {arn}");
                named.insert(resource["Type"].as_str().unwrap());
            }
        }
    }
    let types = another
        .resources()
        .map(|(_, resource)| resource["Type"].as_str().unwrap());
    let unnamed: BTreeSet<_> = types.filter(|of_type| !named.contains(of_type)).collect();
    // These have no name that says whose they are.
    let expected = BTreeSet::from([
        "AWS::ApiGatewayV2::Api",
        "AWS::ApiGatewayV2::Authorizer",
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Route",
        "AWS::ApiGatewayV2::Stage",
        "AWS::KMS::Key",
        "AWS::StepFunctions::StateMachine",
    ]);
    assert_eq!(unnamed, expected);
}

#[test]
fn a_deployer_reaches_nothing_that_a_stack_is_not_made_of() {
    let policy = policy(&[CALLER, RESOURCES]);
    let of_key = |spec, usage| [("kms:KeySpec", spec), ("kms:KeyUsage", usage)];
    let of_stack = of_key("ECC_NIST_P256", "SIGN_VERIFY");
    for (action, arn, context) in [
        (
            "cloudformation:DeleteStack",
            "cloudformation:us-east-1:123456789012:stack/another/1",
            of_stack,
        ),
        ("iam:CreateRole", "iam::123456789012:role/Administrator", of_stack),
        ("iam:CreateUser", "iam::123456789012:user/push-code-1", of_stack),
        ("kms:Sign", "kms:us-east-1:123456789012:key/1", of_stack),
        (
            "s3:GetObject",
            "s3:::push-code-destinationbucket-1/gitlab/group/project/heads/main.zip",
            of_stack,
        ),
        (
            "states:UpdateStateMachine",
            "states:us-east-1:123456789012:stateMachine:another-1",
            of_stack,
        ),
        // Other keys encrypt the data of others, or sign for them.
        (
            "kms:ScheduleKeyDeletion",
            "kms:us-east-1:123456789012:key/1",
            of_key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
        ),
        (
            "kms:ScheduleKeyDeletion",
            "kms:us-east-1:123456789012:key/1",
            of_key("RSA_2048", "SIGN_VERIFY"),
        ),
        (
            "kms:ScheduleKeyDeletion",
            "kms:us-east-1:123456789012:key/1",
            of_key("ECC_NIST_P256", "KEY_AGREEMENT"),
        ),
    ] {
        let allowed = policy.allows(
            action,
            &format!("arn:aws:{arn}"),
            &[BY_CLOUDFORMATION, &context].concat(),
        );
        assert!(!allowed, "{action} on {arn} with {context:?}");
    }
}

/// The transform is a resource of its own, which the local AWS does not check.
#[test]
fn sam_cli_may_have_its_template_transformed() {
    let transform = "arn:aws:cloudformation:us-east-1:aws:transform/Serverless-2016-10-31";
    assert!(policy(&[CALLER]).allows("cloudformation:CreateChangeSet", transform, &[]));
}

#[test]
fn no_statement_is_about_everything_and_those_of_iam_are_about_the_stacks_roles() {
    let roles = json!("arn:*:iam::*:role/push-code-*");
    for file in [CALLER, RESOURCES] {
        for statement in items(&document(file)["Statement"]) {
            let sid = statement["Sid"].as_str().unwrap();
            assert_eq!(statement["NotAction"], Value::Null, "{sid}");
            assert_eq!(statement["NotResource"], Value::Null, "{sid}");
            for action in texts(&statement["Action"]) {
                let (service, name) = action.split_once(':').unwrap();
                assert!(
                    !service.contains('*') && name.trim_matches('*').len() > 2,
                    "{sid}: {action}"
                );
                if service == "iam" {
                    assert_eq!(statement["Resource"], roles, "{sid}: {action}");
                }
            }
            if texts(&statement["Resource"]).contains("*") {
                let via = ["StringEquals", "Bool"].map(|operator| &statement["Condition"][operator]);
                let by_aws =
                    via[0]["aws:CalledViaFirst"].is_string() || via[1]["aws:ViaAWSService"] == "true";
                assert!(by_aws, "{sid}");
            }
        }
    }
}

/// As the guide says, a deployer may be held to a permissions boundary by a condition in two statements.
#[test]
fn what_gives_a_role_rights_can_be_held_to_a_boundary() {
    let boundary = "arn:aws:iam::123456789012:policy/boundary";
    let mut document = document(RESOURCES);
    let statements = document["Statement"].as_array_mut().unwrap();
    let mut held = 0;
    for statement in statements.iter_mut() {
        if ["RightsOfRoles", "ManagedPoliciesOfRoles"].contains(&statement["Sid"].as_str().unwrap()) {
            statement["Condition"]["StringEquals"]["iam:PermissionsBoundary"] = json!(boundary);
            held += 1;
        }
    }
    assert_eq!(held, 2);
    let policy = Policy::of(&[document]);
    let role = format!("arn:aws:iam::123456789012:role/push-code-FetchRole-{SUFFIX}");
    let managed = (
        "iam:PolicyARN",
        "arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess",
    );
    for action in [
        "AttachRolePolicy",
        "CreateRole",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
    ] {
        let action = format!("iam:{action}");
        let allows = |context: &[(&str, &str)]| {
            policy.allows(&action, &role, &[BY_CLOUDFORMATION, &[managed], context].concat())
        };
        assert!(allows(&[("iam:PermissionsBoundary", boundary)]), "{action}");
        assert!(!allows(&[]), "{action} without a boundary");
        assert!(
            !allows(&[(
                "iam:PermissionsBoundary",
                "arn:aws:iam::aws:policy/AdministratorAccess"
            )]),
            "{action}"
        );
    }
    let context = [BY_CLOUDFORMATION, &[("iam:PermissionsBoundary", boundary)]].concat();
    assert!(!policy.allows("iam:DeleteRolePermissionsBoundary", &role, &context));
}

/// White space does not count.
#[test]
fn each_policy_is_short_enough_for_a_managed_policy() {
    for file in [CALLER, RESOURCES] {
        let length = read(file).chars().filter(|one| !one.is_whitespace()).count();
        assert!(length <= 6_144, "{file} has {length} characters");
    }
}
