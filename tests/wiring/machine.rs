//! The state machines. Each file in `statemachine` is one, with its resource in one of the templates.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::project::{capitalised, entries, items, read, resources, root, templates};

/// The function that shows the status of commits on the git host. The push goes on whatever comes of it.
pub const REPORT: &str = "Report";

/// A state machine.
pub struct Machine {
    /// The file's name without its ending, as `push`.
    pub name: String,
    /// The file's text.
    pub text: String,
    /// The text, parsed.
    pub definition: Value,
    /// The template that deploys it.
    pub template: Value,
}

/// Returns every state machine.
pub fn machines() -> Vec<Machine> {
    let mut machines: Vec<_> = files().iter().map(|name| Machine::read(name)).collect();
    machines.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!machines.is_empty());
    machines
}

/// The names of the files, as `push`.
fn files() -> BTreeSet<String> {
    let files = fs::read_dir(root().join("statemachine")).unwrap();
    files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .map(|file| file.strip_suffix(".asl.json").unwrap_or(&file).to_owned())
        .collect()
}

impl Machine {
    /// Reads the state machine of this name.
    pub fn read(name: &str) -> Self {
        let text = read(&format!("statemachine/{name}.asl.json"));
        let resource = capitalised(name) + "StateMachine";
        let (_, template) = templates()
            .into_iter()
            .find(|(_, template)| template["Resources"][&resource].is_object())
            .unwrap();
        Self {
            name: name.to_owned(),
            definition: serde_json::from_str(&text).unwrap(),
            text,
            template,
        }
    }

    /// The name of its resource in the template, as `PushStateMachine`.
    pub fn resource(&self) -> String {
        capitalised(&self.name) + "StateMachine"
    }

    /// What the template says of it.
    pub fn properties(&self) -> &Value {
        &self.template["Resources"][self.resource()]["Properties"]
    }

    pub fn state(&self, name: &str) -> &Value {
        &self.definition["States"][name]
    }

    pub fn states(&self) -> impl Iterator<Item = (&str, &Value)> {
        entries(&self.definition["States"])
    }

    /// The tasks and those that a map repeats.
    pub fn all_tasks(&self) -> impl Iterator<Item = (&str, &Value)> {
        let repeated = self
            .states()
            .flat_map(|(_, state)| entries(&state["ItemProcessor"]["States"]));
        self.states()
            .chain(repeated)
            .filter(|(_, state)| state["Type"] == "Task")
    }

    /// The states that may fail.
    pub fn failing(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.states()
            .filter(|(_, state)| state["Type"] == "Task" || state["Type"] == "Map")
    }

    pub fn tasks(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.states().filter(|(_, state)| state["Type"] == "Task")
    }

    /// The tasks that run a function: the state's name, the state, and the function as `Fetch`.
    pub fn stages(&self) -> impl Iterator<Item = (&str, &Value, &str)> {
        self.tasks()
            .filter_map(|(name, task)| Some((name, task, function_of(task)?)))
    }

    /// The tasks that call a service without a function of the project, also those that a map repeats: the state's
    /// name, the state, and the service as `ssm`.
    pub fn calls(&self) -> impl Iterator<Item = (&str, &Value, &str)> {
        self.all_tasks()
            .filter(|(_, task)| function_of(task).is_none())
            .map(|(name, task)| {
                let service = task["Resource"].as_str().unwrap().rsplit(':').nth(1).unwrap();
                (name, task, service)
            })
    }

    /// Returns the states that may follow a state directly, except that a redriven execution begins again.
    fn next(&self, name: &str) -> BTreeSet<&str> {
        let state = self.state(name);
        let start = self.definition["StartAt"].as_str();
        let branches = items(&state["Choices"]).chain(items(&state["Catch"]));
        branches
            .map(|branch| &branch["Next"])
            .chain([&state["Next"], &state["Default"]])
            .filter_map(Value::as_str)
            .filter(|next| Some(*next) != start)
            .collect()
    }

    /// Returns the states that may follow a state, including the state itself if it may be entered again.
    pub fn after(&self, name: &str) -> BTreeSet<&str> {
        let mut open = self.next(name);
        let mut reached = BTreeSet::new();
        while let Some(name) = open.pop_first() {
            if reached.insert(name) {
                open.extend(self.next(name));
            }
        }
        reached
    }

    /// Returns the tasks that may be entered again in one execution, besides their retries.
    pub fn repeated(&self) -> BTreeSet<&str> {
        self.tasks()
            // It leads back to the choice that leads to it once.
            .filter(|(_, task)| function_of(task) != Some(REPORT))
            .map(|(name, _)| name)
            .filter(|name| self.after(name).contains(name))
            .collect()
    }

    /// Returns the states after a failure, which continue whatever happens, so that the first failure is published and
    /// kept.
    pub fn after_a_failure(&self) -> BTreeSet<&str> {
        self.after("NormalizeFailure")
    }
}

/// The function that a state runs, as `Fetch`. `None` if it runs no function.
pub fn function_of(state: &Value) -> Option<&str> {
    state["Arguments"]["FunctionName"]
        .as_str()?
        .strip_prefix("${")?
        .strip_suffix("FunctionArn}")
}

#[test]
fn every_definition_is_a_state_machine_that_is_logged_and_traced() {
    let deployed: BTreeSet<_> = templates()
        .iter()
        .flat_map(|(_, template)| resources(template, "AWS::Serverless::StateMachine"))
        .map(|(name, _)| name.to_owned())
        .collect();
    let machines = machines();
    assert_eq!(
        machines.iter().map(Machine::resource).collect::<BTreeSet<_>>(),
        deployed
    );
    for machine in machines {
        let name = &machine.name;
        let properties = machine.properties();
        assert_eq!(
            properties["DefinitionUri"],
            format!("statemachine/{name}.asl.json")
        );
        assert_eq!(properties["Type"], "STANDARD", "{name}");
        assert_eq!(properties["Tracing"]["Enabled"], true, "{name}");
        let log_group = capitalised(name) + "LogGroup";
        assert_eq!(
            machine.template["Resources"][&log_group]["Type"], "AWS::Logs::LogGroup",
            "{name}"
        );
        let destination = &properties["Logging"]["Destinations"][0]["CloudWatchLogsLogGroup"];
        assert_eq!(
            destination["LogGroupArn"],
            json!({ "Fn::GetAtt": format!("{log_group}.Arn") }),
            "{name}"
        );
    }
}
