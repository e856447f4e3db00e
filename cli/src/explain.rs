//! `push-code explain`: what an error means, and what to do.

use std::io::Write;

use clap::Args;
use clap::builder::PossibleValuesParser;
use domain::error::{Class, Explanation};
use serde_json::{Value, json};

use crate::Error;
use crate::results::Results;

/// Which error to explain.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The error's name, as in the failed execution, the e-mail or the table of pushes. Without it, all are listed.
    #[arg(value_name = "CODE", value_parser = names(), hide_possible_values = true)]
    code: Option<String>,
}

fn names() -> PossibleValuesParser {
    Explanation::all()
        .map(|known| known.name)
        .collect::<Vec<_>>()
        .into()
}

/// Explains an error, or lists all.
///
/// # Errors
/// If standard output cannot be written to.
pub fn run(args: &ExplainArgs, results: &mut Results<impl Write>) -> Result<(), Error> {
    let Some(code) = &args.code else {
        let all: Vec<_> = Explanation::all().map(document).collect();
        results.put(json!({ "errors": all }));
        let lines: Vec<_> = Explanation::all()
            .map(|known| format!("{:<31} {}", known.name, known.meaning))
            .collect();
        return results.text(lines.join("\n"));
    };
    for known in Explanation::all().filter(|known| known.name == code) {
        results.put(document(known));
        results.text(format!(
            "{}: {}\n{}\n{}",
            known.name,
            known.meaning,
            retries(known.class),
            known.remedy
        ))?;
    }
    Ok(())
}

fn document(known: Explanation) -> Value {
    json!({
        "code": known.name,
        "meaning": known.meaning,
        "transient": known.class.map(|class| class == Class::Transient),
        "remedy": known.remedy,
    })
}

fn retries(class: Option<Class>) -> &'static str {
    match class {
        Some(Class::Transient) => {
            "It is transient: the state machine tries the stage again, and this is how the last attempt has failed."
        }
        Some(Class::Permanent) => {
            "It is permanent: the same attempt would fail again, so there was only one."
        }
        None => "AWS reports it: the stage could not say what has failed.",
    }
}

#[cfg(test)]
mod tests {
    use domain::error::Code;

    use super::*;
    use crate::results::Format;

    fn explained(code: Option<&str>, format: Format) -> String {
        let mut written = Vec::new();
        let mut results = Results::new(&mut written, format);
        let code = code.map(str::to_owned);
        run(&ExplainArgs { code }, &mut results).unwrap();
        results.end(None).unwrap();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn an_error_is_explained_with_its_remedy() {
        let text = explained(Some("GitHostUnreachable"), Format::Text);
        assert!(
            text.contains("transient") && text.contains(Code::GitHostUnreachable.remedy()),
            "{text}"
        );
        let text = explained(Some("Runtime.OutOfMemory"), Format::Text);
        assert!(
            text.contains("AWS reports it") && text.contains("Raise"),
            "{text}"
        );
        let json: Value = serde_json::from_str(&explained(Some("CommitNotFound"), Format::Json)).unwrap();
        assert_eq!(json["transient"], json!(false));
        assert_eq!(json["remedy"], json!(Code::CommitNotFound.remedy()));
    }

    #[test]
    fn all_errors_are_listed() {
        let text = explained(None, Format::Text);
        assert!(
            Code::ALL.iter().all(|code| text.contains(code.meaning())),
            "{text}"
        );
        let json: Value = serde_json::from_str(&explained(None, Format::Json)).unwrap();
        assert_eq!(
            json["errors"].as_array().unwrap().len(),
            Explanation::all().count()
        );
    }
}
