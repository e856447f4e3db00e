//! The blocks of commands of a page.

use std::fmt::Write as _;
use std::path::Path;

/// Who runs a block, by the words after ```` ```sh ````.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// This test.
    Here,
    /// `.ci/run`: `ci`.
    ByCi,
    /// Nobody: `not-run:` and the reason.
    Never,
}

/// A block of commands.
#[derive(Debug)]
pub struct Block {
    /// The line that opens it, from 1 on.
    pub line: usize,
    pub run: Run,
    commands: String,
}

/// Returns the blocks of a page's text, or what is wrong with one, after its line.
pub fn all(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(opening) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let indentation = line.len() - line.trim_start().len();
        let inside: Vec<_> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| line.trim() != "```")
            .map(|line| line.get(indentation..).unwrap_or_default())
            .collect();
        let (language, rest) = opening.split_once(' ').unwrap_or((opening, ""));
        let run = match (language, rest) {
            ("sh", "") => Run::Here,
            ("sh", "ci") => Run::ByCi,
            ("sh", reason)
                if reason
                    .strip_prefix("not-run: ")
                    .is_some_and(|reason| reason.len() > 5) =>
            {
                Run::Never
            }
            ("json" | "yaml" | "text" | "mermaid", "") => continue,
            _ => {
                return Err(format!(
                    "{}: {opening:?} does not say what the block is",
                    number + 1
                ));
            }
        };
        blocks.push(Block {
            line: number + 1,
            run,
            commands: inside.join("\n"),
        });
    }
    Ok(blocks)
}

/// Returns the text with the command as it is called if it was installed.
pub fn as_installed(text: &str) -> String {
    ["--quiet ", "--locked "]
        .iter()
        .fold(text.to_owned(), |text, flag| {
            text.replace(&format!("cargo run {flag}"), "cargo run ")
        })
        .replace("cargo run -- ", "push-code ")
}

impl Block {
    /// Returns its commands as a part of a script that ends with the first one that fails. Those that `find_something`
    /// may end with 1, and must if their lines say that they can.
    pub fn script(&self, page: &Path, find_something: &[&str]) -> String {
        // People read on when the pushes that they have started have ended.
        let mut script = format!("settle; echo '-- {}:{}' >&2\n", page.display(), self.line);
        for line in self.commands.lines() {
            let (command, comment) = line.split_once(" #").unwrap_or((line, ""));
            let finds = comment.contains("exits with 1")
                && find_something
                    .iter()
                    .any(|beginning| command.trim_end().starts_with(beginning));
            if finds {
                let _ = writeln!(script, "status=0; {command} || status=$?; [ \"$status\" = 1 ]");
            } else {
                let _ = writeln!(script, "{line}");
            }
        }
        script
    }

    /// Returns each command up to the first word that people replace by their own.
    pub fn beginnings(&self) -> Vec<String> {
        let commands = as_installed(&self.commands.replace("\\\n", " "));
        let commands = commands.lines().filter(|line| !line.trim().is_empty());
        commands
            .map(|line| {
                let line = line
                    .trim()
                    .trim_start_matches("eval \"$(")
                    .trim_end_matches(")\"");
                let words = line.split_whitespace();
                let own = |word: &&str| {
                    let is_name = word
                        .chars()
                        .all(|one| one.is_ascii_uppercase() || "_:/{}".contains(one));
                    word.starts_with(['.', '\'', '"', '#', '>', '<'])
                        || is_name
                        || word.contains("s3://")
                        || word.contains(['=', '.'])
                };
                words.take_while(|word| !own(word)).collect::<Vec<_>>().join(" ")
            })
            .collect()
    }
}
