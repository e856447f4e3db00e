//! The commands of the pages are run as they stand there, page by page, against a local AWS with the real stack and a
//! real git host. What cannot be run here says so in the line that opens its block.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a page that cannot be read or run fails the test"
)]

mod block;
mod world;

use std::path::{Path, PathBuf};

use block::{Block, Run};
use world::World;

/// Commands that end with 1 in the world of this test, in which a push has failed. Their pages say that they may.
const FIND_SOMETHING: [&str; 2] = ["push-code pushes failed", "push-code pushes show"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The pages that have commands, by their paths from the root.
fn pages() -> Vec<(PathBuf, Vec<Block>)> {
    let mut folders = vec![root().join("docs"), root().join("examples")];
    let mut files: Vec<_> = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
        .map(|page| root().join(page))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    let pages = files.into_iter().map(|file| {
        let text = std::fs::read_to_string(&file).unwrap();
        let page = file.strip_prefix(root()).unwrap().to_owned();
        let blocks = block::all(&text).unwrap_or_else(|error| panic!("{}:{error}", page.display()));
        (page, blocks)
    });
    pages.filter(|(_, blocks)| !blocks.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_pages_do_what_they_say() {
    let world = World::create().await;
    let (mut run, mut wrong) = (0, Vec::new());
    for (page, blocks) in pages() {
        let here: Vec<_> = blocks.iter().filter(|block| block.run == Run::Here).collect();
        if here.is_empty() {
            continue;
        }
        run += here.len();
        let mut script = String::new();
        for block in here {
            script.push_str(&block.script(&page, &FIND_SOMETHING));
        }
        if let Err(output) = world.run(&page, &script).await {
            wrong.push(format!("{} does not do what it says:\n{output}", page.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(run > 30, "{run} blocks");
}

/// What the pages leave to `.ci/run` is there.
#[test]
fn what_ci_is_said_to_run_is_in_its_script() {
    let script = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    let script = block::as_installed(&script);
    let mut missing = Vec::new();
    for (page, blocks) in pages() {
        for block in blocks.iter().filter(|block| block.run == Run::ByCi) {
            let commands = block.beginnings();
            let absent = commands.iter().filter(|command| !script.contains(*command));
            missing.extend(absent.map(|command| format!("{}:{}: {command}", page.display(), block.line)));
        }
    }
    assert!(missing.is_empty(), ".ci/run does not run {missing:#?}");
}
