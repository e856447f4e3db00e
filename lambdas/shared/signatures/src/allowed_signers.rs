//! The list of SSH keys, in OpenSSH's format (<https://man.openbsd.org/ssh-keygen.1#ALLOWED_SIGNERS>).

use chrono::{NaiveDate, NaiveDateTime};
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use crate::Invalid;

/// The shortest RSA key, in bits.
pub const RSA_BITS: usize = 2048;

/// A line of the list.
#[derive(Clone, Debug)]
pub struct AllowedSigner {
    /// The owners of the key, as patterns separated by commas.
    pub principals: String,
    pub key: PublicKey,
    /// The namespaces that the key may sign for, as patterns separated by commas. `None` means all.
    pub namespaces: Option<String>,
    /// The first time at which the key is valid, in seconds since 1970.
    pub valid_after: Option<i64>,
    /// The last time at which the key is valid, in seconds since 1970.
    pub valid_before: Option<i64>,
}

/// Parses the list. An error quotes none of its text.
pub fn parse(text: &str) -> Result<Vec<AllowedSigner>, Invalid> {
    let mut signers = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_matches(BLANK);
        if !line.is_empty() && !line.starts_with('#') {
            let signer = parse_line(line).map_err(|reason| Invalid {
                line: index + 1,
                reason,
            })?;
            signers.push(signer);
        }
    }
    Ok(signers)
}

const BLANK: [char; 3] = [' ', '\t', '\r'];

fn parse_line(line: &str) -> Result<AllowedSigner, &'static str> {
    let (principals, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or(UNQUOTED)?,
        None => line.split_once(BLANK).ok_or("there is no key")?,
    };
    if principals.is_empty() {
        return Err("there are no principals");
    }
    let rest = rest.trim_start_matches(BLANK);
    let (options, key) = if begins_with_option(rest) {
        split_options(rest)?
    } else {
        ("", rest)
    };
    let mut signer = AllowedSigner {
        principals: principals.to_owned(),
        key: parse_key(key)?,
        namespaces: None,
        valid_after: None,
        valid_before: None,
    };
    signer.read_options(options)?;
    Ok(signer)
}

const UNQUOTED: &str = "a quotation mark is missing";

fn begins_with_option(text: &str) -> bool {
    let end = text.find([' ', '\t', '=', ',']).unwrap_or(text.len());
    let word = text.get(..end).unwrap_or_default();
    ["cert-authority", "namespaces", "valid-after", "valid-before"]
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name))
}

/// Splits off the options, which end at the first blank outside of quotation marks.
fn split_options(text: &str) -> Result<(&str, &str), &'static str> {
    let mut quoted = false;
    let end = text.find(|character| {
        quoted ^= character == '"';
        !quoted && BLANK.contains(&character)
    });
    match end.and_then(|end| text.split_at_checked(end)) {
        Some((options, rest)) => Ok((options, rest.trim_start_matches(BLANK))),
        None if quoted => Err(UNQUOTED),
        None => Err("there is no key"),
    }
}

fn parse_key(text: &str) -> Result<PublicKey, &'static str> {
    let mut words = text.split(BLANK).filter(|word| !word.is_empty());
    let (Some(kind), Some(base64)) = (words.next(), words.next()) else {
        return Err("there is no key");
    };
    let key = PublicKey::from_openssh(&format!("{kind} {base64}"))
        .map_err(|_| "neither an option nor a key can be read after the principals")?;
    match key.key_data() {
        KeyData::Rsa(rsa) if bits(rsa.n.as_positive_bytes().unwrap_or_default()) < RSA_BITS => {
            Err("the RSA key has fewer than 2048 bits")
        }
        KeyData::Rsa(_)
        | KeyData::Ed25519(_)
        | KeyData::SkEd25519(_)
        | KeyData::Ecdsa(_)
        | KeyData::SkEcdsaSha2NistP256(_) => Ok(key),
        _ => Err("the type of the key is not supported: use Ed25519, ECDSA or RSA"),
    }
}

/// Returns the length of a number in bits, without leading zeros.
fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |first| first.leading_zeros() as usize);
    (number.len() * 8).saturating_sub(unused)
}

impl AllowedSigner {
    fn read_options(&mut self, mut options: &str) -> Result<(), &'static str> {
        while !options.is_empty() {
            let end = options.find(['=', ',']).unwrap_or(options.len());
            let (name, rest) = options.split_at(end);
            if name.eq_ignore_ascii_case("cert-authority") {
                return Err("cert-authority is not supported: list the keys themselves");
            }
            let quoted = rest
                .strip_prefix("=\"")
                .ok_or("an option has no value in quotation marks")?;
            let (value, rest) = quoted.split_once('"').ok_or(UNQUOTED)?;
            match name.to_ascii_lowercase().as_str() {
                "namespaces" => set(&mut self.namespaces, value.to_owned())?,
                "valid-after" => set(&mut self.valid_after, parse_time(value)?)?,
                "valid-before" => set(&mut self.valid_before, parse_time(value)?)?,
                _ => return Err("there is an unknown option"),
            }
            options = match rest.strip_prefix(',') {
                Some("") => return Err("the options end with a comma"),
                Some(rest) => rest,
                None if rest.is_empty() => rest,
                None => return Err("there is no comma between two options"),
            };
        }
        match (self.valid_after, self.valid_before) {
            (Some(after), Some(before)) if before <= after => {
                Err("valid-before is not later than valid-after")
            }
            _ => Ok(()),
        }
    }
}

fn set<T>(option: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err("an option occurs twice"),
    }
}

/// Parses `YYYYMMDD[HHMM[SS]][Z]`. OpenSSH reads a time without `Z` in the machine's time zone, which is UTC here.
fn parse_time(text: &str) -> Result<i64, &'static str> {
    const WRONG: &str = "a time is not of the form YYYYMMDD[HHMM[SS]][Z]";
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WRONG);
    }
    let time = match digits.len() {
        8 => NaiveDate::parse_from_str(digits, "%Y%m%d").map(|date| date.and_time(chrono::NaiveTime::MIN)),
        12 => NaiveDateTime::parse_from_str(&format!("{digits}00"), "%Y%m%d%H%M%S"),
        14 => NaiveDateTime::parse_from_str(digits, "%Y%m%d%H%M%S"),
        _ => return Err(WRONG),
    };
    time.map(|time| time.and_utc().timestamp()).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use testkit::growth::assert_linear;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn one(line: &str) -> AllowedSigner {
        let mut signers = parse(line).unwrap();
        assert_eq!(signers.len(), 1);
        signers.remove(0)
    }

    fn reason(text: &str) -> &'static str {
        parse(text).unwrap_err().reason
    }

    #[test]
    fn lines_are_read_as_openssh_reads_them() {
        let text =
            format!("# comment\n\n \t\r\njo@example.com {KEY}\r\n\tmo,*@b\t {KEY} a comment\n  # {KEY}");
        let signers = parse(&text).unwrap();
        let principals: Vec<_> = signers.iter().map(|signer| signer.principals.as_str()).collect();
        assert_eq!(principals, ["jo@example.com", "mo,*@b"]);
        assert_eq!(one(&format!("\"Jo Doe\" {KEY}")).principals, "Jo Doe");
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn long_lists_are_read_in_linear_time() {
        assert_linear(500, |lines| {
            let text = format!("jo namespaces=\"git,file\",valid-after=\"20230101Z\" {KEY}\n").repeat(lines);
            move || assert_eq!(parse(&text).unwrap().len(), lines)
        });
        for part in ["jo@example.com,", "\"", "jo ", "=,", "namespaces=\"\","] {
            assert_linear(50_000, |parts| {
                let text = format!("jo {}{KEY}\n", part.repeat(parts));
                // Most of these lines are malformed, which must be found in linear time too.
                move || drop(parse(&text))
            });
        }
    }

    #[test]
    fn options_are_read_in_any_order_and_case() {
        let options = "Valid-Before=\"20240101\",namespaces=\"git, file\",valid-after=\"202301020304Z\"";
        let signer = one(&format!("jo {options} {KEY}"));
        assert_eq!(signer.namespaces.as_deref(), Some("git, file"));
        assert_eq!(signer.valid_after, Some(1_672_628_640));
        assert_eq!(signer.valid_before, Some(1_704_067_200));
        assert_eq!(parse_time("20230102030405"), Ok(1_672_628_645));
    }

    #[test]
    fn an_error_names_its_line() {
        assert_eq!(
            parse(&format!("jo {KEY}\n# x\nmo cert-authority {KEY}")).unwrap_err(),
            Invalid {
                line: 3,
                reason: "cert-authority is not supported: list the keys themselves"
            }
        );
        let cases = [
            ("jo".to_owned(), "no key"),
            ("jo ssh-ed25519".to_owned(), "no key"),
            (format!("\"jo {KEY}"), "quotation mark"),
            (format!("\"\" {KEY}"), "no principals"),
            (format!("jo namespaces=git {KEY}"), "no value in quotation marks"),
            (format!("jo namespaces=\"git {KEY}"), "quotation mark is missing"),
            (format!("jo namespaces=\"git\",x=\"y\" {KEY}"), "unknown option"),
            (format!("jo namespaces=\"git\", {KEY}"), "end with a comma"),
            (format!("jo namespaces=\"git\"namespaces=\"a\" {KEY}"), "no comma"),
            (format!("jo namespaces=\"git\",namespaces=\"a\" {KEY}"), "twice"),
            (
                format!("jo namespaces=\"git\",CERT-authority {KEY}"),
                "cert-authority",
            ),
            (format!("jo valid-after=\"2023\" {KEY}"), "YYYYMMDD"),
            (format!("jo valid-after=\"20231301\" {KEY}"), "YYYYMMDD"),
            (
                format!("jo valid-after=\"20230101\",valid-before=\"20230101\" {KEY}"),
                "not later",
            ),
            (format!("jo x {KEY}"), "neither an option nor a key"),
            (KEY.to_owned(), "no key"),
            (
                format!("jo {}", KEY.replace("ssh-ed25519", "ssh-rsa")),
                "neither an option nor a key",
            ),
        ];
        for (line, expected) in cases {
            assert!(reason(&line).contains(expected), "{line}: {}", reason(&line));
        }
    }

    /// Generates lines of the parts of a list in any order, and any text.
    fn any_list() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just(KEY.to_owned()),
            prop::sample::select(vec![
                "jo@example.com",
                "\"hunter2 x\"",
                "cert-authority",
                "namespaces=",
                "valid-after=",
                "valid-before=",
                "\"20230101\"",
                "\"hunter2\"",
                "ssh-ed25519",
                "ssh-rsa AAAA",
                "\"",
                "=",
                "#",
                "\u{e9}",
            ])
            .prop_map(str::to_owned),
            any::<String>(),
        ];
        let separator = prop::sample::select(vec![" ", "\n", "", ",", "\t"]);
        prop::collection::vec((part, separator), 0..12).prop_map(|parts| {
            parts
                .into_iter()
                .map(|(part, separator)| part + separator)
                .collect()
        })
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_without_quoting_it(text in any_list()) {
            match parse(&text) {
                Ok(signers) => prop_assert!(signers.is_empty() || text.contains(KEY)),
                Err(Invalid { line, reason }) => {
                    prop_assert!((1..=text.lines().count()).contains(&line));
                    prop_assert!(!reason.contains("hunter2"));
                }
            }
        }
    }
}
