//! The example application: its template, its definition and its buildspec, compared with its code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use find::FindError;
use local_aws::application::DEEPEST_THREAD;
use serde_json::{Value, json};

use crate::project::{
    capitalised, entries, items, parse, read, resources, root, rust_files, statements, substitutions, texts,
};

const FOLDER: &str = "examples/deepest-thread";

/// The errors of Lambda itself after which the same call may succeed a moment later.
const LAMBDA_TRANSIENT: [&str; 5] = [
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
];

fn template() -> Value {
    parse(DEEPEST_THREAD.template)
}

fn definition() -> Value {
    serde_json::from_str(&read(&format!("{FOLDER}/deepest.asl.json"))).unwrap()
}

/// Returns a function's properties and the text of its code.
fn function(template: &Value, verb: &str) -> (Value, String) {
    let function = template["Resources"][capitalised(verb) + "Function"]["Properties"].clone();
    let files = rust_files(&root().join(format!("{FOLDER}/{verb}/src")));
    let code = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    (function, code)
}

/// The role with which a delivery makes an application may only make state machines of such names. CloudFormation gives
/// other resources names with that of the stack (<https://github.com/aws/aws-sam-cli/issues/2022>).
#[test]
fn the_examples_state_machines_have_the_name_of_their_stack() {
    let template = template();
    let machines: Vec<_> = resources(&template, "AWS::Serverless::StateMachine").collect();
    assert!(!machines.is_empty());
    for (name, machine) in machines {
        let given = machine["Name"]["Fn::Sub"].as_str().unwrap_or_default();
        assert!(given.starts_with("${AWS::StackName}-"), "{name}");
    }
}

#[test]
fn the_examples_functions_are_those_of_its_template_with_logs_and_alarms() {
    let template = template();
    let there: BTreeSet<_> = resources(&template, "AWS::Serverless::Function")
        .map(|(name, _)| name.to_owned())
        .collect();
    let built = DEEPEST_THREAD
        .functions
        .iter()
        .map(|verb| capitalised(verb) + "Function");
    assert_eq!(there, built.collect());
    for verb in DEEPEST_THREAD.functions {
        let name = capitalised(verb);
        let (function, code) = function(&template, verb);
        assert_eq!(function["CodeUri"], **verb);
        assert_eq!(
            function["LoggingConfig"]["LogGroup"],
            json!({ "Ref": format!("{name}LogGroup") })
        );
        let alarm = &template["Resources"][format!("{name}ErrorsAlarm")]["Properties"];
        assert_eq!(alarm["MetricName"], "Errors", "{name}");
        assert_eq!(
            alarm["Dimensions"][0]["Value"],
            json!({ "Ref": format!("{name}Function") })
        );
        let given = entries(&function["Environment"]["Variables"]);
        for (variable, _) in given {
            assert!(
                code.contains(&format!("(\"{variable}\")")),
                "{name} does not read {variable}"
            );
        }
    }
}

/// The deployment moves traffic by the alias. A plain `sam deploy` moves it to the newest version at once.
#[test]
fn all_traffic_of_the_example_goes_to_the_alias_that_a_deployment_moves() {
    let template = template();
    for verb in DEEPEST_THREAD.functions {
        let function = capitalised(verb) + "Function";
        let parameter = format!("{function}LiveVersion");
        let properties = &template["Resources"][&function]["Properties"];
        assert_eq!(properties["AutoPublishAlias"], "next");
        assert_eq!(template["Parameters"][&parameter]["Default"], "");
        assert_eq!(
            template["Conditions"][format!("Has{parameter}")],
            json!({ "Fn::Not": [{ "Fn::Equals": [{ "Ref": parameter }, ""] }] })
        );
        assert_eq!(
            template["Resources"][format!("{function}LiveAlias")]["Properties"],
            json!({
                "Name": "live",
                "FunctionName": { "Ref": function },
                "FunctionVersion": { "Fn::If": [
                    format!("Has{parameter}"),
                    { "Ref": parameter },
                    { "Fn::GetAtt": format!("{function}.Version.Version") },
                ] },
            })
        );
    }
    let ask = json!({ "Ref": "AskFunctionLiveAlias" });
    for (_, integration) in resources(&template, "AWS::ApiGatewayV2::Integration") {
        assert_eq!(integration["IntegrationUri"], ask);
    }
    for (_, permission) in resources(&template, "AWS::Lambda::Permission") {
        assert_eq!(permission["FunctionName"], ask);
    }
    for (_, machine) in resources(&template, "AWS::Serverless::StateMachine") {
        let find = json!({ "Ref": "FindFunctionLiveAlias" });
        assert_eq!(machine["DefinitionSubstitutions"]["FindFunctionArn"], find);
        let invokes: Vec<_> = statements(&template, machine)
            .into_iter()
            .filter(|statement| texts(&statement["Action"]).contains("lambda:InvokeFunction"))
            .collect();
        assert_eq!(invokes.len(), 1);
        assert_eq!(invokes[0]["Resource"], find);
    }
}

#[test]
fn every_role_of_the_example_may_do_what_its_code_calls_and_no_more() {
    let template = template();
    for (verb, expected) in [
        (
            "ask",
            &[
                ("states:DescribeExecution", ".describe_execution()"),
                ("states:StartExecution", ".start_execution()"),
            ][..],
        ),
        ("find", &[]),
    ] {
        let (function, code) = function(&template, verb);
        let statements = statements(&template, &function);
        let allowed: BTreeSet<_> = statements
            .iter()
            .flat_map(|statement| texts(&statement["Action"]))
            .collect();
        assert_eq!(
            allowed,
            expected.iter().map(|(action, _)| *action).collect(),
            "{verb}"
        );
        for (_, call) in expected {
            assert!(code.contains(call), "{verb} does not call {call}");
        }
        for statement in statements {
            let resource = statement["Resource"].to_string();
            assert!(resource.contains("DeepestStateMachine"), "{verb}: {resource}");
        }
        assert!(!read(&format!("{FOLDER}/{verb}/Cargo.toml")).contains("aws-sdk-") || verb == "ask");
    }
    let (_, machine) = resources(&template, "AWS::Serverless::StateMachine")
        .next()
        .unwrap();
    let allowed: BTreeSet<_> = statements(&template, machine)
        .into_iter()
        .flat_map(|statement| texts(&statement["Action"]))
        .filter(|action| !action.starts_with("logs:"))
        .collect();
    assert_eq!(allowed, BTreeSet::from(["lambda:InvokeFunction"]));
}

#[test]
fn the_examples_definition_retries_exactly_the_errors_that_may_pass() {
    let definition = definition();
    let schema = serde_json::from_str(&read("tests/asl.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&definition)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let find = &definition["States"]["Find"];
    let retriers: Vec<_> = items(&find["Retry"])
        .map(|retrier| texts(&retrier["ErrorEquals"]))
        .collect();
    assert_eq!(
        retriers,
        [
            BTreeSet::from(FindError::TRANSIENT),
            BTreeSet::from(LAMBDA_TRANSIENT)
        ]
    );
    assert_eq!(find["Catch"][0]["ErrorEquals"], json!(["States.ALL"]));
    assert_eq!(find["Catch"][0]["Next"], "Failed");
    // The state waits for the function, and the execution for all attempts.
    let template = template();
    let timeout = template["Resources"]["FindFunction"]["Properties"]["Timeout"]
        .as_u64()
        .unwrap();
    assert!(find["TimeoutSeconds"].as_u64().unwrap() > timeout);
    let (_, machine) = resources(&template, "AWS::Serverless::StateMachine")
        .next()
        .unwrap();
    let given: BTreeSet<_> = entries(&machine["DefinitionSubstitutions"])
        .map(|(name, _)| name)
        .collect();
    assert_eq!(given, substitutions(&read(&format!("{FOLDER}/deepest.asl.json"))));
}

#[test]
fn the_examples_buildspec_tests_all_its_crates_and_gives_what_sam_has_built() {
    let buildspec = parse(&format!("{FOLDER}/buildspec.yml"));
    let exported = texts(&buildspec["env"]["exported-variables"]);
    assert_eq!(exported, BTreeSet::from(["TESTS_PASSED", "TESTS_SKIPPED"]));
    let tests = buildspec["phases"]["pre_build"].to_string();
    for name in &exported {
        assert!(tests.contains(&format!("export {name}=")), "{name}");
    }
    let crates = fs::read_dir(root().join(FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap());
    let has_tests = |folder: &Path| {
        let mut files = rust_files(folder).into_iter();
        files.any(|file| fs::read_to_string(file).unwrap().contains("test]\n"))
    };
    let crates = crates.filter(|entry| entry.path().join("Cargo.toml").is_file() && has_tests(&entry.path()));
    for name in crates.map(|entry| entry.file_name().into_string().unwrap()) {
        assert!(tests.contains(&format!("-p {name} ")), "{name} is not tested");
    }
    assert!(buildspec["phases"]["build"].to_string().contains("sam build"));
    assert_eq!(
        buildspec["artifacts"]["base-directory"],
        format!("{FOLDER}/.aws-sam/build")
    );
}
