//! The policies for whoever deploys the stack (docs/install): with them alone, SAM CLI deploys it as `push-code deploy`
//! does, and not without a statement that is about SAM CLI's own calls. Those of CloudFormation the local AWS does not
//! check. The wiring tests do.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use aws_config::SdkConfig;
use local_aws::application::PUSH_CODE;
use local_aws::architecture::Architecture;
use local_aws::build::{Build, build};
use local_aws::checkout::Checkout;
use local_aws::sam::{self, Target};
use local_aws::tools::Tools;
use reqwest::Method;
use serde_json::{Value, json};
use shell::progress::Progress;
use stacks::Stacks;
use tempfile::TempDir;

use crate::fixtures::aws::Caller;
use crate::fixtures::stack::stack;

/// The access key of an account with nothing in it, which is its number.
const ACCOUNT: &str = "333333333333";

/// The stack that the policies name.
const STACK: &str = "push-code";

/// A role that has the policies and nothing else.
struct Deployer {
    administrator: Caller,
    config: SdkConfig,
    role: Caller,
    checkout: Checkout,
    tools: Tools,
    built: Build,
    folder: TempDir,
}

impl Deployer {
    async fn new() -> Self {
        let stack = stack().await;
        let ministack = &stack.local.record.ministack;
        let administrator = Caller::administrator_of(ministack, ACCOUNT);
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:root") },
        }] });
        let create = [
            ("Action", "CreateRole"),
            ("Version", "2010-05-08"),
            ("RoleName", "deployer"),
            ("AssumeRolePolicyDocument", &trust.to_string()),
        ];
        let answer = administrator.query("iam", &create).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let role = administrator
            .assume(&format!("arn:aws:iam::{ACCOUNT}:role/deployer"))
            .await;
        let checkout = Checkout::find().unwrap();
        // It is built already, for the stack that all tests share.
        let built = build(&checkout, &PUSH_CODE, stack.profile, Progress::Silent).await;
        let (tools, built) = built.unwrap();
        Self {
            config: role.config(&ministack.sdk_config_of(ACCOUNT)),
            administrator,
            role,
            checkout,
            tools,
            built,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Gives the role the policies, without the statement of this name.
    async fn allow_all_but(&self, without: &str) {
        let mut found = without.is_empty();
        for name in ["deployer-policy", "deployer-resources-policy"] {
            let file = self.checkout.root().join(format!("docs/install/{name}.json"));
            let mut policy: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            let statements = policy["Statement"].as_array_mut().unwrap();
            let all = statements.len();
            statements.retain(|statement| statement["Sid"] != without);
            found |= statements.len() < all;
            let put = [
                ("Action", "PutRolePolicy"),
                ("Version", "2010-05-08"),
                ("RoleName", "deployer"),
                ("PolicyName", name),
                ("PolicyDocument", &policy.to_string()),
            ];
            let answer = self.administrator.query("iam", &put).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        assert!(found, "no statement is {without}");
    }

    /// Deploys the stack with the role, as `push-code deploy` does once the functions are built.
    async fn deploy(&self, parameters: &[(&str, &str)]) -> Result<deployed_stack::Stack, String> {
        let architecture = [("Architecture", Architecture::THIS.name())];
        let parameters = parameters.iter().chain(&architecture);
        let parameters: BTreeMap<_, _> = parameters
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let log = self.folder.path().join("sam-deploy.log");
        let deployed = sam::deploy_to(
            &self.config,
            self.tools.sam(),
            Target {
                name: STACK,
                parameters: &parameters,
                tags: &tags(),
            },
            (self.checkout.root(), &self.built.template),
            (&log, Progress::Silent),
        )
        .await;
        deployed.map_err(|error| format!("{error}\n{}", read(&log)))
    }

    /// Removes the policy of SAM CLI's bucket, which refuses requests without TLS. On the loopback, there is no TLS.
    async fn admit_plain_http(&self) {
        let list = [("Action", "DescribeStacks"), ("Version", "2010-05-15")];
        let name = [("StackName", "aws-sam-cli-managed-default")];
        let answer = self
            .administrator
            .query("cloudformation", &[&list[..], &name].concat())
            .await;
        let (_, bucket) = answer.text.split_once("<OutputValue>").unwrap();
        let (bucket, _) = bucket.split_once('<').unwrap();
        let path = format!("/{bucket}?policy");
        let answer = self
            .administrator
            .rest("s3", Method::DELETE, &path, String::new())
            .await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    /// Deletes the stack with the role.
    async fn delete(&self) {
        let client = aws_sdk_cloudformation::Client::new(&self.config);
        client.delete_stack().stack_name(STACK).send().await.unwrap();
        let stacks = Stacks::new(&self.config);
        for _ in 0..600 {
            if stacks.stack(STACK).await.unwrap().is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the stack is not deleted");
    }
}

fn read(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

/// The tags of the stack, one of them with all that makes sam read it in another way if it is not quoted.
fn tags() -> BTreeMap<String, String> {
    let tags = [("team", "delivery"), ("cost centre", "a b=c")];
    tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[tokio::test]
async fn the_stack_is_deployed_with_the_policies_of_a_deployer_and_not_without_a_part_of_them() {
    let new = [
        ("AllowedRepositories", "group/**"),
        ("NotificationEmail", "none"),
        ("SweepRate", ""),
        // The local AWS has neither.
        ("EventArchiveDays", "0"),
        ("EventSchemas", "none"),
    ];
    let deployer = Deployer::new().await;
    deployer.allow_all_but("StackOfSam").await;
    let refused = deployer.deploy(&new).await.unwrap_err();
    assert!(
        refused.contains("Failed to create managed resources")
            && refused.contains("not authorized to perform: cloudformation:CreateChangeSet"),
        "{refused}"
    );

    deployer.allow_all_but("").await;
    let refused = deployer.deploy(&new).await.unwrap_err();
    // It has made the bucket.
    assert!(
        refused.contains("with an explicit deny in a resource-based policy"),
        "{refused}"
    );
    deployer.admit_plain_http().await;

    for (without, call) in [
        ("Uploads", "s3:PutObject"),
        ("Stack", "cloudformation:DescribeStacks"),
    ] {
        deployer.allow_all_but(without).await;
        let refused = deployer.deploy(&new).await.unwrap_err();
        let call = format!("not authorized to perform: {call}");
        assert!(refused.contains(&call), "{without}: {refused}");
    }

    deployer.allow_all_but("").await;
    let stacks = Stacks::new(&deployer.config);
    assert_eq!(stacks.stack(STACK).await.unwrap(), None);
    let deployed = deployer.deploy(&new).await.unwrap();
    let table = deployed.output("TableName").unwrap();
    assert!(table.starts_with("push-code-AuditTable-"), "{table}");
    assert_eq!(stacks.stack(STACK).await.unwrap().unwrap().tags, tags());
    // An update asks for more.
    deployer.deploy(&[("LogRetentionDays", "7")]).await.unwrap();

    // What CloudFormation may do for them, they may not do themselves.
    let secret = json!({ "SecretId": deployed.output("GitSecretName").unwrap() });
    let table = json!({ "TableName": table });
    for answer in [
        deployer
            .role
            .json("secretsmanager", "secretsmanager.GetSecretValue", &secret)
            .await,
        deployer
            .role
            .json("dynamodb", "DynamoDB_20120810.DeleteTable", &table)
            .await,
    ] {
        assert!(answer.is_denied(), "{answer:?}");
    }
    assert!(stacks.stack("another").await.is_err());

    deployer.delete().await;
}
