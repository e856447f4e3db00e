//! Tests how a source's options affect a push.

use attestation::PublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::contract::BaseUse;
use git_host::Options;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::Giftless;

use crate::fixtures::archive::{self, Entry};
use crate::fixtures::repository::{MAIN, Repository, noise};
use crate::fixtures::scene::{Run, Scene, http_secret, login};

/// Adds a submodule to a repository, and a file `.gitmodules` that names it.
fn add_submodule(repository: &Repository, path: &str, url: &str, commit: &str) {
    let modules = format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
    repository.write(".gitmodules", modules).submodule(path, commit);
}

async fn push_main(scene: &Scene, repository: &Repository, commit: &str) -> Run {
    scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(commit)))
        .await
}

fn below(folder: &str, entries: Vec<Entry>) -> impl Iterator<Item = Entry> {
    let prefix = format!("{folder}/");
    entries.into_iter().map(move |mut entry| {
        entry.path.insert_str(0, &prefix);
        entry
    })
}

#[tokio::test]
async fn submodules_are_delivered_at_their_recorded_commits() {
    let (scene, _host) = Scene::over_http("submodules", Options::with_any_commit()).await;
    scene
        .configure(|settings| settings["options"] = json!({"build_info": false, "submodules": "recursive"}))
        .await;
    let leaf = scene.repository("group/leaf");
    let leaf_commit = leaf.commit_file("leaf", "a leaf");
    leaf.commit_file("leaf", "another leaf");
    let library = scene.repository("group/library");
    add_submodule(&library, "vendor/leaf", "../leaf.git", &leaf_commit);
    let library_commit = library.commit_file("library", "a library");
    let project = scene.repository("group/project");
    add_submodule(&project, "library", "../library.git", &library_commit);
    let commit = project.commit_file("file", "content");

    let run = push_main(&scene, &project, &commit).await;
    let mut expected: Vec<Entry> = project.archive(&commit).await;
    expected.extend(below("library", library.archive(&library_commit).await));
    expected.extend(below("library/vendor/leaf", leaf.archive(&leaf_commit).await));
    expected.retain(|entry| !entry.path.ends_with('/'));
    expected.sort();
    let object = scene.object(run.delivered()).await;
    assert_eq!(archive::of_zip(&object.bytes).await, expected);
    assert_eq!(scene.staged_keys(run.push_id).await, [""; 0]);
    // The next push begins from these submodules, of which one moves.
    let library_next = library.commit_file("library", "a larger library");
    project.submodule("library", &library_next);
    let next = project.commit_file("file", "content");
    let second = scene
        .push(&scene.hook(&project.path, MAIN, Some(&commit), Some(&next)))
        .await;
    let expected = {
        let mut expected: Vec<Entry> = project.archive(&next).await;
        expected.extend(below("library", library.archive(&library_next).await));
        expected.extend(below("library/vendor/leaf", leaf.archive(&leaf_commit).await));
        expected.retain(|entry| !entry.path.ends_with('/'));
        expected.sort();
        expected
    };
    let object = scene.object(second.delivered()).await;
    assert_eq!(archive::of_zip(&object.bytes).await, expected);
    let fetched = second.state().fetched.as_ref().unwrap();
    for submodule in &fetched.submodules {
        assert!(
            submodule.base.as_ref().and_then(BaseUse::used).is_some(),
            "{submodule:#?}"
        );
    }
    // All but `library/library`.
    let taken = second.state().archive.as_ref().unwrap().taken_entries;
    assert_eq!(taken, Some(expected.len() as u64 - 1));

    // The provenance document names them.
    let document = provenance(&scene, &run).await;
    let dependencies = &document["predicate"]["buildDefinition"]["resolvedDependencies"];
    assert_eq!(dependencies[1]["digest"]["gitCommit"], library_commit);
    assert_eq!(dependencies[2]["digest"]["gitCommit"], leaf_commit);
}

#[tokio::test]
async fn a_submodule_on_a_host_that_is_not_allowed_fails_the_push() {
    let (scene, _host) = Scene::over_http("foreign-submodule", Options::default()).await;
    scene
        .configure(|settings| settings["options"] = json!({"submodules": "recursive"}))
        .await;
    let project = scene.repository("group/project");
    add_submodule(
        &project,
        "library",
        "https://git.example.com/library.git",
        &"5".repeat(40),
    );
    let commit = project.commit_file("file", "content");
    let run = push_main(&scene, &project, &commit).await;
    scene.assert_failed(&run, "Fetch", "GitHostNotAllowed").await;
}

/// Returns the public key of the stack, from KMS.
async fn public_key(scene: &Scene) -> PublicKey {
    let key = json!({"KeyId": scene.stack.output("ProvenanceKeyArn")});
    let administrator = &scene.stack.administrator;
    let answer = administrator.json("kms", "TrentService.GetPublicKey", &key).await;
    let der = answer.value()["PublicKey"].as_str().unwrap().to_owned();
    PublicKey::parse(&STANDARD.decode(der).unwrap()).unwrap()
}

async fn provenance(scene: &Scene, run: &Run) -> Value {
    let delivered = run.delivered();
    let key = delivered.provenance.clone().unwrap();
    let document = domain::contract::Delivered {
        key,
        ..delivered.clone()
    };
    let object = scene.object(&document).await;
    assert_eq!(object.content_type, attestation::MEDIA_TYPE);
    let key = public_key(scene).await;
    let (media_type, statement) = attestation::verify(&object.bytes, &key).unwrap();
    assert_eq!(media_type, upload::STATEMENT_MEDIA_TYPE);
    serde_json::from_slice(&statement).unwrap()
}

#[tokio::test]
async fn a_provenance_document_is_stored_beside_the_zip() {
    let (scene, host) = Scene::over_http("provenance", Options::default()).await;
    let project = scene.repository("group/project");
    let commit = project.commit_file("file", "content");
    let run = push_main(&scene, &project, &commit).await;
    let document = provenance(&scene, &run).await;
    let object = scene.object(run.delivered()).await;
    let key = run.delivered().key.as_str();
    assert_eq!(
        object.metadata["provenance"],
        format!("{key}.provenance/{}.json", run.push_id)
    );
    assert_eq!(document["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(document["predicateType"], "https://slsa.dev/provenance/v1");
    let subject = &document["subject"][0];
    assert_eq!(
        subject["digest"]["sha256"],
        hex::encode(Sha256::digest(&object.bytes))
    );
    assert_eq!(subject["uri"], format!("s3://{}/{key}", run.delivered().bucket));
    let definition = &document["predicate"]["buildDefinition"];
    assert_eq!(
        definition["resolvedDependencies"],
        json!([{
            "uri": format!("git+{}/group/project.git@{MAIN}", host.origin()),
            "digest": {"gitCommit": commit, "gitTree": project.git(["rev-parse", "HEAD^{tree}"])},
        }])
    );
    assert_eq!(
        definition["internalParameters"]["push_id"],
        run.push_id.to_string()
    );
    assert_eq!(definition["externalParameters"]["ref"], MAIN);
    let run_details = &document["predicate"]["runDetails"];
    assert_eq!(run_details["metadata"]["invocationId"], scene.execution_arn(&run));
    assert_eq!(
        run_details["builder"]["id"],
        scene.stack.output("StateMachineArn")
    );
}

#[tokio::test]
async fn a_full_clone_is_a_repository_that_git_works_in() {
    let (scene, host) = Scene::over_http("full-clone", Options::default()).await;
    scene
        .configure(|settings| settings["options"] = json!({"full_clone": true}))
        .await;
    let project = scene.repository("group/project");
    project.commit_file("file", "first");
    project
        .write_executable("run", "#!/bin/sh\n")
        .link("link", "file");
    let commit = project.commit_file("file", "second");
    project.commit_file("file", "third");
    let run = push_main(&scene, &project, &commit).await;
    let folder = unzip(&scene.object(run.delivered()).await.bytes);
    let git = |arguments: &[&str]| git(folder.path(), arguments);
    assert_eq!(git(&["status", "--porcelain"]), "");
    git(&["fsck", "--strict"]);
    assert_eq!(git(&["rev-list", "--count", "HEAD"]), "2");
    assert_eq!(
        git(&["rev-parse", "HEAD", "main", "origin/main"]),
        format!("{commit}\n{commit}\n{commit}")
    );
    assert_eq!(git(&["symbolic-ref", "HEAD"]), MAIN);
    assert_eq!(git(&["show", "HEAD~1:file"]), "first");
    assert_eq!(
        git(&["remote", "get-url", "origin"]),
        format!("{}/group/project.git", host.origin())
    );

    // The clone of an annotated tag has the tag's object, and its HEAD is the tag's commit.
    project.git(["tag", "--annotate", "v1", "--message", "One", &commit]);
    let tag = project.git(["rev-parse", "refs/tags/v1"]);
    let run = scene
        .push(&scene.hook(&project.path, "refs/tags/v1", None, Some(&tag)))
        .await;
    let folder = unzip(&scene.object(run.delivered()).await.bytes);
    assert_eq!(self::git(folder.path(), &["describe"]), "v1");
    assert_eq!(self::git(folder.path(), &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn links_that_the_source_does_not_allow_fail_the_push() {
    let (scene, _host) = Scene::over_http("links", Options::default()).await;
    let project = scene.repository("group/project");
    project.link("inside", "file").link("dir/up", "../file");
    let inside = project.commit_file("file", "content");
    let outside = project.link("outside", "../../etc/passwd").commit("Add a link");
    for (policy, commit, refused) in [
        ("keep", &outside, false),
        ("inside", &inside, false),
        ("inside", &outside, true),
        ("refuse", &inside, true),
    ] {
        scene
            .configure(|settings| settings["options"] = json!({"symlinks": policy}))
            .await;
        let branch = format!("refs/heads/{policy}-{}", &commit[..7]);
        project.git(["update-ref", &branch, commit]);
        let run = scene
            .push(&scene.hook(&project.path, &branch, None, Some(commit)))
            .await;
        if refused {
            assert_eq!(run.ended.error.as_deref(), Some("SymlinkRefused"), "{run:#?}");
        } else {
            assert!(
                archive::of_zip(&scene.object(run.delivered()).await.bytes)
                    .await
                    .len()
                    > 3
            );
        }
    }
}

/// Unzips with modes and links, as Info-ZIP's `unzip` does.
fn unzip(bytes: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let status = Command::new(tools::program("unzip"))
        .arg("-q")
        .arg(file.path())
        .current_dir(folder.path())
        .status();
    assert!(status.unwrap().success());
    folder
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    testkit::git::line(testkit::git::command(folder).args(arguments), b"")
}

#[tokio::test(flavor = "multi_thread")]
async fn lfs_objects_are_delivered_instead_of_their_pointers() {
    let store = tempfile::tempdir().unwrap();
    let server = Giftless::serve(store.path()).await;
    let (scene, host) = Scene::over_http("lfs", Options::default()).await;
    scene
        .configure(|settings| {
            settings["options"] = json!({"build_info": false, "lfs": true});
            settings["git_hosts"] = json!([host.origin(), server.origin]);
        })
        .await;
    let mut secret = http_secret(&host.origin(), &login());
    secret["credentials"].as_array_mut().unwrap().push(json!({
        "host": server.origin, "username": Giftless::USERNAME, "password": server.password,
    }));
    scene.put_git_secret(&secret).await;

    let project = scene.repository("group/project");
    for (key, value) in [
        ("filter.lfs.clean", "git-lfs clean -- %f"),
        ("filter.lfs.smudge", "git-lfs smudge -- %f"),
        ("filter.lfs.required", "true"),
        ("lfs.locksverify", "false"),
    ] {
        project.git(["config", key, value]);
    }
    let large = noise(20 << 20);
    project
        .write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
        .write(
            ".lfsconfig",
            format!("[lfs]\n\turl = {}/group/project.git/info/lfs\n", server.origin),
        )
        .write("large.bin", &large)
        .write("small.bin", "small")
        .write("text", "version https://git-lfs.github.com/spec/v1\n");
    let commit = project.commit("Add large files");
    assert!(
        project
            .git(["show", "HEAD:large.bin"])
            .starts_with("version https://git-lfs")
    );
    let with_login = server
        .origin
        .replace("://", &format!("://{}:{}@", Giftless::USERNAME, server.password));
    project.git([
        "remote",
        "add",
        "origin",
        &format!("{with_login}/group/project.git"),
    ]);
    let url = format!("lfs.url={with_login}/group/project.git/info/lfs");
    for name in ["large.bin", "small.bin"] {
        let pointer = project.git(["show", &format!("HEAD:{name}")]);
        let oid = pointer.split("sha256:").nth(1).unwrap()[..64].to_owned();
        project.git(["-c", &url, "lfs", "push", "--object-id", "origin", &oid]);
    }

    let run = push_main(&scene, &project, &commit).await;
    let entries = archive::of_zip(&scene.object(run.delivered()).await.bytes).await;
    let content = |path: &str| &entries.iter().find(|entry| entry.path == path).unwrap().sha256;
    assert_eq!(*content("large.bin"), hex::encode(Sha256::digest(&large)));
    assert_eq!(*content("small.bin"), hex::encode(Sha256::digest("small")));
    assert_eq!(entries.len(), 5);
    let fetched = run.state().fetched.as_ref().unwrap();
    assert_eq!(
        fetched.lfs.map(|lfs| (lfs.objects, lfs.bytes)),
        Some((2, (20 << 20) + 5))
    );
    assert_eq!(scene.staged_keys(run.push_id).await, [""; 0]);

    // An object that the server does not have fails the push.
    project.write("gone.bin", "never pushed");
    let gone = project.commit("Add a file that is nowhere");
    let run = scene
        .push(&scene.hook(&project.path, MAIN, Some(&commit), Some(&gone)))
        .await;
    assert_eq!(run.ended.error.as_deref(), Some("LfsObjectMissing"), "{run:#?}");
}

#[tokio::test]
async fn a_commit_without_a_required_signature_fails_the_push() {
    let (scene, host) = Scene::over_http("signature", Options::default()).await;
    scene
        .configure(|settings| settings["options"] = json!({"signature": "required"}))
        .await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let status = Command::new(tools::program("ssh-keygen"))
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&key)
        .status();
    assert!(status.unwrap().success());
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let mut secret = http_secret(&host.origin(), &login());
    secret["allowed_signers"] = json!(format!("jo@example.com {public}"));
    scene.put_git_secret(&secret).await;

    let project = scene.repository("group/project");
    let unsigned = project.commit_file("file", "content");
    let run = push_main(&scene, &project, &unsigned).await;
    scene.assert_failed(&run, "Fetch", "CommitNotVerified").await;

    let signing_key = format!("user.signingkey={}", key.display());
    project.git([
        "-c",
        "gpg.format=ssh",
        "-c",
        &signing_key,
        "commit",
        "--quiet",
        "--allow-empty",
        "-S",
        "-m",
        "Signed",
    ]);
    let signed = project.git(["rev-parse", "HEAD"]);
    let run = scene
        .push(&scene.hook(&project.path, MAIN, Some(&unsigned), Some(&signed)))
        .await;
    let signature = run.state().fetched.as_ref().unwrap().signature.as_ref().unwrap();
    assert_eq!(
        (signature.object.as_str(), signature.signer.as_str()),
        (signed.as_str(), "jo@example.com")
    );
    assert!(run.delivered().provenance.is_some());
}

#[tokio::test]
async fn attributes_have_the_effect_that_they_have_in_git_archive() {
    let (scene, _host) = Scene::over_http("attributes", Options::default()).await;
    scene
        .configure(|settings| settings["options"] = json!({"build_info": false, "attributes": true}))
        .await;
    let project = scene.repository("group/project");
    let attributes = "tests export-ignore\n*.txt text eol=crlf\nversion export-subst\n*.id ident\n";
    let commit = project
        .write(".gitattributes", attributes)
        .write("tests/one", "left out")
        .write("a.txt", "one\ntwo\n")
        .write("version", "$Format:%H %an %cI$\n")
        .write("b.id", "$Id$\n")
        .commit("Add attributes");
    let run = push_main(&scene, &project, &commit).await;
    let entries = archive::of_zip(&scene.object(run.delivered()).await.bytes).await;
    assert_eq!(entries, project.archive(&commit).await);
    assert_eq!(entries.len(), 4);
}
