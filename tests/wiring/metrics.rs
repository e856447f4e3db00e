//! The metrics that are read from the logs of functions. The local AWS has no metric filters.

use std::collections::BTreeSet;

use crate::project::{resources, template};

#[test]
fn metrics_are_of_what_functions_log_and_the_dashboard_shows_them() {
    let template = template();
    let dashboard = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
        .as_str()
        .unwrap();
    let mut found = BTreeSet::new();
    for (name, filter) in resources(&template, "AWS::Logs::MetricFilter") {
        let transformation = &filter["MetricTransformations"][0];
        let Some(field) = transformation["MetricValue"]
            .as_str()
            .unwrap()
            .strip_prefix("$.fields.")
        else {
            continue;
        };
        found.insert(field);
        assert_eq!(
            filter["FilterPattern"],
            format!("{{ $.fields.{field} >= 0 }}"),
            "{name}"
        );
        let group = filter["LogGroupName"]["Ref"].as_str().unwrap();
        // The tests of the functions find these in what they log.
        let logged: &[&str] = match group {
            "FetchLogGroup" => &fetch::METRICS,
            "PackageLogGroup" => &package::METRICS,
            other => unreachable!("say here what {other} has"),
        };
        assert!(logged.contains(&field), "{group} has no {field}");
        let metric = transformation["MetricName"].as_str().unwrap();
        assert_eq!(metric, name);
        assert!(dashboard.contains(&format!("\"{metric}\"")), "{metric}");
    }
    let logged = fetch::METRICS.into_iter().chain(package::METRICS);
    assert_eq!(found, logged.collect());
}
