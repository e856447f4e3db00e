//! Tests the gateway: its authorization, metrics and throttling.

use serde_json::{Value, json};

use crate::project::{capitalised, resources, template};

#[test]
fn no_response_of_authorize_is_cached() {
    let template = template();
    let (_, authorizer) = resources(&template, "AWS::ApiGatewayV2::Authorizer")
        .next()
        .unwrap();
    assert_eq!(authorizer["AuthorizerResultTtlInSeconds"], 0);
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
