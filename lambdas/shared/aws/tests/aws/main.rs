//! The requests to AWS, and what its responses become. The real clients run against a server whose responses a test
//! sets.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

use domain::error::Code;
use testkit::aws::AwsResponse;

mod destination;
mod failures;
mod staging;

/// The errors of S3 for a staged object that is read, and the codes that they become.
fn errors_of_a_staged_object() -> [(AwsResponse, Code); 5] {
    [
        (AwsResponse::error(404, "NoSuchKey"), Code::StagedObjectMissing),
        (
            AwsResponse::error(404, "NoSuchVersion"),
            Code::StagedObjectMissing,
        ),
        (AwsResponse::error(404, "NoSuchBucket"), Code::StorageRefused),
        (AwsResponse::error(403, "AccessDenied"), Code::StorageRefused),
        (AwsResponse::error(503, "SlowDown"), Code::StorageUnavailable),
    ]
}
