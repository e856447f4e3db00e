//! Compares the tables of the guides with the code and the template.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use domain::error::Explanation;
use domain::source::{Limits, Options, Provider, SourceSettings};
use fetch::GitSecret;
use serde_json::{Value, json};
use webhook::{WebhookSecret, not_sent, proof};

use crate::functions::timeout_of;
use crate::numbers::{grouped, with_unit};
use crate::project::{entries, pages, read, resources, root, template, templates, texts, variants};

/// Returns the rows of the first table below a heading, such as `## Parameters`.
pub fn table(guide: &str, heading: &str) -> Vec<Vec<String>> {
    let text = format!("\n{}", read(guide));
    let Some((_, section)) = text.split_once(&format!("\n{heading}\n")) else {
        unreachable!("{guide} has no {heading}")
    };
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    lines
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// Returns the parts of a text that are code.
pub fn code_in(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The templates, each with the pages that have its parameters and outputs, and its alarms.
fn guides() -> [([&'static str; 2], Value); 2] {
    templates().map(|(file, template)| match file {
        "template.yaml" => (
            ["docs/reference/template.md", "docs/operate/monitoring.md"],
            template,
        ),
        _ => (["docs/delivery.md"; 2], template),
    })
}

/// Asserts that a table has just these rows, in any order.
fn assert_rows(guide: &str, heading: &str, expected: impl Iterator<Item = Vec<String>>) {
    let table = table(guide, heading);
    let there: BTreeSet<_> = table.iter().cloned().collect();
    assert_eq!(there.len(), table.len(), "{guide} {heading} has a row twice");
    let expected: BTreeSet<_> = expected.collect();
    let wrong: Vec<_> = there.difference(&expected).collect();
    let missing: Vec<_> = expected.difference(&there).collect();
    assert!(
        wrong.is_empty() && missing.is_empty(),
        "{guide} {heading} has {wrong:#?} instead of {missing:#?}"
    );
}

#[test]
fn the_table_of_parameters_is_the_templates() {
    for ([guide, _], template) in guides() {
        let parameters = entries(&template["Parameters"]).map(|(name, parameter)| {
            let default = match &parameter["Default"] {
                Value::Null => "none: it has to be given".to_owned(),
                Value::String(text) if text.is_empty() => "empty".to_owned(),
                Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            };
            let description = parameter["Description"].as_str().unwrap();
            vec![format!("`{name}`"), default, description.to_owned()]
        });
        assert_rows(guide, "## Parameters", parameters);
    }
}

#[test]
fn the_table_of_outputs_is_the_templates() {
    for ([guide, _], template) in guides() {
        let outputs = entries(&template["Outputs"]).map(|(name, output)| {
            let description = output["Description"].as_str().unwrap();
            vec![format!("`{name}`"), description.to_owned()]
        });
        assert_rows(guide, "## Outputs", outputs);
    }
}

#[test]
fn the_table_of_alarms_is_the_templates() {
    for ([_, guide], template) in guides() {
        let alarms = resources(&template, "AWS::CloudWatch::Alarm").map(|(name, alarm)| {
            let description = alarm["AlarmDescription"].as_str().unwrap();
            vec![format!("`{name}`"), description.to_owned()]
        });
        assert_rows(guide, "## Alarms", alarms);
    }
}

#[test]
fn the_guide_says_of_each_git_host_what_it_does_not_send() {
    let table = table("docs/operate/missed-pushes.md", "# Missed pushes");
    for provider in Provider::ALL {
        let row = [provider.name().to_owned(), not_sent(provider).join("; ")];
        assert!(table.contains(&row.to_vec()), "{table:#?} has no {row:#?}");
    }
}

#[test]
fn the_guide_says_of_each_git_host_how_its_webhooks_are_proven() {
    let table = table("docs/guides/git-hosts.md", "# Git hosts and their webhooks");
    assert_eq!(table.len(), Provider::ALL.len());
    for (row, provider) in table.iter().zip(Provider::ALL) {
        let [host, name, choose, pushes, proven, id] = &row[..] else {
            panic!("{row:?}");
        };
        assert!(
            host.starts_with(provider.name()) && !choose.is_empty() && !pushes.is_empty(),
            "{row:?}"
        );
        let code = serde_json::to_value(provider).unwrap();
        assert_eq!(code_in(name), BTreeSet::from([code.as_str().unwrap().to_owned()]));
        let headers = code_in(&proven.to_lowercase());
        let header = proof(provider).header();
        assert!(header.is_none_or(|header| headers.contains(header)), "{row:?}");
        assert!(!code_in(id).is_empty(), "{row:?}");
    }
    // The template has all of them.
    let template = template();
    let allowed = &template["Parameters"]["Provider"]["AllowedValues"];
    assert_eq!(*allowed, json!(Provider::ALL));
}

/// Each has a heading of its own, so that it can be linked to.
#[test]
fn the_page_of_errors_is_the_catalogue() {
    let (codes, others): (Vec<_>, Vec<_>) = Explanation::all().partition(|known| known.class.is_some());
    let sections = |errors: Vec<Explanation>| {
        let sections = errors.into_iter().map(|known| {
            let class = known
                .class
                .map_or_else(String::new, |class| format!("*{class:?}.* "));
            format!(
                "### {}\n\n{}\n\n{class}{}\n",
                known.name, known.meaning, known.remedy
            )
        });
        sections.collect::<Vec<_>>().join("\n")
    };
    let page = read("docs/operate/errors.md");
    let (_, told) = page.split_once("## The errors of the functions\n\n").unwrap();
    let (of_functions, of_aws) = told
        .split_once("\n## The errors of AWS and of executions\n\n")
        .unwrap();
    assert_eq!(of_functions, sections(codes));
    assert_eq!(of_aws, sections(others));
}

#[test]
fn the_table_of_options_has_every_option_with_its_values() {
    let defaults = serde_json::to_value(Options::default()).unwrap();
    let mut options: Vec<_> = entries(&defaults)
        .filter(|(name, _)| *name != "limits")
        .map(|(name, default)| {
            let mut unknown = defaults.clone();
            unknown[name] = json!("?");
            let mut values: Vec<_> = variants::<Options>(&unknown)
                .into_iter()
                .map(|value| json!(value))
                .collect();
            if values.is_empty() {
                values = vec![json!(true), json!(false)];
            }
            assert!(values.contains(default), "{name}");
            // The default first.
            values.sort_by_key(|value| value != default);
            let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
            vec![format!("`{name}`"), values.join(", ")]
        })
        .collect();
    options.sort();
    let mut told: Vec<_> = table("docs/reference/options.md", "# Options")
        .into_iter()
        .map(|row| {
            let [name, values, does] = &row[..] else {
                panic!("{row:?}");
            };
            assert!(!does.is_empty(), "{name}");
            vec![name.clone(), values.clone()]
        })
        .collect();
    told.sort();
    assert_eq!(told, options);
}

#[test]
fn the_table_of_limits_has_every_limit_with_its_default() {
    let template = template();
    let defaults = serde_json::to_value(Limits::default()).unwrap();
    let mut limits: Vec<_> = entries(&defaults)
        .map(|(name, default)| {
            let default = default.as_u64().unwrap();
            let default = if name.ends_with("_bytes") {
                with_unit(default)
            } else {
                grouped(default)
            };
            (format!("`{name}`"), default)
        })
        .collect();
    limits.sort();
    let mut told: Vec<_> = table("docs/reference/options.md", "## Limits")
        .into_iter()
        .map(|row| {
            let [name, unit, default, bounded_by] = &row[..] else {
                panic!("{row:?}");
            };
            assert_eq!(name.contains("_bytes"), unit.starts_with("bytes"), "{name}");
            if let Some((function, seconds)) = bounded_by.split_once("'s timeout of ") {
                assert_eq!(function, "fetch");
                assert_eq!(seconds, format!("{} s", timeout_of(&template, "Fetch")));
            }
            (name.clone(), default.clone())
        })
        .collect();
    told.sort();
    assert_eq!(told, limits);
}

/// Returns the JSON examples of a page.
fn examples(page: &str) -> Vec<String> {
    let text = read(page);
    let examples = text.split("```json\n").skip(1);
    examples
        .map(|example| example.split_once("```").unwrap().0.to_owned())
        .collect()
}

#[test]
fn the_example_of_settings_is_read_by_the_code_that_reads_them() {
    let examples = examples("docs/reference/settings.md");
    let [settings] = &examples[..] else {
        panic!("there is one example");
    };
    settings.parse::<SourceSettings>().unwrap();
    // The example contains all settings.
    let example: Value = serde_json::from_str(settings).unwrap();
    let mut unknown = example.clone();
    unknown["?"] = json!(0);
    let read = serde_json::to_value(settings.parse::<SourceSettings>().unwrap()).unwrap();
    let names = |settings: &Value| {
        entries(settings)
            .map(|(name, _)| name.to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&example), names(&read));
    assert!(unknown.to_string().parse::<SourceSettings>().is_err());
}

#[test]
fn the_schema_of_settings_is_that_of_the_code_and_refuses_what_the_code_refuses() {
    let schema: Value = serde_json::from_str(&read("docs/source.schema.json")).unwrap();
    assert_eq!(
        schema,
        sources::schema(),
        "write it anew: push-code sources schema > docs/source.schema.json"
    );
    let validator = jsonschema::validator_for(&schema).unwrap();
    let example = &examples("docs/reference/settings.md")[0];
    let example: Value = serde_json::from_str(example).unwrap();
    assert!(validator.is_valid(&example));
    for pointer in [
        "",
        "/destination",
        "/options",
        "/options/limits",
        "/commit_status",
    ] {
        let mut unknown = example.clone();
        unknown.pointer_mut(pointer).unwrap()["?"] = json!(0);
        assert!(!validator.is_valid(&unknown), "{pointer}");
        assert!(
            unknown.to_string().parse::<SourceSettings>().is_err(),
            "{pointer}"
        );
    }
    for required in ["provider", "repositories", "refs", "git_hosts", "destination"] {
        let mut missing = example.clone();
        missing.as_object_mut().unwrap().remove(required);
        assert!(!validator.is_valid(&missing), "{required}");
        assert!(
            missing.to_string().parse::<SourceSettings>().is_err(),
            "{required}"
        );
    }
}

#[test]
fn the_examples_of_secrets_are_read_by_the_code_that_reads_secrets() {
    let secrets = examples("docs/reference/secrets.md");
    let [token, signing, git] = &secrets[..] else {
        panic!("there are three examples");
    };
    for webhook in [token, signing] {
        serde_json::from_str::<WebhookSecret>(webhook).unwrap();
    }
    // The guide shortens the keys.
    let keys = std::fs::read(root().join("fuzz/corpus/signers/both")).unwrap();
    let keys = String::from_utf8_lossy(&keys);
    let (ssh, openpgp) = keys.split_once("-----BEGIN").unwrap();
    let ssh = ssh.split_once("ssh-ed25519 ").unwrap().1;
    let ssh = ssh.split_whitespace().next().unwrap();
    let openpgp = json!(format!("-----BEGIN{openpgp}")).to_string();
    let app = json!(testkit::github::make_key()).to_string();
    let secret = git
        .replace("\"-----BEGIN RSA PRIVATE KEY-----\\n...\"", &app)
        .replace("ssh-ed25519 AAAA...", &format!("ssh-ed25519 {ssh}"))
        .replace("\"-----BEGIN PGP PUBLIC KEY BLOCK-----\\n...\"", &openpgp);
    assert!(
        !secret.contains("AAAA...")
            && !secret.contains("BEGIN RSA PRIVATE KEY-----\\n...")
            && !secret.contains("BLOCK-----\\n..."),
        "{secret}"
    );
    let source = "gitlab".parse().unwrap();
    let read = |text: String| GitSecret::parse(&source, &text.into(), &Arc::default());
    read(secret.clone()).unwrap_or_else(|error| panic!("{error}: {secret}"));
    let misspelt = secret.replacen("\"credentials\"", "\"credential\"", 1);
    assert!(read(misspelt).is_err());
}

#[test]
fn every_name_of_an_output_or_an_alarm_in_the_guides_is_the_templates() {
    let (push, delivery) = (template(), templates()[1].1.clone());
    // An example has a template with outputs of its own.
    let guides = pages().into_iter();
    for page in guides.filter(|page| !page.starts_with(root().join("examples"))) {
        let guide = page.display();
        // The delivery's guide also names outputs of the stack of the pushes.
        let is = |part: &str, name: &str| {
            push[part][name].is_object()
                || (page.ends_with("docs/delivery.md") && delivery[part][name].is_object())
        };
        let text = fs::read_to_string(&page).unwrap();
        for name in code_in(&text) {
            let word = name.chars().all(char::is_alphanumeric);
            if word && (name.ends_with("Alarm") || name.ends_with("Rule")) {
                assert!(is("Resources", &name), "{guide}: {name}");
            }
        }
        for before in ["output `", "$(output "] {
            for rest in text.split(before).skip(1) {
                let name: String = rest
                    .chars()
                    .take_while(|letter| letter.is_alphanumeric())
                    .collect();
                assert!(is("Outputs", &name), "{guide}: {name}");
            }
        }
    }
}

/// The pauses between attempts are those of `Fetch` and `Upload`, which have all kinds of them, and of `Record`.
#[test]
fn the_table_of_attempts_is_the_state_machines() {
    let definition: Value = serde_json::from_str(&read("statemachine/push.asl.json")).unwrap();
    let rows = [
        ("Fetch", "GitHostUnreachable"),
        ("Upload", "DestinationContended"),
        ("Record", "States.Timeout"),
        ("Fetch", "Lambda.ServiceException"),
        ("Fetch", "Lambda.TooManyRequestsException"),
    ];
    let expected: Vec<_> = rows
        .iter()
        .map(|(state, error)| {
            let retries = definition["States"][state]["Retry"].as_array().unwrap();
            let retry = retries
                .iter()
                .find(|retry| texts(&retry["ErrorEquals"]).contains(error))
                .unwrap();
            let number = |name: &str| retry[name].as_u64().unwrap();
            assert_eq!(
                (number("BackoffRate"), &retry["JitterStrategy"]),
                (2, &json!("FULL"))
            );
            let (attempts, first, longest) = (
                number("MaxAttempts"),
                number("IntervalSeconds"),
                number("MaxDelaySeconds"),
            );
            let pauses = (0..attempts).map(|attempt| longest.min(first << attempt));
            vec![
                attempts.to_string(),
                format!("{first} s"),
                format!("{longest} s"),
                minutes(pauses.sum()),
            ]
        })
        .collect();
    let told: Vec<_> = table("docs/operate/errors.md", "## How often a state is tried")
        .iter()
        .map(|row| row[1..].to_vec())
        .collect();
    assert_eq!(told, expected);
}

/// Returns a time as the pages have it: `4.5 min`, `56 min` or `2 h 5 min`.
fn minutes(seconds: u64) -> String {
    match seconds {
        0..600 => format!("{:.1} min", Duration::from_secs(seconds).as_secs_f64() / 60.0),
        600..3600 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
