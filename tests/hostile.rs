//! A commit that is far larger than what the host sends of it.

use push_code::git_host::Options;

use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::Scene;

#[tokio::test]
async fn a_file_of_10_gb_in_a_small_pack_fails_the_push() {
    let (scene, _host) = Scene::over_http("ten-gigabytes", Options::default()).await;
    let project = scene.repository("group/project");
    // Zeros that are nowhere on the disk, and 46 MB once git has deflated them.
    let zeros = tempfile::NamedTempFile::new().unwrap();
    zeros.as_file().set_len(10 << 30).unwrap();
    let blob = project.git([
        "-c",
        "core.compression=1",
        "hash-object",
        "-w",
        zeros.path().to_str().unwrap(),
    ]);
    let tree = project.git_with(["mktree"], format!("100644 blob {blob}\tzeros\n").as_bytes());
    let commit = project.git(["commit-tree", "-m", "Add zeros", &tree]);
    project.git(["update-ref", MAIN, &commit]);
    let run = scene
        .push(&scene.hook(&project.path, MAIN, None, Some(&commit)))
        .await;
    scene.assert_failed(&run, "Package", "LimitExceeded").await;
    let cause = run.ended.cause.as_deref().unwrap();
    assert!(
        cause.contains("options.limits.file_bytes: zeros has 10737418240 bytes"),
        "{cause}"
    );
    let fetched = run.state().fetched.as_ref().unwrap();
    assert!(fetched.pack.size < 100 << 20, "{}", fetched.pack.size);
}
