//! A small SAM application that is built within a second: one Python function with the aliases `next` and `live`, a
//! unit test, an alarm, and a check at the end of each update. It can be broken at each place where a deployment can
//! fail.
//!
//! Tests and the command commit its [files](SampleApplication::files) to a repository and push that.

use std::collections::BTreeMap;

/// The function's logical id in the template.
pub const FUNCTION: &str = "GreetFunction";

/// The function with its probe, as the parameter `Functions` of `delivery.yaml`.
pub const FUNCTIONS: &str =
    r#"{"GreetFunction":{"probe":{"payload":{"name":"Ada"},"expect":{"statusCode":200}}}}"#;

/// Returns the name of the alarm in the application's stack `stack`.
#[must_use]
pub fn alarm(stack: &str) -> String {
    format!("{stack}-wrong-greetings")
}

/// What is wrong with the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Broken {
    /// A unit test fails.
    Test,
    /// There is no unit test.
    NoTests,
    /// The build fails after its tests.
    Build,
    /// The template has a resource of an unknown type.
    Template,
    /// The stack's update fails at its end.
    Update,
    /// The function gives its probe a wrong answer, which no unit test shows.
    Probe,
    /// The function greets wrongly, which raises the alarm, though its answers look right.
    Alarm,
}

/// The application in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleApplication {
    /// Its folder in the repository, without a slash at either end. Empty for the repository itself.
    pub directory: String,
    /// What it says, such as `Hello`: letters. Another greeting is another version of the function.
    pub greeting: String,
    /// What is wrong with it. `None` if it is sound.
    pub broken: Option<Broken>,
}

impl SampleApplication {
    /// Returns a sound one in the folder `directory`, which says `greeting`.
    pub fn new(directory: impl Into<String>, greeting: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            greeting: greeting.into(),
            broken: None,
        }
    }

    /// Returns the same with something wrong.
    #[must_use]
    pub fn broken(self, broken: Broken) -> Self {
        Self {
            broken: Some(broken),
            ..self
        }
    }

    /// Returns its files by their paths in the repository.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, String> {
        let buildspec = include_str!("files/buildspec.yml");
        let greet = include_str!("files/greet.py");
        let template = include_str!("files/template.yaml");
        let test = include_str!("files/test_greet.py");
        let broken = |when: Broken, text: String, wrong: [&str; 2]| match self.broken {
            Some(broken) if broken == when => text.replace(wrong[0], wrong[1]),
            _ => text,
        };
        let greeted = |text: &str| text.replace("GREETING,", &format!("{},", self.greeting));
        let greeted = |text: &str| greeted(text).replace("GREETING!", &format!("{}!", self.greeting));
        let buildspec = buildspec.replace("DIRECTORY", &self.directory);
        let buildspec = buildspec.replace("BASE", self.path("out").as_str());
        let buildspec = broken(Broken::Build, buildspec, ["mkdir -p out", "mkdir out/in/nothing"]);
        let mut greet = greeted(greet);
        greet = broken(Broken::Test, greet, [", {name}!", ", nobody!"]);
        greet = broken(
            Broken::Probe,
            greet,
            ["\"statusCode\": 200", "\"statusCode\": 500"],
        );
        greet = broken(
            Broken::Alarm,
            greet,
            ["WRONG_GREETINGS = 0", "WRONG_GREETINGS = 1"],
        );
        let mut template = template.to_owned();
        template = broken(
            Broken::Template,
            template,
            ["AWS::Lambda::Alias", "AWS::Lambda::Nickname"],
        );
        template = broken(Broken::Update, template, ["Fails: \"no\"", "Fails: \"yes\""]);
        let mut files = vec![
            ("buildspec.yml", buildspec),
            ("template.yaml", template),
            ("run_tests.py", include_str!("files/run_tests.py").to_owned()),
            ("GreetFunction/greet.py", greet),
        ];
        if self.broken != Some(Broken::NoTests) {
            files.push(("test_greet.py", greeted(test)));
        }
        let files = files.into_iter();
        files.map(|(name, text)| (self.path(name), text)).collect()
    }

    /// Returns the path of a file in the repository.
    fn path(&self, name: &str) -> String {
        match self.directory.as_str() {
            "" => name.to_owned(),
            directory => format!("{directory}/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn each_break_changes_one_file() {
        let sound = SampleApplication::new("app", "Hello");
        for broken in Broken::VARIANTS {
            let (files, sound) = (sound.clone().broken(*broken).files(), sound.files());
            let changed = sound.iter().filter(|(path, text)| files.get(*path) != Some(text));
            assert_eq!(changed.count(), 1, "{broken}");
        }
    }

    #[test]
    fn another_greeting_is_another_function_and_test() {
        let (hello, moin) = (
            SampleApplication::new("", "Hello").files(),
            SampleApplication::new("", "Moin").files(),
        );
        let changed = hello.iter().filter(|(path, text)| moin.get(*path) != Some(text));
        let changed: Vec<_> = changed.map(|(path, _)| path.as_str()).collect();
        assert_eq!(changed, ["GreetFunction/greet.py", "test_greet.py"]);
        assert!(
            !hello
                .values()
                .any(|text| text.contains("GREETING,") || text.contains("GREETING!"))
        );
    }

    #[test]
    fn breaks_have_names() {
        assert_eq!("no-tests".parse(), Ok(Broken::NoTests));
    }
}
