//! Policies of IAM, evaluated by its own rules
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>), as far as the project's own
//! need them.

use regex_lite::{Regex, RegexBuilder};
use serde_json::{Value, json};

use crate::project::{entries, items, texts};

/// What a request's condition keys are.
pub type Context<'a> = [(&'a str, &'a str)];

/// The statements of policies.
#[derive(Debug)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug)]
struct Statement {
    actions: Vec<Regex>,
    resources: Vec<Regex>,
    condition: Value,
}

impl Policy {
    /// Returns the policy that has the statements of these documents.
    pub fn of(documents: &[Value]) -> Self {
        let statements = documents
            .iter()
            .flat_map(|document| items(&document["Statement"]));
        let statements = statements.map(|statement| {
            assert_eq!(statement["Effect"], "Allow", "{statement}");
            Statement {
                // Only the names of actions may be written in any case.
                actions: patterns(&statement["Action"], true),
                resources: patterns(&statement["Resource"], false),
                condition: statement["Condition"].clone(),
            }
        });
        Self {
            statements: statements.collect(),
        }
    }

    /// Returns whether a statement allows the action on the resource. An action that is about no resource is on `*`.
    pub fn allows(&self, action: &str, resource: &str, context: &Context) -> bool {
        let matches = |patterns: &[Regex], text| patterns.iter().any(|pattern| pattern.is_match(text));
        self.statements.iter().any(|statement| {
            matches(&statement.actions, action)
                && matches(&statement.resources, resource)
                && holds(&statement.condition, context)
        })
    }
}

/// `*` is any text, also with slashes and colons, and `?` is any character.
fn patterns(values: &Value, in_any_case: bool) -> Vec<Regex> {
    let compile = |pattern: &str| {
        let pattern = regex_lite::escape(pattern)
            .replace(r"\*", ".*")
            .replace(r"\?", ".");
        let mut pattern = RegexBuilder::new(&format!("^{pattern}$"));
        pattern.case_insensitive(in_any_case).build().unwrap()
    };
    texts(values).into_iter().map(compile).collect()
}

/// All operators and keys have to hold, each by one of its values. A key that the request does not have does not hold.
fn holds(condition: &Value, context: &Context) -> bool {
    entries(condition).all(|(operator, keys)| {
        entries(keys).all(|(key, expected)| {
            let found = context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
            found.is_some_and(|(_, value)| match operator {
                "StringEquals" | "Bool" => texts(expected).contains(value),
                "ArnLike" => patterns(expected, false)
                    .iter()
                    .any(|pattern| pattern.is_match(value)),
                other => unreachable!("say here how IAM evaluates {other}"),
            })
        })
    })
}

#[test]
fn a_statement_allows_what_its_actions_resources_and_conditions_say() {
    let policy = Policy::of(&[json!({ "Statement": [{
        "Effect": "Allow",
        "Action": ["s3:Get*", "s3:Put?bject"],
        "Resource": "arn:*:s3:::zips-*",
        "Condition": { "StringEquals": { "aws:CalledViaFirst": ["a", "b"] }, "Bool": { "aws:ViaAWSService": "true" } },
    }] })]);
    let context = [("aws:calledviafirst", "b"), ("aws:ViaAWSService", "true")];
    let allows = |action, resource| policy.allows(action, resource, &context);
    assert!(allows("s3:getobject", "arn:aws:s3:::zips-1/a/b"));
    assert!(allows("s3:PutObject", "arn:aws-cn:s3:::zips-1"));
    assert!(!allows("s3:PutObjectAcl", "arn:aws:s3:::zips-1"));
    assert!(!allows("s3:GetObject", "arn:aws:s3:::Zips-1"));
    assert!(!allows("s3:GetObject", "*"));
    for part in [&context[..1], &context[1..]] {
        assert!(!policy.allows("s3:GetObject", "arn:aws:s3:::zips-1", part));
    }
}
