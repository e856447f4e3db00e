//! By which calls CloudFormation makes, reads, changes, tags and removes resources.

/// The actions of each type of resource. They are those of the handlers in the schemas of the types
/// (<https://schema.cloudformation.us-east-1.amazonaws.com/CloudformationSchema.zip>, of August 2026), without those of
/// properties that the templates do not have.
///
/// - Those of the access logs of a stage are here too (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html>).
/// - Which policies are attached to a role, and which roles are passed, depends on the resource.
/// - Of a bucket, [`of_bucket`] has the rest.
const HANDLERS: &[(&str, &str)] = &[
    (
        "AWS::ApiGatewayV2::Api",
        "apigateway: DELETE GET PATCH POST PUT TagResource UntagResource",
    ),
    (
        "AWS::ApiGatewayV2::Authorizer",
        "apigateway: DELETE GET PATCH POST PUT",
    ),
    (
        "AWS::ApiGatewayV2::Integration",
        "apigateway: DELETE GET PATCH POST PUT",
    ),
    (
        "AWS::ApiGatewayV2::Route",
        "apigateway: DELETE GET PATCH POST PUT",
    ),
    (
        "AWS::ApiGatewayV2::Stage",
        "apigateway: DELETE GET PATCH POST TagResource UntagResource logs: CreateLogDelivery DeleteLogDelivery \
         DescribeLogGroups DescribeResourcePolicies GetLogDelivery ListLogDeliveries PutResourcePolicy \
         UpdateLogDelivery",
    ),
    (
        "AWS::CloudWatch::Alarm",
        "cloudwatch: DeleteAlarms DescribeAlarms ListTagsForResource PutMetricAlarm TagResource UntagResource",
    ),
    (
        "AWS::CloudWatch::Dashboard",
        "cloudwatch: DeleteDashboards GetDashboard ListTagsForResource PutDashboard TagResource UntagResource",
    ),
    (
        "AWS::DynamoDB::Table",
        "dynamodb: CreateTable DeleteTable DescribeContinuousBackups DescribeContributorInsights \
         DescribeKinesisStreamingDestination DescribeTable DescribeTimeToLive GetResourcePolicy ListTagsOfResource \
         TagResource UntagResource UpdateContinuousBackups UpdateTable UpdateTimeToLive",
    ),
    (
        "AWS::EventSchemas::Registry",
        "schemas: CreateRegistry DeleteRegistry DescribeRegistry ListTagsForResource TagResource UntagResource \
         UpdateRegistry",
    ),
    (
        "AWS::EventSchemas::Schema",
        "schemas: CreateSchema DeleteSchema DeleteSchemaVersion DescribeSchema ListTagsForResource TagResource \
         UntagResource UpdateSchema",
    ),
    (
        "AWS::Events::Archive",
        "events: CreateArchive DeleteArchive DescribeArchive UpdateArchive",
    ),
    (
        "AWS::Events::Rule",
        "events: DeleteRule DescribeRule ListTagsForResource ListTargetsByRule PutRule PutTargets RemoveTargets \
         TagResource UntagResource",
    ),
    (
        "AWS::IAM::Policy",
        "iam: DeleteRolePolicy GetRolePolicy PutRolePolicy",
    ),
    (
        "AWS::IAM::Role",
        "iam: CreateRole DeleteRole DeleteRolePolicy DetachRolePolicy GetRole GetRolePolicy \
         ListAttachedRolePolicies ListRolePolicies ListRoleTags PutRolePermissionsBoundary PutRolePolicy TagRole \
         UntagRole UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription",
    ),
    (
        "AWS::KMS::Key",
        "kms: CreateKey DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags PutKeyPolicy \
         ScheduleKeyDeletion TagResource UntagResource UpdateKeyDescription",
    ),
    (
        "AWS::Lambda::EventInvokeConfig",
        "lambda: DeleteFunctionEventInvokeConfig GetFunctionEventInvokeConfig PutFunctionEventInvokeConfig \
         UpdateFunctionEventInvokeConfig",
    ),
    (
        "AWS::Lambda::Function",
        "ec2: DescribeNetworkInterfaces DescribeSecurityGroups DescribeSubnets DescribeVpcs lambda: CreateFunction \
         DeleteFunction DeleteFunctionConcurrency GetFunction GetFunctionCodeSigningConfig \
         GetFunctionRecursionConfig GetFunctionScalingConfig GetRuntimeManagementConfig ListTags \
         PutFunctionConcurrency PutRuntimeManagementConfig TagResource UntagResource UpdateFunctionCode \
         UpdateFunctionConfiguration",
    ),
    (
        "AWS::Lambda::Permission",
        "lambda: AddPermission GetPolicy RemovePermission",
    ),
    (
        "AWS::Logs::LogGroup",
        "logs: CreateLogGroup DeleteDataProtectionPolicy DeleteLogGroup DeleteRetentionPolicy DescribeIndexPolicies \
         DescribeLogGroups DescribeResourcePolicies GetDataProtectionPolicy ListTagsForResource PutRetentionPolicy \
         TagResource UntagResource",
    ),
    (
        "AWS::Logs::MetricFilter",
        "logs: DeleteMetricFilter DescribeMetricFilters PutMetricFilter",
    ),
    (
        "AWS::S3::Bucket",
        "s3: CreateBucket DeleteBucket GetAccelerateConfiguration GetAnalyticsConfiguration GetBucketAbac \
         GetBucketAcl GetBucketCORS GetBucketLogging GetBucketMetadataTableConfiguration GetBucketNotification \
         GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPublicAccessBlock GetBucketTagging \
         GetBucketVersioning GetBucketWebsite GetEncryptionConfiguration GetIntelligentTieringConfiguration \
         GetInventoryConfiguration GetLifecycleConfiguration GetMetricsConfiguration GetReplicationConfiguration \
         ListBucket ListTagsForResource PutBucketTagging TagResource UntagResource",
    ),
    (
        "AWS::S3::BucketPolicy",
        "s3: DeleteBucketPolicy GetBucketPolicy PutBucketPolicy",
    ),
    (
        "AWS::SNS::Subscription",
        "sns: GetSubscriptionAttributes SetSubscriptionAttributes Subscribe Unsubscribe",
    ),
    (
        "AWS::SNS::Topic",
        "sns: CreateTopic DeleteTopic GetDataProtectionPolicy GetTopicAttributes ListSubscriptionsByTopic \
         ListTagsForResource SetTopicAttributes TagResource UntagResource",
    ),
    (
        "AWS::SSM::Parameter",
        "ssm: AddTagsToResource DeleteParameter GetParameters ListTagsForResource PutParameter \
         RemoveTagsFromResource",
    ),
    (
        "AWS::Scheduler::Schedule",
        "scheduler: CreateSchedule DeleteSchedule GetSchedule UpdateSchedule",
    ),
    (
        "AWS::SecretsManager::Secret",
        "secretsmanager: CreateSecret DeleteSecret DescribeSecret GetRandomPassword GetSecretValue TagResource \
         UntagResource UpdateSecret",
    ),
    (
        "AWS::StepFunctions::StateMachine",
        "states: CreateStateMachine DeleteStateMachine DescribeStateMachine ListTagsForResource TagResource \
         UntagResource UpdateStateMachine",
    ),
];

/// Returns the actions of a type of resource, such as `s3:CreateBucket`.
pub fn actions(of_type: &str) -> Vec<String> {
    let row = HANDLERS.iter().find(|(name, _)| *name == of_type);
    let Some((_, words)) = row else {
        unreachable!("say here by which actions CloudFormation makes, reads, changes and removes {of_type}")
    };
    let mut service = "";
    let mut actions = vec![];
    for word in words.split_whitespace() {
        match word.strip_suffix(':') {
            Some(next) => service = next,
            None => actions.push(format!("{service}:{word}")),
        }
    }
    actions
}

/// Returns the action by which a property of a bucket is set.
pub fn of_bucket(property: &str) -> &'static str {
    match property {
        "BucketEncryption" => "s3:PutEncryptionConfiguration",
        "LifecycleConfiguration" => "s3:PutLifecycleConfiguration",
        "NotificationConfiguration" => "s3:PutBucketNotification",
        "OwnershipControls" => "s3:PutBucketOwnershipControls",
        "PublicAccessBlockConfiguration" => "s3:PutBucketPublicAccessBlock",
        "Tags" => "s3:PutBucketTagging",
        "VersioningConfiguration" => "s3:PutBucketVersioning",
        other => unreachable!("say here by which action {other} of a bucket is set"),
    }
}

/// Returns whether IAM knows no resource of an action
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>).
pub fn is_of_no_resource(action: &str) -> bool {
    action.starts_with("ec2:Describe")
        || action.ends_with("LogDelivery")
        || [
            "kms:CreateKey",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "secretsmanager:GetRandomPassword",
            "sns:GetSubscriptionAttributes",
            "sns:SetSubscriptionAttributes",
            "sns:Unsubscribe",
        ]
        .contains(&action)
}
