//! `push-code docs`: the pages of the documentation, as they were when this command was built.

use std::io::Write;

use clap::Args;
use include_dir::{Dir, include_dir};
use serde_json::json;

use crate::Error;
use crate::results::Results;

static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../docs");
const CONTENTS: &str = "README";

/// Which page to print.
#[derive(Debug, Args)]
pub struct DocsArgs {
    /// The page, and the heading of the part, such as guides/gitlab or operate/errors#commitnotfound. Without it: the
    /// table of contents.
    #[arg(value_name = "PAGE[#HEADING]", default_value = CONTENTS, hide_default_value = true)]
    page: String,
}

/// Prints a page, or a part of it.
///
/// # Errors
/// Returns [`Error::Usage`] if there is no such page, or no such heading.
pub fn run(args: &DocsArgs, results: &mut Results<impl Write>) -> Result<(), Error> {
    let (name, heading) = match args.page.split_once('#') {
        Some((name, heading)) => (name, Some(heading)),
        None => (args.page.as_str(), None),
    };
    let (name, page) = page(name)?;
    let text = match heading {
        Some(heading) => part(page, heading).ok_or_else(|| {
            let headings: Vec<_> = headings(page).map(|heading| anchor(heading.text)).collect();
            Error::Usage(format!(
                "the page {name} has no heading {heading:?}, only: {}",
                headings.join(", ")
            ))
        })?,
        None => page,
    };
    results.put(json!({ "page": name, "text": text }));
    results.text(text.trim_end())
}

/// Returns the page of that name, and the name as it is in the table of contents. A link is a name too: what it has
/// besides, such as `../` and `.md`, is left out.
fn page(wanted: &str) -> Result<(&'static str, &'static str), Error> {
    let wanted = wanted.trim_start_matches("../").trim_start_matches("docs/");
    let wanted = wanted.strip_suffix(".md").unwrap_or(wanted);
    let pages = pages(&FOLDER);
    let last = |(name, _): &&(&str, &str)| name.rsplit('/').next() == Some(wanted);
    let exactly = pages.iter().find(|(name, _)| *name == wanted);
    exactly.or_else(|| pages.iter().find(last)).copied().ok_or_else(|| {
        Error::Usage(format!(
            "there is no page {wanted:?}: `push-code docs` lists them, and what is not below docs/ is in the checkout alone"
        ))
    })
}

/// Returns the names of the pages in a folder and below it, and their texts.
fn pages(folder: &'static Dir<'_>) -> Vec<(&'static str, &'static str)> {
    let own = folder.files().filter_map(|file| {
        let name = file.path().to_str()?.strip_suffix(".md")?;
        Some((name, file.contents_utf8()?))
    });
    own.chain(folder.dirs().flat_map(pages)).collect()
}

/// A heading in a page.
struct Heading<'p> {
    level: usize,
    text: &'p str,
    /// The place of its line in the page, in bytes.
    start: usize,
}

/// Returns the headings of a page, without the comments in its blocks of commands.
fn headings(page: &str) -> impl Iterator<Item = Heading<'_>> {
    let mut is_code = false;
    let mut end = 0;
    page.split_inclusive('\n').filter_map(move |line| {
        let start = end;
        end += line.len();
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        let text = line.trim_start_matches('#');
        let level = line.len() - text.len();
        (!is_code && level > 0).then(|| Heading {
            level,
            text: text.trim(),
            start,
        })
    })
}

/// Returns the part of a page from the heading with that anchor to the next one that is not below it.
fn part<'p>(page: &'p str, wanted: &str) -> Option<&'p str> {
    let mut headings = headings(page).skip_while(|heading| anchor(heading.text) != wanted.to_lowercase());
    let first = headings.next()?;
    let end = headings.find(|heading| heading.level <= first.level);
    Some(&page[first.start..end.map_or(page.len(), |heading| heading.start)])
}

/// Returns the anchor of a heading, as GitHub and GitLab make it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    let kept: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
    kept.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Format;

    fn printed(page: &str) -> Result<String, Error> {
        let mut written = Vec::new();
        let mut results = Results::new(&mut written, Format::Text);
        let page = page.to_owned();
        run(&DocsArgs { page }, &mut results)?;
        Ok(String::from_utf8(written).unwrap())
    }

    #[test]
    fn every_link_of_the_table_of_contents_is_printed() {
        let contents = printed(CONTENTS).unwrap();
        let targets = contents
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'));
        let targets: Vec<_> = targets
            .map(|(target, _)| target)
            .filter(|target| !target.starts_with("../"))
            .collect();
        assert!(targets.len() > 30, "{targets:?}");
        for target in targets {
            let text = printed(target).unwrap();
            assert!(text.starts_with('#'), "{target}: {text}");
        }
    }

    #[test]
    fn a_part_ends_with_the_next_heading_that_is_not_below_it() {
        let page = "# Page\n## One\n```sh\n# A comment.\n```\n### Below\nText.\n## Two, & more\n";
        assert_eq!(
            part(page, "one"),
            Some("## One\n```sh\n# A comment.\n```\n### Below\nText.\n")
        );
        assert_eq!(part(page, "below"), Some("### Below\nText.\n"));
        assert_eq!(part(page, "two--more"), Some("## Two, & more\n"));
        assert_eq!(part(page, "a-comment"), None);
        let error = printed("operate/errors#CommitNotFound").unwrap();
        assert!(
            error.contains("CommitNotFound") && error.matches("\n#").count() == 0,
            "{error}"
        );
    }

    #[test]
    fn a_page_is_found_by_a_link_and_by_its_last_part() {
        let gitlab = printed("guides/gitlab").unwrap();
        for name in [
            "docs/guides/gitlab.md",
            "../guides/gitlab.md",
            "gitlab",
            "gitlab.md",
        ] {
            assert_eq!(printed(name).unwrap(), gitlab, "{name}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_there_is() {
        for (page, has) in [
            ("guides/none", "push-code docs"),
            ("operate/errors#none", "commitnotfound"),
        ] {
            let refused = printed(page).unwrap_err();
            assert!(
                refused.exit_code() == 2 && refused.to_string().contains(has),
                "{refused}"
            );
        }
    }
}
