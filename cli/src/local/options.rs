//! Options of the source of the local stack, as a command line names them.

use domain::source::SourceSettings;
use serde_json::{Value, json};

use crate::Error;

/// Parses an option. A value that is not JSON is a string.
pub fn parse_option(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

/// Returns the JSON of the template's parameter `SourceOptions`.
pub fn source_options(options: &[(String, Value)]) -> Result<String, Error> {
    let mut json = json!({});
    for (name, value) in options {
        let pointer = format!("/{}", name.replace('.', "/"));
        let mut place = &mut json;
        for part in pointer.split('/').skip(1) {
            place = place
                .as_object_mut()
                .ok_or_else(|| {
                    Error::Usage(format!(
                        "--option {name}: what is above it has a value of its own"
                    ))
                })?
                .entry(part)
                .or_insert_with(|| json!({}));
        }
        *place = value.clone();
    }
    let text = json.to_string();
    // This is as strict as `Validate`.
    let host = "git.example.com".parse();
    let host = host.map_err(|error: domain::Invalid| Error::Usage(error.to_string()))?;
    let settings = crate::push::settings(&host, "bucket", "key", &json);
    let settings = settings.parse::<SourceSettings>();
    settings.map_err(|error| Error::Usage(format!("--option: {error}")))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_command_line_are_those_of_a_source() {
        let options = |texts: &[&str]| {
            let options: Vec<_> = texts.iter().map(|text| parse_option(text).unwrap()).collect();
            source_options(&options)
        };
        assert_eq!(
            options(&["submodules=recursive", "limits.file_bytes=5", "limits.entries=6"]).unwrap(),
            r#"{"limits":{"entries":6,"file_bytes":5},"submodules":"recursive"}"#
        );
        for wrong in [
            &["submodule=recursive"][..],
            &["submodules=sometimes"],
            &["limits=5", "limits.entries=6"],
        ] {
            assert!(matches!(options(wrong), Err(Error::Usage(_))), "{wrong:?}");
        }
        assert!(parse_option("lfs").is_err());
    }
}
