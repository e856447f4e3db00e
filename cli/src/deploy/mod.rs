//! `push-code deploy`: the stack, from this checkout into the AWS account of the usual variables and profiles.

mod parameters;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use clap::Args;
use local_aws::application::PUSH_CODE;
use local_aws::build::{Profile, build};
use local_aws::checkout::Checkout;
use local_aws::sam::{self, ARCHITECTURE};
use local_aws::{Stack, login};
use serde_json::json;
use shell::ask;
use shell::progress::Progress;

use self::parameters::Template;
use crate::Error;
use crate::results::Results;
use crate::sources::agree;

/// What to deploy, and how.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The stack.
    #[arg(long, value_name = "STACK", default_value = "push-code")]
    stack: String,
    /// A parameter of the template, as docs/operations.md lists them. May be repeated.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    parameters: Vec<(String, String)>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

fn parse_parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs the command.
///
/// # Errors
/// Returns an error if a parameter is missing or wrong, if there are no credentials, or if the build or the deployment fails.
pub async fn run(
    args: DeployArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<(), Error> {
    let checkout = Checkout::find()?;
    let file = checkout.template(&PUSH_CODE);
    let text = std::fs::read_to_string(&file).map_err(Error::io("read", &file))?;
    let template = Template::parse(&text)
        .map_err(|reason| Error::Usage(format!("{} is not the template: {reason}", file.display())))?;
    let mut given: BTreeMap<_, _> = args.parameters.into_iter().collect();
    template.check(&given)?;
    let architecture = given
        .entry("Architecture".to_owned())
        .or_insert_with(|| ARCHITECTURE.to_owned());
    if architecture != ARCHITECTURE {
        return Err(Error::Usage(format!(
            "this command builds for {ARCHITECTURE}, as this machine has it: for {architecture}, run sam build and sam deploy as the README \
             shows"
        )));
    }
    let config = ::aws::user_config().await;
    let caller = login::caller(&config).await?;
    let tools = local_aws::tools::Tools::install(progress).await?;
    let is_new = match Stack::deployed(&args.stack, config.clone(), &tools).await {
        Ok(_) => false,
        Err(local_aws::Error::NoStack { .. }) => true,
        Err(error) => return Err(error.into()),
    };
    // A stack that is there keeps the values that are not given.
    if is_new {
        complete(&template, &mut given)?;
    }
    let region = config.region().map_or("?", AsRef::as_ref);
    let verb = if is_new { "Create" } else { "Update" };
    let values: Vec<_> = given
        .iter()
        .map(|(name, value)| format!("  {name} = {value}"))
        .collect();
    let what = format!(
        "{verb} the stack {} in {region}, as {caller}:\n{}",
        args.stack,
        values.join("\n")
    );
    if args.yes {
        progress.line(&what);
    } else {
        agree(&format!("{what}\n{verb} it?"), "--yes")?;
    }
    let (tools, built) = build(&checkout, &PUSH_CODE, Profile::Release, progress).await?;
    let log = checkout.folder()?.join("sam-deploy.log");
    let stack = sam::deploy_to(
        &config,
        (&checkout, &tools),
        (&args.stack, &given),
        &built.template,
        (&log, progress),
    )
    .await?;
    results.put(json!({ "stack": stack.name(), "outputs": stack.outputs() }));
    results.text(next_steps(&stack, is_new)?)
}

/// Asks for the parameters of a new stack. Without a terminal, those that have no default must be given.
fn complete(template: &Template, given: &mut BTreeMap<String, String>) -> Result<(), Error> {
    let missing = template.missing(given);
    if missing.is_empty() {
        return Ok(());
    }
    let io = Error::io("ask on", Path::new("the terminal"));
    if !ask::is_possible() {
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
            loop {
                let value = ask::line(name, parameter.default().as_deref())?;
                if value.is_empty() && parameter.default().is_none() || !parameter.allows(&value) {
                    ask::say(
                        &parameter
                            .constraint()
                            .unwrap_or_else(|| "must be given".to_owned()),
                    )?;
                    continue;
                }
                if parameter.default().as_ref() != Some(&value) {
                    given.insert(name.to_owned(), value);
                }
                break;
            }
        }
    }
    Ok(())
}

/// Returns what to do after a deployment.
fn next_steps(stack: &Stack, is_new: bool) -> Result<String, Error> {
    let name = stack.name();
    if !is_new {
        return Ok(format!(
            "The stack {name} is deployed. What is wrong with it: push-code doctor --stack {name}"
        ));
    }
    let (git, webhook) = (stack.output("GitSecretName")?, stack.output("WebhookSecretName")?);
    Ok(format!(
        "The stack {name} is deployed. Next:\n\
         1. The credentials for the git host, in a file as docs/operations.md#secrets shows it:\n   \
            aws secretsmanager put-secret-value --secret-id {git} --secret-string file://git-secret.json\n\
         2. The webhook, in the git host: {}\n   with the secret that this prints:\n   \
            aws secretsmanager get-secret-value --secret-id {webhook} --query SecretString --output text | jq -r '.token // .secret'\n\
         3. push-code doctor --stack {name}\n\
         4. Push, and see: push-code pushes watch --stack {name}",
        stack.output("WebhookUrl")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_steps_name_the_secrets_and_the_webhook_of_a_new_stack() {
        let outputs = [
            ("GitSecretName", "p/git"),
            ("WebhookSecretName", "p/webhook"),
            ("WebhookUrl", "https://x/hooks/gitlab"),
        ];
        let outputs = outputs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = aws_config::SdkConfig::builder().build();
        let stack = Stack::new("zips", outputs.into(), config);
        let text = next_steps(&stack, true).unwrap();
        for part in [
            "--secret-id p/git",
            "--secret-id p/webhook",
            "https://x/hooks/gitlab",
            "--stack zips",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!next_steps(&stack, false).unwrap().contains("secret"));
    }
}
