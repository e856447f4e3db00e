//! `push-code deploy`: the stack, from this checkout or a release into the AWS account of the usual variables and
//! profiles.

mod origin;
mod parameters;
mod tags;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use deployed_stack::stack::find;
use deployed_stack::{Stack, login};
use domain::source::Provider;
use local_aws::sam::Target;
use serde_json::json;
use shell::ask;
use shell::progress::Progress;
use stacks::Phase;

use self::origin::Origin;
use self::parameters::Template;
use crate::Error;
use crate::results::Results;
use crate::sources::agree;

/// What to deploy, and how.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The stack.
    #[arg(long, value_name = "STACK", default_value = "push-code", value_parser = parse_name)]
    stack: String,
    /// A parameter of the template, as `push-code docs reference/template` lists them. May be repeated.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    parameters: Vec<(String, String)>,
    /// A tag of the stack and of what it creates. May be repeated. A stack that is there keeps the tags that are not
    /// named.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tags::parse)]
    tags: Vec<(String, String)>,
    /// Deploy a release instead of building this checkout: its archive push-code-VERSION.tar.gz, or the folder that was
    /// in it. An archive is checked against SHA256SUMS if that file is beside it. The parameter Architecture chooses
    /// for which processors.
    #[arg(long, value_name = "PATH")]
    release: Option<PathBuf>,
    /// Do not ask anything.
    #[arg(long)]
    yes: bool,
}

fn parse_parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Parses a stack's name, which CloudFormation would refuse only after the build.
fn parse_name(text: &str) -> Result<String, &'static str> {
    let is_valid = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.len() <= 128
        && text.chars().all(|one| one.is_ascii_alphanumeric() || one == '-');
    is_valid
        .then(|| text.to_owned())
        .ok_or("it has to be of letters, digits and hyphens, a letter first")
}

/// Returns the stack of this name, or `None` if nothing was ever created in it.
async fn existing(config: &aws_config::SdkConfig, name: &str) -> Result<Option<stacks::Stack>, Error> {
    let Some(stack) = find(config, name).await? else {
        return Ok(None);
    };
    let remedy = match stack.phase() {
        Phase::Empty | Phase::Deleted => return Ok(None),
        Phase::Ready | Phase::RolledBack => return Ok(Some(stack)),
        Phase::Busy => "wait until that has ended",
        Phase::NeverCreated => "its creation has failed: delete it (aws cloudformation delete-stack)",
        Phase::Stuck => {
            "see its events in the CloudFormation console, and continue its rollback or delete it"
        }
    };
    Err(Error::StackState {
        stack: name.to_owned(),
        status: stack.status,
        remedy,
    })
}

/// Runs the command.
///
/// # Errors
/// Returns an error if a parameter is missing or wrong, if there are no credentials, or if the build or the deployment
/// fails.
pub async fn run(
    args: DeployArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<(), Error> {
    let mut given: BTreeMap<_, _> = args.parameters.into_iter().collect();
    let origin = Origin::find(args.release.as_deref(), progress)?;
    let file = origin.template(origin.architecture(&given, None)?);
    let text = std::fs::read_to_string(&file).map_err(Error::io("read", &file))?;
    let template = Template::parse(&text)
        .map_err(|reason| Error::Usage(format!("{} is not the template: {reason}", file.display())))?;
    template.check(&given)?;
    let config = ::aws::user_config().await;
    let region = config
        .region()
        .ok_or(deployed_stack::Error::NoRegion)?
        .to_string();
    let caller = login::caller(&config).await?;
    let existing = existing(&config, &args.stack).await?;
    let architecture = origin.architecture(&given, existing.as_ref())?;
    given
        .entry("Architecture".to_owned())
        .or_insert_with(|| architecture.to_string());
    let tags = tags::of(existing.as_ref(), args.tags);
    // A stack that is there keeps the values that are not given.
    let provider = match existing {
        Some(_) => None,
        None => {
            complete(&template, &mut given, args.yes)?;
            template.check(&given)?;
            Some(template.provider(&given)?)
        }
    };
    let verb = if provider.is_some() { "Create" } else { "Update" };
    let values = given.iter().map(|(name, value)| format!("  {name} = {value}"));
    let values = values.chain(tags.iter().map(|(key, value)| format!("  tag {key} = {value}")));
    let values: Vec<_> = values.collect();
    let what = format!(
        "{verb} the stack {} in {region}, as {caller}, from {}:\n{}",
        args.stack,
        origin.describe(),
        values.join("\n")
    );
    if args.yes {
        progress.line(&what);
    } else {
        agree(&format!("{what}\n{verb} it?"), "--yes")?;
    }
    let target = Target {
        name: &args.stack,
        parameters: &given,
        tags: &tags,
    };
    let stack = origin.deploy(&config, target, architecture, progress).await?;
    results.put(json!({ "stack": stack.name(), "outputs": stack.outputs() }));
    results.text(match provider {
        Some(provider) => first_steps(&stack, provider)?,
        None => format!(
            "The stack {0} is deployed. What is wrong with it: push-code doctor --stack {0}",
            stack.name()
        ),
    })
}

/// Asks for the parameters of a new stack. If nobody can or is to be asked, those that have no default must be given.
fn complete(
    template: &Template,
    given: &mut BTreeMap<String, String>,
    does_not_ask: bool,
) -> Result<(), Error> {
    let missing = template.missing(given);
    if missing.is_empty() {
        return Ok(());
    }
    let io = Error::io("ask on", Path::new("the terminal"));
    if does_not_ask || !ask::is_possible() {
        let missing = missing
            .iter()
            .map(|(name, parameter)| format!("--parameter {name}=VALUE: {}", parameter.description));
        let missing: Vec<_> = missing.collect();
        return Err(Error::Usage(format!(
            "these parameters are missing:\n{}",
            missing.join("\n")
        )));
    }
    ask_for_all(template, given).map_err(io)
}

fn ask_for_all(template: &Template, given: &mut BTreeMap<String, String>) -> std::io::Result<()> {
    for (group, parameters) in template.groups() {
        ask::say(&format!("\n{group}"))?;
        for (name, parameter) in parameters {
            if given.contains_key(name) {
                continue;
            }
            ask::say(&format!("\n{}", parameter.description))?;
            let value = loop {
                let value = ask::line(name, parameter.default().as_deref())?;
                match parameter.check(&value) {
                    Ok(()) => break value,
                    Err(reason) => ask::say(&reason)?,
                }
            };
            if parameter.default().as_ref() != Some(&value) {
                given.insert(name.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// Returns what to do after the first deployment of a stack.
fn first_steps(stack: &Stack, provider: Provider) -> Result<String, Error> {
    let name = stack.name();
    let mut steps = Vec::new();
    if provider != Provider::CodeCommit {
        steps.push(format!(
            "Put the credentials for the git host into a file as push-code docs reference/secrets shows it, then: \
             aws secretsmanager put-secret-value --secret-id {} --secret-string file://git-secret.json",
            stack.output("GitSecretName")?
        ));
        steps.push(format!("The webhook's URL: {}", stack.output("WebhookUrl")?));
        steps.push(format!(
            "The webhook's secret: aws secretsmanager get-secret-value --secret-id {} --query SecretString --output text | \
             jq -r '.token // .secret'",
            stack.output("WebhookSecretName")?
        ));
    }
    steps.extend(webhook::setup(provider).iter().map(|step| (*step).to_owned()));
    steps.push(format!(
        "See what is still wrong: push-code doctor --stack {name}"
    ));
    steps.push(format!(
        "Push, and follow it: push-code pushes watch --stack {name}"
    ));
    let steps = steps
        .iter()
        .enumerate()
        .map(|(number, step)| format!("  {}. {step}", number + 1));
    let steps: Vec<_> = steps.collect();
    Ok(format!(
        "The stack {name} is deployed. Next:\n{}",
        steps.join("\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_are_those_of_the_kind_of_git_host() {
        let outputs = [
            ("GitSecretName", "p/git"),
            ("WebhookSecretName", "p/webhook"),
            ("WebhookUrl", "https://x/hooks/gitlab"),
        ];
        let outputs = outputs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = aws_config::SdkConfig::builder().build();
        let stack = Stack::new("zips", outputs.into(), config);
        let text = first_steps(&stack, Provider::GitLab).unwrap();
        for part in [
            "--secret-id p/git",
            "--secret-id p/webhook",
            "https://x/hooks/gitlab",
            "Tag push events",
            "--stack zips",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let text = first_steps(&stack, Provider::CodeCommit).unwrap();
        assert!(
            !text.contains("secret") && text.contains("rule of EventBridge"),
            "{text}"
        );
    }

    #[test]
    fn a_name_that_no_stack_can_have_is_refused() {
        assert!(parse_name("push-code").is_ok());
        for name in ["", "1st", "push_code", &"a".repeat(129)] {
            assert!(parse_name(name).is_err(), "{name}");
        }
    }
}
