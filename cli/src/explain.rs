//! `push-code explain`: what an error means, and what to do.

use std::io::Write;

use clap::Args;
use domain::error::{Class, Explanation};
use serde_json::{Value, json};

use crate::Error;
use crate::results::Results;

/// Which error to explain.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The error's name, as in the failed execution, the e-mail or the table of pushes. Without it, all are listed.
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// Explains an error, or lists all.
///
/// # Errors
/// Returns [`Error::Usage`] if there is no such error.
pub fn run(args: &ExplainArgs, results: &mut Results<impl Write>) -> Result<(), Error> {
    let Some(code) = &args.code else {
        let all: Vec<_> = Explanation::all().map(document).collect();
        results.put(json!({ "errors": all }));
        let lines: Vec<_> = Explanation::all()
            .map(|known| format!("{:<31} {}", known.name, known.meaning))
            .collect();
        return results.text(lines.join("\n"));
    };
    let known = Explanation::of(code).ok_or_else(|| {
        Error::Usage(format!(
            "{code:?} is not one of the errors that push-code explain lists. If it is another one of AWS's own: {}",
            domain::error::remedy(code)
        ))
    })?;
    results.put(document(known));
    results.text(format!(
        "{}: {}\n{}\n{}",
        known.name,
        known.meaning,
        retries(known.class),
        known.remedy
    ))
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
            "It is transient: the state machine tries the state again, and has given up after the last attempt."
        }
        Some(Class::Permanent) => "It is permanent: the same would happen again until something is changed.",
        None => "It is no error of a function itself.",
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
            text.contains("no error of a function") && text.contains("Raise"),
            "{text}"
        );
        let json: Value = serde_json::from_str(&explained(Some("CommitNotFound"), Format::Json)).unwrap();
        assert_eq!(json["transient"], json!(false));
        assert_eq!(json["remedy"], json!(Code::CommitNotFound.remedy()));
    }

    #[test]
    fn an_error_that_is_not_known_is_refused_with_where_to_look() {
        let code = Some("EventBridge.Nothing".to_owned());
        let refused = run(&ExplainArgs { code }, &mut Results::new(Vec::new(), Format::Text)).unwrap_err();
        assert!(
            refused.exit_code() == 2 && refused.to_string().contains("log"),
            "{refused}"
        );
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
