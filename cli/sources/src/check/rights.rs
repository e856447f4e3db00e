//! What the roles of the functions may do with the destination buckets. All other rights are the same for every source.

use aws::AwsFailure;
use aws_sdk_iam::types::PolicyEvaluationDecisionType;
use deployed_stack::Stack;

use crate::check::outcome::Check;

/// A role, and what it needs to do with the objects of the bucket.
struct Role {
    /// The function.
    function: &'static str,
    /// The output with the role's ARN.
    output: &'static str,
    /// Its actions on the objects. It lists the buckets too.
    actions: &'static [&'static str],
}

const ROLES: [Role; 2] = [
    Role {
        function: "upload",
        output: "UploadRoleArn",
        actions: &[
            "s3:GetObject",
            "s3:GetObjectVersion",
            "s3:PutObject",
            "s3:AbortMultipartUpload",
        ],
    },
    Role {
        function: "sweep",
        output: "SweepRoleArn",
        actions: &["s3:GetObject"],
    },
];

/// Has IAM simulate what the roles do with the buckets. The policy of a bucket in another account is not considered.
pub async fn check(stack: &Stack, buckets: &[&str]) -> Vec<Check> {
    let iam = aws_sdk_iam::Client::new(stack.config());
    let mut checks = Vec::new();
    for role in ROLES {
        let subject = format!("rights of {}", role.function);
        let arn = match stack.output(role.output) {
            Ok(arn) => arn,
            Err(error) => {
                checks.push(Check::not_checked(subject, error.to_string()));
                continue;
            }
        };
        for bucket in buckets {
            let subject = subject.clone();
            checks.push(match denied(&iam, arn, bucket, role.actions).await {
                Ok(denied) if denied.is_empty() => {
                    Check::ok(subject, format!("its role may do what it does with {bucket}"))
                }
                Ok(denied) => Check::wrong(
                    subject,
                    format!("its role may not do {} with {bucket}", denied.join(", ")),
                    "Deploy the stack with the bucket as DestinationBucketName or one of DestinationBuckets, or name another one in \
                     the settings.",
                ),
                Err(failure) => Check::not_checked(subject, failure.to_string()),
            });
        }
    }
    checks
}

/// Returns the actions that a role may not do.
async fn denied(
    iam: &aws_sdk_iam::Client,
    role: &str,
    bucket: &str,
    actions: &[&str],
) -> Result<Vec<String>, AwsFailure> {
    let partition = role.split(':').nth(1).unwrap_or("aws");
    let bucket = format!("arn:{partition}:s3:::{bucket}");
    let mut denied = Vec::new();
    for (resource, actions) in [(format!("{bucket}/*"), actions), (bucket, &["s3:ListBucket"])] {
        let simulate = iam.simulate_principal_policy().policy_source_arn(role);
        let simulate = simulate.resource_arns(resource);
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        let simulated = simulate.set_action_names(Some(actions)).send().await;
        let simulated = simulated.map_err(|error| AwsFailure::new("iam:SimulatePrincipalPolicy", &error))?;
        let results = simulated.evaluation_results.unwrap_or_default();
        let results = results.into_iter();
        denied.extend(
            results
                .filter(|result| result.eval_decision != PolicyEvaluationDecisionType::Allowed)
                .map(|result| result.eval_action_name),
        );
    }
    Ok(denied)
}
