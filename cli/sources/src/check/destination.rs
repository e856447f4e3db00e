//! A bucket of the zips.

use aws::AwsFailure;
use aws_sdk_s3::types::BucketVersioningStatus;
use deployed_stack::Stack;

use crate::check::outcome::Check;

/// Checks that the bucket is there, belongs to the right account, is in the stack's region, and keeps versions.
pub async fn check(stack: &Stack, bucket: &str) -> Vec<Check> {
    let subject = || format!("bucket {bucket}");
    let owner = match stack.output("DestinationAccount") {
        Ok(owner) => owner,
        Err(error) => return vec![Check::not_checked(subject(), error.to_string())],
    };
    let s3 = stack.s3();
    let head = s3.head_bucket().bucket(bucket).expected_bucket_owner(owner);
    let found = match head.send().await {
        Ok(found) => found,
        Err(error) => {
            let failure = AwsFailure::new("s3:HeadBucket", &error);
            return vec![match failure.status {
                Some(404) => Check::wrong(
                    subject(),
                    "it does not exist",
                    "Create it, or name another one in the settings.",
                ),
                Some(301) => Check::wrong(
                    subject(),
                    "it is in another region than the stack",
                    "Name a bucket in the stack's region in the settings.",
                ),
                Some(403) => Check::wrong(
                    subject(),
                    format!("it does not belong to the account {owner}, or you may not see it"),
                    "Set the parameter DestinationAccount to its account, and let yourself do s3:ListBucket there.",
                ),
                _ => Check::not_checked(subject(), failure.to_string()),
            }];
        }
    };
    let region = stack.config().region().map(ToString::to_string);
    let mut checks = vec![match (found.bucket_region, region) {
        (Some(of_bucket), Some(of_stack)) if of_bucket != of_stack => Check::wrong(
            subject(),
            format!("it is in {of_bucket}, and the stack in {of_stack}"),
            "Name a bucket in the stack's region in the settings.",
        ),
        _ => Check::ok(subject(), format!("it belongs to the account {owner}")),
    }];
    let versioning = s3.get_bucket_versioning().bucket(bucket);
    let subject = format!("versions in {bucket}");
    checks.push(match versioning.expected_bucket_owner(owner).send().await {
        Ok(found) if found.status == Some(BucketVersioningStatus::Enabled) => {
            Check::ok(subject, "the bucket keeps them")
        }
        Ok(_) => Check::wrong(
            subject,
            "the bucket keeps none: a zip that is replaced is gone, and nothing can be rolled back to",
            "Turn versioning on in the bucket's properties.",
        ),
        Err(error) => Check::not_checked(
            subject,
            AwsFailure::new("s3:GetBucketVersioning", &error).to_string(),
        ),
    });
    checks
}
