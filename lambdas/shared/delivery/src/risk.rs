//! What is dangerous about a plan, so that a person has to approve it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::contract::{Change, Drift, Risk, RiskKind};

/// The types of resources whose data are lost with them. An ending `*` stands for any ending.
const STATEFUL: [&str; 23] = [
    "AWS::Backup::BackupVault",
    "AWS::CloudFormation::Stack",
    "AWS::Cognito::UserPool",
    "AWS::DocDB::DB*",
    "AWS::DynamoDB::*Table",
    "AWS::EC2::Volume",
    "AWS::ECR::Repository",
    "AWS::EFS::FileSystem",
    "AWS::ElastiCache::*",
    "AWS::Elasticsearch::Domain",
    "AWS::FSx::FileSystem",
    "AWS::KMS::Key",
    "AWS::Kinesis::Stream",
    "AWS::MSK::Cluster",
    "AWS::MemoryDB::Cluster",
    "AWS::Neptune::DB*",
    "AWS::OpenSearchService::Domain",
    "AWS::RDS::DB*",
    "AWS::Redshift::Cluster",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::Secret",
    "AWS::Timestream::Table",
];

/// The properties with a policy document, by the resource's type.
const POLICIES: [(&str, &str); 12] = [
    ("AWS::IAM::GroupPolicy", "PolicyDocument"),
    ("AWS::IAM::ManagedPolicy", "PolicyDocument"),
    ("AWS::IAM::Policy", "PolicyDocument"),
    ("AWS::IAM::Role", "AssumeRolePolicyDocument"),
    ("AWS::IAM::RolePolicy", "PolicyDocument"),
    ("AWS::IAM::UserPolicy", "PolicyDocument"),
    ("AWS::KMS::Key", "KeyPolicy"),
    ("AWS::S3::BucketPolicy", "PolicyDocument"),
    ("AWS::SNS::TopicPolicy", "PolicyDocument"),
    ("AWS::SQS::QueuePolicy", "PolicyDocument"),
    ("AWS::SecretsManager::ResourcePolicy", "ResourcePolicy"),
    ("AWS::Lambda::LayerVersionPermission", "PolicyDocument"),
];

/// The longest detail of a risk, in characters.
const MAX_DETAIL: usize = 400;

/// The most risks that are told, because a person reads them.
const MAX_RISKS: usize = 50;

/// Returns what is dangerous about a plan.
///
/// `before` and `after` are the stack's templates after their transforms. `before` is `None` if the stack is new: then
/// nothing can be lost, and of the rights only those without a limit are a risk.
#[must_use]
pub fn risks(changes: &[Change], drift: &[Drift], before: Option<&Value>, after: &Value) -> Vec<Risk> {
    let lost = changes.iter().filter_map(|change| lost(change, before));
    let lost = lost.map(|detail| (RiskKind::DataLost, detail));
    let widened = widened(before, after);
    let widened = widened
        .into_iter()
        .map(|detail| (RiskKind::RightsWidened, detail));
    let drifted = drift.iter().map(|drift| (RiskKind::Drifted, describe(drift)));
    let all = lost.chain(widened).chain(drifted);
    all.take(MAX_RISKS)
        .map(|(kind, detail)| Risk {
            kind,
            detail: domain::plain(&detail, MAX_DETAIL),
        })
        .collect()
}

fn lost(change: &Change, before: Option<&Value>) -> Option<String> {
    before?;
    if !STATEFUL
        .iter()
        .any(|pattern| matches(pattern, &change.resource_type))
    {
        return None;
    }
    let (id, kind) = (&change.logical_id, &change.resource_type);
    match (change.action.as_str(), change.replacement.as_str()) {
        ("Remove", _) => Some(format!("{id} ({kind}) is removed")),
        ("Modify", "True") => Some(format!("{id} ({kind}) is replaced by an empty one")),
        ("Modify", "Conditional") => Some(format!("{id} ({kind}) may be replaced by an empty one")),
        _ => None,
    }
}

fn describe(drift: &Drift) -> String {
    match &drift.property {
        None => format!("{} was deleted by hand", drift.logical_id),
        Some(property) => format!("{property} of {} was changed by hand", drift.logical_id),
    }
}

/// What a policy allows: one action of one principal on one resource, under one condition. A part is a text, or JSON if
/// it has a function of CloudFormation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    principal: String,
    action: String,
    resource: String,
    condition: String,
}

impl Grant {
    /// Returns whether `other` is allowed where `self` is.
    fn covers(&self, other: &Self) -> bool {
        matches(&self.action, &other.action)
            && matches(&self.resource, &other.resource)
            && (self.principal == other.principal || self.principal == "*")
            && (self.condition == other.condition || self.condition.is_empty())
    }

    fn is_unlimited(&self) -> bool {
        self.action == "*"
            || self.action.starts_with("iam:") && self.action.ends_with('*')
            || self.principal == "*"
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.principal.is_empty() {
            write!(formatter, "{} on {}", self.action, self.resource)
        } else {
            write!(formatter, "{} by {}", self.action, self.principal)
        }
    }
}

/// Returns the rights that `after` gives and `before` does not.
fn widened(before: Option<&Value>, after: &Value) -> Vec<String> {
    let mut widened = Vec::new();
    for (id, resource) in resources(after) {
        let old = before.map(|before| &before["Resources"][id]);
        let old_grants = old.map(grants).unwrap_or_default();
        for grant in grants(resource) {
            let is_new = !old_grants.iter().any(|old| old.covers(&grant));
            if is_new && (before.is_some() || grant.is_unlimited()) {
                widened.push(format!("{id} allows {grant}"));
            }
        }
        let Some(old) = old else { continue };
        for policy in managed(resource).difference(&managed(old)) {
            widened.push(format!("{id} has the policy {policy}"));
        }
        for denial in denials(old).difference(&denials(resource)) {
            widened.push(format!("{id} no longer denies {denial}"));
        }
        let boundary = &old["Properties"]["PermissionsBoundary"];
        if !boundary.is_null() && *boundary != resource["Properties"]["PermissionsBoundary"] {
            widened.push(format!("{id} has another permissions boundary"));
        }
    }
    widened
}

fn resources(template: &Value) -> impl Iterator<Item = (&String, &Value)> {
    template["Resources"].as_object().into_iter().flatten()
}

/// Returns the policy documents of a resource.
fn documents(resource: &Value) -> Vec<&Value> {
    let kind = resource["Type"].as_str().unwrap_or_default();
    let properties = &resource["Properties"];
    let mut documents: Vec<_> = POLICIES
        .iter()
        .filter(|(of, _)| *of == kind)
        .map(|(_, property)| &properties[property])
        .collect();
    if matches!(kind, "AWS::IAM::Role" | "AWS::IAM::User" | "AWS::IAM::Group") {
        documents.extend(list(&properties["Policies"]).map(|policy| &policy["PolicyDocument"]));
    }
    documents
}

fn statements<'a>(resource: &'a Value, effect: &'a str) -> impl Iterator<Item = &'a Value> {
    documents(resource)
        .into_iter()
        .flat_map(|document| list(&document["Statement"]))
        .filter(move |statement| statement["Effect"] == effect)
}

fn grants(resource: &Value) -> BTreeSet<Grant> {
    let mut grants = BTreeSet::new();
    if resource["Type"] == "AWS::Lambda::Permission" {
        let properties = &resource["Properties"];
        grants.insert(Grant {
            principal: text(&properties["Principal"]),
            action: text(&properties["Action"]).to_lowercase(),
            resource: text(&properties["FunctionName"]),
            condition: [&properties["SourceArn"], &properties["SourceAccount"]]
                .map(text)
                .concat(),
        });
    }
    if resource["Type"] == "AWS::Lambda::Url" && resource["Properties"]["AuthType"] == "NONE" {
        grants.insert(Grant {
            principal: "*".to_owned(),
            action: "lambda:invokefunctionurl".to_owned(),
            resource: text(&resource["Properties"]["TargetFunctionArn"]),
            condition: String::new(),
        });
    }
    for statement in statements(resource, "Allow") {
        let principals = principals(statement);
        for action in texts(statement, "Action") {
            for resource in texts(statement, "Resource") {
                for principal in &principals {
                    grants.insert(Grant {
                        principal: principal.clone(),
                        // Names of actions are not case-sensitive.
                        action: action.to_lowercase(),
                        resource: resource.clone(),
                        condition: text(&statement["Condition"]),
                    });
                }
            }
        }
    }
    grants
}

/// Returns the texts of an element that may be one or many. If the statement has what is not meant instead
/// (`NotAction`), that is one text.
fn texts(statement: &Value, name: &str) -> Vec<String> {
    let negated = &statement[format!("Not{name}")];
    if negated.is_null() {
        let texts: Vec<_> = list(&statement[name]).map(text).collect();
        // A trust policy has no resource.
        if texts.is_empty() {
            vec![String::new()]
        } else {
            texts
        }
    } else {
        vec![format!("all but {}", text(negated))]
    }
}

/// Returns the principals of a statement, each with its kind, such as `Service lambda.amazonaws.com`.
fn principals(statement: &Value) -> Vec<String> {
    if !statement["NotPrincipal"].is_null() {
        return vec![format!("all but {}", text(&statement["NotPrincipal"]))];
    }
    match &statement["Principal"] {
        Value::Object(kinds) => kinds
            .iter()
            .flat_map(|(kind, of)| {
                list(of).map(move |principal| match text(principal) {
                    all if all == "*" => all,
                    one => format!("{kind} {one}"),
                })
            })
            .collect(),
        principal => vec![text(principal)],
    }
}

fn managed(resource: &Value) -> BTreeSet<String> {
    list(&resource["Properties"]["ManagedPolicyArns"])
        .map(text)
        .collect()
}

fn denials(resource: &Value) -> BTreeSet<String> {
    statements(resource, "Deny").map(text).collect()
}

/// Returns the items of a list, or the one thing that stands for a list of one.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    let items = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    items.iter().filter(|item| !item.is_null())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns whether `text` matches `pattern`, in which `*` stands for any characters. `text` may itself be a pattern:
/// then everything that it matches is matched.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(action: &str, kind: &str, replacement: &str) -> Change {
        Change {
            action: action.to_owned(),
            logical_id: "Thing".to_owned(),
            resource_type: kind.to_owned(),
            replacement: replacement.to_owned(),
            properties: vec![],
        }
    }

    fn role(statements: &Value) -> Value {
        json!({ "Resources": { "Role": { "Type": "AWS::IAM::Role", "Properties": {
            "AssumeRolePolicyDocument": { "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "Service": "lambda.amazonaws.com" } }] },
            "Policies": [{ "PolicyName": "p", "PolicyDocument": { "Statement": statements } }],
        } } } })
    }

    fn told(before: Option<&Value>, after: &Value) -> Vec<String> {
        let risks = risks(&[], &[], before, after);
        assert!(risks.iter().all(|risk| risk.kind == RiskKind::RightsWidened));
        risks.into_iter().map(|risk| risk.detail).collect()
    }

    fn statement(action: &Value, resource: &Value) -> Value {
        json!({ "Effect": "Allow", "Action": action, "Resource": resource })
    }

    #[test]
    fn data_are_lost_with_what_is_removed_or_replaced() {
        let stack = json!({});
        let lost = |action, kind, replacement| {
            !risks(&[change(action, kind, replacement)], &[], Some(&stack), &stack).is_empty()
        };
        for kind in [
            "AWS::DynamoDB::Table",
            "AWS::DynamoDB::GlobalTable",
            "AWS::S3::Bucket",
            "AWS::RDS::DBInstance",
        ] {
            assert!(lost("Remove", kind, ""), "{kind}");
            assert!(lost("Modify", kind, "True"), "{kind}");
            assert!(lost("Modify", kind, "Conditional"), "{kind}");
            assert!(!lost("Modify", kind, "False"), "{kind}");
            assert!(!lost("Add", kind, ""), "{kind}");
        }
        for kind in [
            "AWS::Lambda::Function",
            "AWS::Lambda::Version",
            "AWS::IAM::Role",
            "AWS::S3::BucketPolicy",
        ] {
            assert!(!lost("Remove", kind, ""), "{kind}");
        }
        let removed = change("Remove", "AWS::S3::Bucket", "");
        assert_eq!(risks(&[removed], &[], None, &stack), []);
    }

    #[test]
    fn a_right_that_was_not_there_is_told() {
        let before = role(&json!([statement(
            &json!("s3:GetObject"),
            &json!("arn:aws:s3:::a/*")
        )]));
        let after = |statements: Value| told(Some(&before), &role(&statements));
        assert_eq!(after(json!([])), [] as [String; 0]);
        let same = json!([statement(&json!(["S3:getobject"]), &json!(["arn:aws:s3:::a/*"]))]);
        assert_eq!(after(same), [] as [String; 0]);
        let narrower = json!([statement(&json!("s3:GetObject"), &json!("arn:aws:s3:::a/b"))]);
        assert_eq!(after(narrower), [] as [String; 0]);
        for (action, resource, told) in [
            (
                json!("s3:PutObject"),
                json!("arn:aws:s3:::a/*"),
                "Role allows s3:putobject on arn:aws:s3:::a/*",
            ),
            (
                json!("s3:*"),
                json!("arn:aws:s3:::a/*"),
                "Role allows s3:* on arn:aws:s3:::a/*",
            ),
            (json!("s3:GetObject"), json!("*"), "Role allows s3:getobject on *"),
            (
                json!("s3:GetObject"),
                json!({ "Ref": "B" }),
                "Role allows s3:getobject on {\"Ref\":\"B\"}",
            ),
        ] {
            assert_eq!(after(json!([statement(&action, &resource)])), [told]);
        }
        let negated = json!([{ "Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:aws:s3:::a/*" }]);
        assert_eq!(after(negated), ["Role allows all but iam:* on arn:aws:s3:::a/*"]);
    }

    #[test]
    fn a_condition_that_is_taken_away_and_a_denial_that_is_gone_are_told() {
        let conditional = |condition: Value| {
            let mut statement = statement(&json!("s3:GetObject"), &json!("*"));
            statement["Condition"] = condition;
            role(&json!([statement]))
        };
        let before = conditional(json!({ "Bool": { "aws:SecureTransport": "true" } }));
        assert_eq!(told(Some(&before), &before), [] as [String; 0]);
        assert_eq!(told(Some(&before), &conditional(Value::Null)).len(), 1);
        assert_eq!(told(Some(&conditional(Value::Null)), &before), [] as [String; 0]);
        let denying = role(&json!([{ "Effect": "Deny", "Action": "s3:*", "Resource": "*" }]));
        assert!(told(Some(&denying), &role(&json!([])))[0].contains("no longer denies"));
    }

    #[test]
    fn whoever_may_use_a_role_is_told() {
        let before = role(&json!([]));
        let trusting = |principal: Value| {
            let mut after = before.clone();
            let role = &mut after["Resources"]["Role"]["Properties"];
            role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] = principal;
            told(Some(&before), &after)
        };
        let another = json!({ "Service": "lambda.amazonaws.com", "AWS": ["111111111111"] });
        assert_eq!(
            trusting(another),
            ["Role allows sts:assumerole by AWS 111111111111"]
        );
        assert_eq!(
            trusting(json!({ "AWS": "*" })),
            ["Role allows sts:assumerole by *"]
        );
        let mut after = before.clone();
        let policy = "arn:aws:iam::aws:policy/AdministratorAccess";
        after["Resources"]["Role"]["Properties"] = json!({ "ManagedPolicyArns": [policy] });
        assert_eq!(
            told(Some(&before), &after),
            [format!("Role has the policy {policy}")]
        );
        let permission = json!({ "Resources": { "P": { "Type": "AWS::Lambda::Permission", "Properties": {
            "Principal": "*", "Action": "lambda:InvokeFunction", "FunctionName": { "Ref": "Fn" } } } } });
        assert_eq!(
            told(Some(&json!({})), &permission),
            ["P allows lambda:invokefunction by *"]
        );
    }

    #[test]
    fn a_boundary_that_changes_is_told() {
        let mut before = role(&json!([]));
        before["Resources"]["Role"]["Properties"]["PermissionsBoundary"] = json!("arn:b");
        assert_eq!(
            told(Some(&before), &role(&json!([]))),
            ["Role has another permissions boundary"]
        );
        assert_eq!(told(Some(&role(&json!([]))), &before), [] as [String; 0]);
    }

    #[test]
    fn in_a_new_stack_only_what_has_no_limit_is_told() {
        let limited = role(&json!([statement(&json!("s3:GetObject"), &json!("*"))]));
        assert_eq!(told(None, &limited), [] as [String; 0]);
        for action in ["*", "iam:*", "iam:Create*"] {
            let all = role(&json!([statement(&json!(action), &json!("*"))]));
            assert_eq!(told(None, &all).len(), 1, "{action}");
        }
    }

    #[test]
    fn what_was_changed_by_hand_is_told_without_its_values() {
        let drift = |property: Option<&str>| Drift {
            logical_id: "Table".to_owned(),
            property: property.map(str::to_owned),
            expected: Some("secret".to_owned()),
            actual: Some("other".to_owned()),
        };
        let risks = risks(
            &[],
            &[drift(Some("/BillingMode")), drift(None)],
            Some(&json!({})),
            &json!({}),
        );
        let details: Vec<_> = risks.iter().map(|risk| risk.detail.as_str()).collect();
        assert_eq!(
            details,
            [
                "/BillingMode of Table was changed by hand",
                "Table was deleted by hand"
            ]
        );
    }

    #[test]
    fn a_pattern_matches_what_its_stars_stand_for() {
        for (pattern, text, expected) in [
            ("*", "anything", true),
            ("a*", "a", true),
            ("a*c", "abc", true),
            ("a*c", "ab", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "ac", false),
            ("ab*b", "ab", false),
            ("abc", "abcd", false),
            ("s3:*", "s3:Get*", true),
            ("s3:Get*", "s3:*", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
