//! Tests the gateway: its authorization, metrics and throttling.

use ::webhook::{WebhookSecret, codecommit};
use domain::source::Provider;
use serde_json::{Value, json};

use crate::project::{capitalised, read, resources, template};

#[test]
fn no_response_of_authorize_is_cached() {
    let template = template();
    let (_, authorizer) = resources(&template, "AWS::ApiGatewayV2::Authorizer")
        .next()
        .unwrap();
    assert_eq!(authorizer["AuthorizerResultTtlInSeconds"], 0);
    // Each kind of git host sends another header, and a request without one that is named here would be refused.
    assert_eq!(authorizer["IdentitySource"], json!(["$context.routeKey"]));
    for (name, route) in resources(&template, "AWS::ApiGatewayV2::Route") {
        assert_eq!(route["AuthorizationType"], "CUSTOM", "{name} is open to all");
    }
}

#[test]
fn a_refused_webhook_raises_an_alarm() {
    let template = template();
    webhooks_are_counted_in(&template, "WebhookRefusals", &["400", "409", "413", "429"]);
    webhooks_are_counted_in(&template, "WebhooksAccepted", &["200", "202"]);
    let format = &template["Resources"]["WebhookStage"]["Properties"]["AccessLogSettings"]["Format"];
    assert!(
        format
            .as_str()
            .unwrap()
            .contains("\"status\":\"$context.status\"")
    );
    let refusals = alarm_on(&template, "WebhookRefusals");
    assert_eq!(refusals["ComparisonOperator"], "GreaterThanOrEqualToThreshold");
    assert_eq!(refusals["TreatMissingData"], "notBreaching");
    // The alarm of silence has no data just then.
    let silence = alarm_on(&template, "WebhooksAccepted");
    assert_eq!(silence["ComparisonOperator"], "LessThanThreshold");
    assert_eq!(silence["TreatMissingData"], "breaching");
    assert_eq!(silence["Period"], 3600);
    assert_eq!(silence["EvaluationPeriods"], json!({ "Ref": "SilenceHours" }));
}

#[test]
fn a_burst_of_webhooks_is_not_refused_and_uses_reserved_concurrency() {
    let template = template();
    let stage = &template["Resources"]["WebhookStage"]["Properties"]["DefaultRouteSettings"];
    assert!(stage["ThrottlingBurstLimit"].as_u64().unwrap() >= 500);
    let reserved = |condition: &str, parameter: &str| json!({ "Fn::If": [condition, { "Ref": parameter }, { "Ref": "AWS::NoValue" }] });
    for (verbs, expected) in [
        (
            &["authorize", "accept"][..],
            reserved("ReserveForWebhook", "WebhookConcurrency"),
        ),
        (
            &["fetch", "package", "upload"],
            reserved("ReserveForStages", "StageConcurrency"),
        ),
        // Validate and Record, the first and the last stage of a push, are not limited.
        (&["validate", "record"], Value::Null),
    ] {
        for verb in verbs {
            let function = &template["Resources"][capitalised(verb) + "Function"]["Properties"];
            assert_eq!(function["ReservedConcurrentExecutions"], expected, "{verb}");
        }
    }
}

/// Secrets of the form that each host has, made by Secrets Manager.
#[test]
fn the_webhook_secret_that_is_made_is_read_by_the_code_that_reads_it() {
    let template = template();
    let made = &template["Resources"]["WebhookSecret"]["Properties"]["GenerateSecretString"];
    assert_eq!(
        template["Conditions"]["SendsToken"],
        json!({ "Fn::Equals": [{ "Ref": "Provider" }, "gitlab"] })
    );
    for provider in Provider::ALL {
        let (branch, name) = match provider {
            Provider::GitLab => (1, json!("gitlab")),
            _ => (2, json!(provider)),
        };
        let chosen = |property: &str| {
            assert_eq!(made[property]["Fn::If"][0], "SendsToken");
            let chosen = &made[property]["Fn::If"][branch];
            let text = chosen["Fn::Sub"].as_str().or(chosen.as_str()).unwrap();
            text.replace("${Provider}", name.as_str().unwrap())
        };
        let mut secret: Value = serde_json::from_str(&chosen("SecretStringTemplate")).unwrap();
        secret[chosen("GenerateStringKey")] = json!("random");
        let secret: WebhookSecret = serde_json::from_value(secret).unwrap();
        assert_eq!(secret.provider, provider);
    }
}

/// What a rule sends is what the function reads, whether the template has made the rule or a person by the guide.
#[test]
fn the_rule_of_codecommit_sends_what_accept_reads() {
    let template = template();
    let rule = &template["Resources"]["SourceRule"]["Properties"];
    let input = rule["Targets"][0]["InputTransformer"]["InputTemplate"]["Fn::Sub"]
        .as_str()
        .unwrap();
    let event = codecommit::event(&::webhook::sample("refs/heads/main")).to_string();
    let sent = input
        .replace("${SourceName}", "codecommit")
        .replace("<aws.events.event.json>", &event);
    serde_json::from_str::<accept::event::SourceEvent>(&sent).unwrap();
    // A request of the gateway has other members, and none of these.
    let request = r#"{"version":"2.0","source_name":"codecommit","event":{}}"#;
    assert!(serde_json::from_str::<accept::event::SourceEvent>(request).is_err());

    let guide = read("docs/guides/git-hosts.md");
    let escaped = input.replace("${SourceName}", "NAME").replace('"', "\\\"");
    assert!(guide.contains(&escaped), "{escaped}");
    let name = rule["Name"]["Fn::Sub"].as_str().unwrap();
    let allowed = &template["Resources"]["SourceRulePermission"]["Properties"]["SourceArn"]["Fn::Sub"];
    let allowed = allowed.as_str().unwrap().rsplit_once('/').unwrap().1;
    assert_eq!(name.replace("${SourceName}", "*"), allowed);
}

/// Asserts that a metric filter of this name counts these responses of the webhook, and no others.
fn webhooks_are_counted_in(template: &Value, metric: &str, statuses: &[&str]) {
    let filter = &template["Resources"][metric]["Properties"];
    assert_eq!(filter["LogGroupName"], json!({ "Ref": "WebhookLogGroup" }));
    let any: Vec<_> = statuses
        .iter()
        .map(|status| format!("($.status = \"{status}\")"))
        .collect();
    assert_eq!(filter["FilterPattern"], format!("{{ {} }}", any.join(" || ")));
    assert_eq!(filter["MetricTransformations"][0]["MetricName"], metric);
}

/// Returns the alarm on a metric filter of this name, which notifies the failure topic.
fn alarm_on<'a>(template: &'a Value, metric: &str) -> &'a Value {
    let (_, alarm) = resources(template, "AWS::CloudWatch::Alarm")
        .find(|(_, alarm)| alarm["MetricName"] == metric)
        .unwrap();
    let counted = &template["Resources"][metric]["Properties"]["MetricTransformations"][0];
    assert_eq!(alarm["Namespace"], counted["MetricNamespace"]);
    assert_eq!(alarm["Statistic"], "Sum");
    assert_eq!(alarm["Threshold"], 1);
    assert_eq!(alarm["AlarmActions"], json!([{ "Ref": "FailureTopic" }]));
    alarm
}
