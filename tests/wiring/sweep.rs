//! The schedule of the sweep, and how people are told what it finds. The local AWS runs schedules; what it does not
//! have are alarms, metric filters, and the results of functions that Lambda sends on.

use ::sweep::{ALARM_FIELDS, Listing, Report, Request, SEPARATE_ALARM_FIELDS, SkippedRepository};
use serde_json::{Value, json};

use crate::project::{entries, read, role_statements, template};

#[test]
fn the_schedule_asks_for_everything_at_the_rate_of_the_parameter_unless_that_is_empty() {
    let template = template();
    let schedule = &template["Resources"]["SweepSchedule"];
    assert_eq!(schedule["Condition"], "SweepIsOn");
    let off = json!({ "Fn::Not": [{ "Fn::Equals": [{ "Ref": "SweepRate" }, ""] }] });
    assert_eq!(template["Conditions"]["SweepIsOn"], off);
    let properties = &schedule["Properties"];
    assert_eq!(properties["ScheduleExpression"], json!({ "Ref": "SweepRate" }));
    let target = &properties["Target"];
    let input: Value = serde_json::from_str(target["Input"].as_str().unwrap()).unwrap();
    let request: Request = serde_json::from_value(input).unwrap();
    assert!(request.sources.is_none() && request.grace_seconds.is_none());
    assert_eq!(
        target["RoleArn"],
        json!({ "Fn::GetAtt": "SweepScheduleRole.Arn" })
    );
    let role = &template["Resources"]["SweepScheduleRole"];
    assert_eq!(role["Condition"], "SweepIsOn");
    let trust = &role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0];
    assert_eq!(
        trust["Principal"],
        json!({ "Service": "scheduler.amazonaws.com" })
    );
    let statements = role_statements(&template, "SweepScheduleRole");
    let [statement] = statements[..] else {
        panic!("{statements:?}")
    };
    assert_eq!(statement["Action"], "lambda:InvokeFunction");
    assert_eq!(statement["Resource"], target["Arn"]);
}

/// The filter names the fields of the line that the function logs, and the alarm counts what it finds.
#[test]
fn what_a_sweep_cannot_put_right_raises_an_alarm() {
    let template = template();
    let filter = &template["Resources"]["SweepFindings"]["Properties"];
    assert_eq!(filter["LogGroupName"], json!({ "Ref": "SweepLogGroup" }));
    let any = ALARM_FIELDS.map(|field| format!("($.fields.{field} > 0)"));
    assert_eq!(filter["FilterPattern"], format!("{{ {} }}", any.join(" || ")));
    let alarm = &template["Resources"]["SweepFindingsAlarm"]["Properties"];
    let counted = &filter["MetricTransformations"][0];
    assert_eq!(alarm["MetricName"], counted["MetricName"]);
    assert_eq!(alarm["Namespace"], counted["MetricNamespace"]);
    // A finding stays for many runs, and is one alarm.
    assert_eq!(alarm["Period"], 3600);
    let failures = &template["Resources"]["SweepErrorsAlarm"]["Properties"];
    assert_eq!(
        failures["Dimensions"][0]["Value"],
        json!({ "Ref": "SweepFunction" })
    );
    assert_eq!(failures["MetricName"], "Errors");
    for alarm in [alarm, failures] {
        assert_eq!(alarm["AlarmActions"], json!([{ "Ref": "FailureTopic" }]));
        assert_eq!(alarm["Threshold"], 1);
        assert_eq!(alarm["TreatMissingData"], "notBreaching");
    }
}

/// They have alarms of their own: a login that ends may be an alarm for weeks, and a push of several tags leaves some
/// of them to the sweep, so that one run is no sign that webhooks do not arrive.
#[test]
fn logins_that_end_and_pushes_that_come_by_the_sweep_alone_raise_alarms_of_their_own() {
    let template = template();
    for (name, field) in ["SweepDeliveries", "ExpiringLogins"]
        .into_iter()
        .zip(SEPARATE_ALARM_FIELDS)
    {
        let filter = &template["Resources"][name]["Properties"];
        assert_eq!(filter["LogGroupName"], json!({ "Ref": "SweepLogGroup" }));
        assert_eq!(filter["FilterPattern"], format!("{{ $.fields.{field} > 0 }}"));
        let alarm = &template["Resources"][format!("{name}Alarm")]["Properties"];
        let counted = &filter["MetricTransformations"][0];
        assert_eq!(alarm["MetricName"], counted["MetricName"]);
        assert_eq!(alarm["Namespace"], counted["MetricNamespace"]);
        assert_eq!(alarm["AlarmActions"], json!([{ "Ref": "FailureTopic" }]));
    }
    let alarm = &template["Resources"]["SweepDeliveriesAlarm"]["Properties"];
    let [period, periods, to_alarm] =
        ["Period", "EvaluationPeriods", "DatapointsToAlarm"].map(|name| alarm[name].as_u64().unwrap());
    assert!(1 < to_alarm && to_alarm < periods);
    // CloudWatch looks at a day at most.
    assert_eq!(period * periods, 86_400);
}

#[test]
fn the_report_goes_to_the_event_bus() {
    let template = template();
    let function = &template["Resources"]["SweepFunction"]["Properties"];
    let destination = &function["EventInvokeConfig"]["DestinationConfig"]["OnSuccess"];
    assert_eq!(destination["Type"], "EventBridge");
    let bus = destination["Destination"]["Fn::Sub"].as_str().unwrap();
    assert!(bus.ends_with(":event-bus/${EventBusName}"), "{bus}");
    // The guide names the fields of the report.
    let guide = read("docs/operate/missed-pushes.md");
    let report = serde_json::to_value(Report::default()).unwrap();
    for (field, value) in entries(&report) {
        let is_list = serde_json::from_value::<Listing<SkippedRepository>>(value.clone()).is_ok();
        assert!(!is_list || guide.contains(&format!("`{field}`")), "{field}");
    }
}
