//! The guide to the network, and what the functions in the subnets call.

use std::collections::{BTreeMap, BTreeSet};

use crate::docs::{code_in, table};
use crate::project::{resources, statements, template, texts};

#[test]
fn the_endpoints_are_those_of_the_services_that_functions_in_the_subnets_call() {
    let template = template();
    let mut called: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let functions = resources(&template, "AWS::Serverless::Function");
    for (name, function) in functions.filter(|(_, function)| !function["VpcConfig"].is_null()) {
        let name = name.trim_end_matches("Function").to_lowercase();
        for statement in statements(&template, function) {
            for action in texts(&statement["Action"]) {
                let (service, _) = action.split_once(':').unwrap();
                // Lambda itself sends what its destination gets.
                if service == "events" {
                    continue;
                }
                called.entry(service.to_owned()).or_default().insert(name.clone());
            }
        }
    }
    let told = table("docs/install/network.md", "## Endpoints")
        .into_iter()
        .map(|row| {
            let [service, _, functions] = &row[..] else {
                panic!("{row:?}");
            };
            (service.trim_matches('`').to_owned(), code_in(functions))
        });
    assert_eq!(told.collect::<BTreeMap<_, _>>(), called);
}
