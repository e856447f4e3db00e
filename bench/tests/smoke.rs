//! Tests that the tool makes a repository, measures it, and finds the zips correct. The speed is not tested.

use std::process::Command;

#[test]
fn a_made_repository_is_measured_and_its_zips_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let (results, chart) = (folder.path().join("r.json"), folder.path().join("c.svg"));
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["--make", "300", "--runs", "1", "--json"])
        .arg(&results)
        .arg("--chart")
        .arg(&chart)
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{stderr}");
    for row in [
        "| fetch / ",
        "| package / ",
        "| package, size of the zip |",
        "| fetch and package / ",
    ] {
        assert!(stdout.contains(row), "{stdout}");
    }
    let results = std::fs::read_to_string(results).unwrap();
    assert!(results.contains(r#""old_way""#), "{results}");
    assert!(std::fs::read_to_string(chart).unwrap().contains("synthetic-300"));
}

#[test]
fn what_the_trail_costs_is_the_same_in_a_table_of_twice_as_many_pushes() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["trail", "--small", "500", "--large", "1000", "--runs", "2"])
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{stdout}{stderr}");
    assert_eq!(stdout.matches(" | 1.00x | ").count(), 11, "{stdout}");
}

#[test]
fn a_sweep_finds_what_was_missed_in_its_first_run_alone() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["sweep", "--repositories", "20", "--missed", "2", "--runs", "2"])
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    for row in ["| 1 | 20 | 2 | 0 |", "| 2 | 20 | 0 | 0 |"] {
        assert!(
            stdout.contains(row),
            "{stdout}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_folder_that_is_no_repository_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(&*folder.path().to_string_lossy()), "{stderr}");
}
