//! The metrics that are read from the logs of functions. The local AWS has no metric filters.

use crate::project::{read, resources, template};

#[test]
fn metrics_are_of_what_functions_log_and_the_dashboard_shows_them() {
    let template = template();
    let dashboard = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
        .as_str()
        .unwrap();
    let mut found = 0;
    for (name, filter) in resources(&template, "AWS::Logs::MetricFilter") {
        let transformation = &filter["MetricTransformations"][0];
        let Some(field) = transformation["MetricValue"]
            .as_str()
            .unwrap()
            .strip_prefix("$.fields.")
        else {
            continue;
        };
        found += 1;
        assert_eq!(
            filter["FilterPattern"],
            format!("{{ $.fields.{field} >= 0 }}"),
            "{name}"
        );
        let group = filter["LogGroupName"]["Ref"].as_str().unwrap();
        let function = group.strip_suffix("LogGroup").unwrap().to_lowercase();
        let code = read(&format!("lambdas/{function}/src/lib.rs"));
        let logged = [format!("{field},"), format!("{field} = ")];
        assert!(
            logged.iter().any(|logged| code.contains(logged)),
            "{function} logs no {field}"
        );
        let metric = transformation["MetricName"].as_str().unwrap();
        assert_eq!(metric, name);
        assert!(dashboard.contains(&format!("\"{metric}\"")), "{metric}");
    }
    assert_eq!(found, 4);
}
