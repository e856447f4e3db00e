//! Reads a template that `sam build` has written, as YAML or JSON.
//!
//! `sam build` writes neither aliases nor tags, so both are refused: an alias can make a small file unfold to any size,
//! and a tag could mean anything.

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// How deeply a template may be nested. CloudFormation's own limit is not told; real templates have some twenty levels.
const MAX_DEPTH: usize = 100;

/// A collection that is being read.
enum Open {
    Sequence(Vec<Value>),
    Mapping(Map<String, Value>, Option<String>),
}

/// Parses one document of YAML, as JSON has it.
///
/// # Errors
/// Returns what is wrong with the text.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut open: Vec<Open> = Vec::new();
    let mut document = None;
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| error.to_string())?;
        let value = match event {
            Event::Alias(_) => return Err("it has an alias, which sam build does not write".to_owned()),
            Event::Scalar(text, style, _, tag) => {
                refuse(tag.is_some())?;
                scalar(text, style)?
            }
            Event::SequenceStart(_, tag) => {
                refuse(tag.is_some())?;
                open.push(Open::Sequence(Vec::new()));
                continue;
            }
            Event::MappingStart(_, tag) => {
                refuse(tag.is_some())?;
                open.push(Open::Mapping(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::Sequence(items)) => Value::Array(items),
                Some(Open::Mapping(entries, None)) => Value::Object(entries),
                _ => return Err("a collection does not end where it should".to_owned()),
            },
            Event::DocumentStart(_) if document.is_some() => {
                return Err("it has several documents".to_owned());
            }
            _ => continue,
        };
        if open.len() > MAX_DEPTH {
            return Err(format!("it is nested more than {MAX_DEPTH} levels deep"));
        }
        match open.last_mut() {
            None => document = Some(value),
            Some(Open::Sequence(items)) => items.push(value),
            Some(Open::Mapping(entries, key)) => match key.take() {
                None => *key = Some(name(value)?),
                Some(name) => {
                    if entries.contains_key(&name) {
                        return Err(format!("it has the key {name} twice"));
                    }
                    entries.insert(name, value);
                }
            },
        }
    }
    document.ok_or_else(|| "it is empty".to_owned())
}

fn refuse(tagged: bool) -> Result<(), String> {
    if tagged {
        return Err("it has a tag, such as !Ref, which sam build does not write".to_owned());
    }
    Ok(())
}

fn scalar(text: std::borrow::Cow<'_, str>, style: ScalarStyle) -> Result<Value, String> {
    if style != ScalarStyle::Plain {
        return Ok(Value::String(text.into_owned()));
    }
    Ok(match Scalar::parse_from_cow(text) {
        Scalar::Null => Value::Null,
        Scalar::Boolean(truth) => Value::Bool(truth),
        Scalar::Integer(number) => Value::Number(number.into()),
        Scalar::FloatingPoint(number) => {
            let number = Number::from_f64(number.into_inner());
            Value::Number(number.ok_or("it has a number that JSON does not have")?)
        }
        Scalar::String(text) => Value::String(text.into_owned()),
    })
}

/// Returns the text of a key. PyYAML quotes no key that is a number.
fn name(key: Value) -> Result<String, String> {
    match key {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        _ => Err("it has a key that is no text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_sam_build_writes_is_read_as_json() {
        let text = "AWSTemplateFormatVersion: '2010-09-09'\nA:\n- 1\n- true\n- null\n- 0.5\n- '012'\n- on\nB: {}\nC:\n  Fn::Sub: 'a\n\n    b'\n'200':\n  x: ''\n";
        let expected = json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "A": [1, true, null, 0.5, "012", "on"],
            "B": {},
            "C": { "Fn::Sub": "a\nb" },
            "200": { "x": "" },
        });
        assert_eq!(parse(text).unwrap(), expected);
        assert_eq!(parse(&expected.to_string()).unwrap(), expected);
    }

    #[test]
    fn what_it_does_not_write_is_refused() {
        let deep = "[".repeat(100_000);
        let nested = format!("a: {}1{}", "[".repeat(101), "]".repeat(101));
        for (text, why) in [
            ("", "empty"),
            ("a: &x 1\nb: *x", "alias"),
            ("a: !Ref B", "tag"),
            ("a: !GetAtt [B, C]", "tag"),
            ("a: !!python/object:os.system {}", "tag"),
            ("a: 1\na: 2", "twice"),
            ("a: 1\n---\nb: 2", "several"),
            ("a: .inf", "number"),
            ("? [a]\n: 1", "key"),
            (deep.as_str(), ""),
            (nested.as_str(), "levels"),
            ("a: [", ""),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{:?}: {error}", &text[..text.len().min(30)]);
        }
    }

    /// Unfolded, this would have a billion items.
    #[test]
    fn a_file_that_unfolds_to_any_size_is_refused_at_once() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let alias = format!("*a{}", level - 1);
            let items = [alias.as_str(); 10].join(", ");
            text += &format!("a{level}: &a{level} [{items}]\n");
        }
        assert!(parse(&text).unwrap_err().contains("alias"));
    }
}
