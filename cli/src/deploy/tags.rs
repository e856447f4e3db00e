//! The tags of a stack. CloudFormation gives them to all that it creates which can have tags.

use std::collections::BTreeMap;

/// Parses a tag, by the rules of AWS
/// (<https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html#id_tags_naming_best_practices>).
pub fn parse(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("it is not KEY=VALUE")?;
    if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
        return Err("a key has 1 to 128 characters, and a value at most 256");
    }
    if key
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
    {
        return Err("keys that begin with aws: are those of AWS");
    }
    let is_allowed = |one: char| one.is_alphanumeric() || " _.:/=+-@".contains(one);
    if !key.chars().chain(value.chars()).all(is_allowed) {
        return Err("a tag has letters, digits, spaces, and _ . : / = + - @");
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Returns all tags that a stack is to have. `sam deploy` without a tag would remove it.
pub fn of(existing: Option<&stacks::Stack>, given: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut tags = existing.map(|stack| stack.tags.clone()).unwrap_or_default();
    // They cannot be given, and stay.
    tags.retain(|key, _| !key.starts_with("aws:"));
    tags.extend(given);
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_aws_would_refuse_is_refused() {
        let parsed = parse("cost centre=a=b/ü@1");
        assert_eq!(parsed, Ok(("cost centre".to_owned(), "a=b/ü@1".to_owned())));
        assert_eq!(parse("empty="), Ok(("empty".to_owned(), String::new())));
        let long = format!("{}=", "k".repeat(129));
        for tag in ["team", "=x", "aws:x=y", "AWS:x=y", "a=\"b\"", "a=b\\", &long] {
            assert!(parse(tag).is_err(), "{tag}");
        }
    }

    #[test]
    fn a_tag_that_is_not_named_is_kept() {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let stack = stacks::Stack {
            id: String::new(),
            status: String::new(),
            reason: String::new(),
            change_set: None,
            parameters: BTreeMap::new(),
            outputs: BTreeMap::new(),
            tags: BTreeMap::from([
                tag("team", "one"),
                tag("cost", "2"),
                tag("aws:servicecatalog:x", "3"),
            ]),
        };
        let tags = of(Some(&stack), vec![tag("team", "other")]);
        assert_eq!(tags, BTreeMap::from([tag("team", "other"), tag("cost", "2")]));
        assert_eq!(of(None, vec![tag("a", "b")]), BTreeMap::from([tag("a", "b")]));
    }
}
