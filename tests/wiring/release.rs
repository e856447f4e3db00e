//! A release, and what says of which version it is.

use serde_json::json;

use crate::project::{read, template};

#[test]
fn the_template_and_the_command_say_the_workspaces_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(template()["Outputs"]["Version"]["Value"], version);
    let workspace = read("Cargo.toml");
    let (_, package) = workspace.split_once("\n[workspace.package]\n").unwrap();
    assert!(package.starts_with(&format!("version = \"{version}\"\n")));
    for program in ["cli", "cli/release"] {
        let manifest = read(&format!("{program}/Cargo.toml"));
        assert!(manifest.contains("\nversion.workspace = true\n"), "{program}");
    }
}

#[test]
fn the_output_of_the_workflows_page_names_the_state_machine_in_the_console() {
    let url = &template()["Outputs"]["StateMachineUrl"]["Value"]["Fn::Sub"];
    let text = url[0].as_str().unwrap();
    let (console, page) = text.split_once('#').unwrap();
    assert_eq!(page, "/statemachines/view/${PushStateMachine}");
    // It is in the same console as the executions that mails and events link to.
    let machine = &template()["Resources"]["PushStateMachine"]["Properties"];
    let executions = &machine["DefinitionSubstitutions"]["ExecutionsUrl"]["Fn::Sub"];
    assert!(
        executions[0]
            .as_str()
            .unwrap()
            .starts_with(&format!("{console}#/"))
    );
    assert_eq!(url[1], executions[1]);
    assert_eq!(
        url[1]["Host"]["Fn::FindInMap"][1],
        json!({ "Ref": "AWS::Partition" })
    );
}
