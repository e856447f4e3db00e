//! The real programs: git-lfs makes the pointers and pushes the objects, and giftless serves them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::error::Code;
use testkit::{Giftless, git};
use tree::{LfsOid, Pointer};

use super::scene::{Scene, pointer};

/// A clone with LFS files that were pushed to a server.
struct Clone {
    folder: PathBuf,
    server: Giftless,
}

impl Clone {
    async fn pushed(scene: &Scene, files: &BTreeMap<&str, Vec<u8>>) -> Self {
        let store = scene.folder().join("store");
        std::fs::create_dir(&store).unwrap();
        let clone = Self {
            folder: scene.folder().join("clone"),
            server: Giftless::serve(&store).await,
        };
        std::fs::create_dir(&clone.folder).unwrap();
        clone.git(&["init", "--quiet"]);
        clone.git(&["lfs", "install", "--local", "--skip-repo"]);
        clone.git(&["lfs", "track", "*.bin"]);
        for (name, content) in files {
            std::fs::write(clone.folder.join(name), content).unwrap();
        }
        clone.git(&["add", "."]);
        clone.git(&["commit", "--quiet", "--message", "large files"]);
        let Giftless { origin, password, .. } = &clone.server;
        let url = origin.replace("://", &format!("://{}:{password}@", Giftless::USERNAME));
        clone.git(&["remote", "add", "origin", &format!("{url}/group/project.git")]);
        for name in files.keys() {
            let oid = clone.pointer(name).oid;
            clone.git(&["lfs", "push", "--object-id", "origin", oid.as_str()]);
        }
        clone
    }

    fn git(&self, arguments: &[&str]) -> Vec<u8> {
        git(&self.folder, arguments)
    }

    /// Returns the pointer of a file in the commit.
    fn pointer(&self, name: &str) -> Pointer {
        let blob = self.git(&["cat-file", "blob", &format!("HEAD:{name}")]);
        Pointer::parse(&blob).unwrap()
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut git = git::command(folder);
    git::output(git.args(["-c", "lfs.locksverify=false"]).args(arguments), b"")
}

/// Returns bytes that do not compress.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(bytes)
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_git_lfs_has_pushed_is_staged() {
    let mut scene = Scene::new("http://unused");
    let files = BTreeMap::from([
        ("one.bin", noise(1)),
        ("more.bin", b"more".to_vec()),
        // More than two pieces.
        ("large.bin", noise(33 << 20)),
        ("twin.bin", b"more".to_vec()),
    ]);
    let clone = Clone::pushed(&scene, &files).await;
    scene.clone_url = format!("{}/group/project.git", clone.server.origin);
    let scene = scene.with_login(&clone.server.origin, Giftless::USERNAME, &clone.server.password);
    let pointers: Vec<_> = files.keys().map(|name| clone.pointer(name)).collect();
    let staged = scene.fetch(&pointers).await.unwrap();
    assert_eq!((staged.objects, staged.bytes), (3, 5 + (33 << 20)));
    for (pointer, content) in pointers.iter().zip(files.values()) {
        assert!(scene.object(pointer) == *content, "{pointer:?}");
    }
    assert_eq!(scene.staged().len(), 3);
    // A second fetch returns the same.
    assert_eq!(scene.fetch(&pointers).await.unwrap(), staged);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_objects_than_one_request_may_have_are_staged() {
    let mut scene = Scene::new("http://unused");
    let clone = Clone::pushed(&scene, &BTreeMap::new()).await;
    // The folder in which giftless stores objects.
    let store = scene.folder().join("store/group/project");
    std::fs::create_dir_all(&store).unwrap();
    let contents: Vec<_> = (0..250)
        .map(|number| format!("object {number}").into_bytes())
        .collect();
    let pointers: Vec<_> = contents.iter().map(|content| pointer(content)).collect();
    for (pointer, content) in pointers.iter().zip(&contents) {
        std::fs::write(store.join(pointer.oid.as_str()), content).unwrap();
    }
    scene.clone_url = format!("{}/group/project", clone.server.origin);
    let scene = scene.with_login(&clone.server.origin, Giftless::USERNAME, &clone.server.password);
    assert_eq!(scene.fetch(&pointers).await.unwrap().objects, 250);
    for (pointer, content) in pointers.iter().zip(&contents) {
        assert_eq!(scene.object(pointer), *content);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_pushed_is_missing() {
    let mut scene = Scene::new("http://unused");
    let clone = Clone::pushed(&scene, &BTreeMap::from([("a.bin", b"there".to_vec())])).await;
    scene.clone_url = format!("{}/group/project.git", clone.server.origin);
    let scene = scene.with_login(&clone.server.origin, Giftless::USERNAME, &clone.server.password);
    let (code, told) = scene.refused(&[clone.pointer("a.bin"), pointer(b"never")]).await;
    assert_eq!(code, Code::LfsObjectMissing);
    assert!(told.contains(pointer(b"never").oid.as_str()), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_required_and_must_be_right() {
    let mut scene = Scene::new("http://unused");
    let clone = Clone::pushed(&scene, &BTreeMap::from([("a.bin", b"there".to_vec())])).await;
    let origin = &clone.server.origin;
    scene.clone_url = format!("{origin}/group/project.git");
    let pointers = [clone.pointer("a.bin")];
    assert_eq!(scene.code(&pointers).await, Code::CredentialsMissing);
    let wrong = Scene::new(origin).with_login(origin, Giftless::USERNAME, "guess");
    assert_eq!(wrong.code(&pointers).await, Code::AuthenticationFailed);
    let mut ssh =
        Scene::new("ssh://git@127.0.0.1:2222").with_login(origin, Giftless::USERNAME, &clone.server.password);
    assert_eq!(ssh.code(&pointers).await, Code::GitHostNotAllowed);
    ssh.git_hosts = vec!["ssh://git@127.0.0.1:2222".to_owned(), origin.clone()];
    assert_eq!(ssh.fetch(&pointers).await.unwrap().objects, 1);
    assert_eq!(ssh.object(&pointers[0]), b"there");
}

#[tokio::test]
async fn no_request_is_made_if_no_object_is_needed() {
    let scene = Scene::new("ssh://git@git.example.com");
    assert_eq!(scene.fetch(&[]).await.unwrap().objects, 0);
    // No server listens on this port.
    let scene = Scene::new("http://127.0.0.1:1");
    let empty = pointer(b"");
    assert_eq!(empty.oid, LfsOid::parse(super::super::EMPTY).unwrap());
    assert_eq!(
        scene.fetch(std::slice::from_ref(&empty)).await.unwrap().objects,
        1
    );
    assert_eq!(scene.object(&empty), b"");
}
