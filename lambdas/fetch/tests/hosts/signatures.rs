//! Signed commits and tags, made by git with the tools of OpenSSH and GnuPG. Our result must agree with git's own.

use std::path::PathBuf;
use std::process::Command;

use domain::contract::FetchedCommit;
use domain::error::Code;
use pgp::composed::{ArmorOptions, Deserializable, SignedPublicKey};
use pgp::packet::{Subpacket, SubpacketData};
use tempfile::TempDir;
use testkit::git::{line, output};
use testkit::http::Host;
use testkit::ssh::{make_key, public};

use crate::gnupg::{Gnupg, NOW};
use crate::scene::{Ask, Scene};
use crate::token::Token;

/// An SSH key that signs.
struct SshKey {
    folder: TempDir,
    path: PathBuf,
}

impl SshKey {
    fn new(kind: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = make_key(folder.path(), "signer", kind, "");
        Self { folder, path }
    }

    fn with_bits(kind: &str, bits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signer");
        let mut command = Command::new(tools::program("ssh-keygen"));
        command.args(["-q", "-t", kind, "-b", bits, "-N", "", "-f"]);
        output(command.arg(&path), b"");
        Self { folder, path }
    }

    /// Returns the line of allowed_signers, with options.
    fn allowed(&self, options: &str) -> String {
        format!("jo@example.com {options} {}\n", public(&self.path))
    }

    fn fingerprint(&self) -> String {
        let mut command = Command::new(tools::program("ssh-keygen"));
        let listed = line(command.arg("-lf").arg(&self.path), b"");
        listed.split(' ').nth(1).unwrap().to_owned()
    }

    /// Returns a signature over `payload` for a namespace.
    fn sign(&self, namespace: &str, hash: &str, payload: &[u8]) -> String {
        let file = self.folder.path().join("payload");
        let signature = file.with_extension("sig");
        std::fs::write(&file, payload).unwrap();
        let _ = std::fs::remove_file(&signature);
        let mut command = Command::new(tools::program("ssh-keygen"));
        command.args([
            "-Y",
            "sign",
            "-n",
            namespace,
            "-O",
            &format!("hashalg={hash}"),
            "-f",
        ]);
        output(command.arg(&self.path).arg(&file), b"");
        std::fs::read_to_string(&signature).unwrap()
    }
}

/// Returns the options by which git signs with this key.
fn as_ssh(key: &SshKey) -> [String; 4] {
    let key = format!("user.signingKey={}", key.path.display());
    ["-c".into(), "gpg.format=ssh".into(), "-c".into(), key]
}

fn as_openpgp(gnupg: &Gnupg, key: &str) -> [String; 4] {
    let program = format!("gpg.program={}", gnupg.program());
    [
        "-c".into(),
        program,
        "-c".into(),
        format!("user.signingKey={key}!"),
    ]
}

fn run(scene: &Scene, signer: &[String], arguments: &[&str]) -> String {
    let arguments: Vec<_> = signer
        .iter()
        .map(String::as_str)
        .chain(arguments.iter().copied())
        .collect();
    scene.line(&arguments, b"")
}

/// Makes a signed commit on `refs/heads/main`.
fn commit(scene: &Scene, signer: &[String]) -> String {
    let tree = scene.tree("content");
    let commit = run(scene, signer, &["commit-tree", "-S", &tree, "-m", "signed"]);
    push(scene, &commit)
}

/// Makes the signed tag `v1`.
fn tag(scene: &Scene, signer: &[String], commit: &str) -> String {
    run(
        scene,
        signer,
        &["tag", "-s", "-m", "signed\n\nbody", "v1", commit],
    );
    scene.line(&["rev-parse", "refs/tags/v1"], b"")
}

fn push(scene: &Scene, commit: &str) -> String {
    scene.git(&["update-ref", "refs/heads/main", commit], b"");
    commit.to_owned()
}

fn raw(scene: &Scene, kind: &str, id: &str) -> String {
    String::from_utf8(scene.git(&["cat-file", kind, id], b"")).unwrap()
}

/// Writes an object as it is.
fn write(scene: &Scene, kind: &str, raw: &str) -> String {
    scene.line(&["hash-object", "-w", "-t", kind, "--stdin"], raw.as_bytes())
}

/// Makes a commit with these signatures over the commit without them.
fn signed_with(scene: &Scene, sign: impl Fn(&[u8]) -> Vec<String>) -> String {
    let unsigned = raw(scene, "commit", &scene.commit("text", None));
    let headers: String = sign(unsigned.as_bytes())
        .iter()
        .map(|block| format!("\ngpgsig {}", block.trim_end().replace('\n', "\n ")))
        .collect();
    push(
        scene,
        &write(
            scene,
            "commit",
            &unsigned.replacen("\n\n", &format!("{headers}\n\n"), 1),
        ),
    )
}

/// Returns whether git itself verifies an object, with the same SSH keys.
fn git_verifies(scene: &Scene, kind: &str, id: &str, allowed_signers: &str, gnupg: Option<&Gnupg>) -> bool {
    let file = scene.as_ref().join("allowed_signers");
    std::fs::write(&file, allowed_signers).unwrap();
    let mut git = testkit::git::command(scene.repository());
    git.args(["-c", &format!("gpg.ssh.allowedSignersFile={}", file.display())]);
    if let Some(gnupg) = gnupg {
        git.args(["-c", &format!("gpg.program={}", gnupg.program())]);
    }
    let verify = format!("verify-{kind}");
    let output = git.args([&verify, id]).env("TZ", "UTC").output().unwrap();
    output.status.success()
}

fn assert_signed(fetched: &FetchedCommit, object: &str, signer: &str, key: &str) {
    let signature = fetched.signature.as_ref().unwrap();
    assert_eq!(signature.object.as_str(), object);
    assert_eq!((signature.signer.as_str(), signature.key.as_str()), (signer, key));
}

async fn assert_refused(scene: &Scene, ask: &Ask, expected: &str) {
    let (code, told) = scene.refused(ask).await;
    assert_eq!(code, Code::CommitNotVerified, "{told}");
    assert!(told.contains(expected) && told.contains(&ask.after), "{told}");
}

fn new_scene() -> Scene {
    let scene = Scene::new();
    scene.allow_any_id();
    scene
}

#[tokio::test]
async fn a_commit_is_verified_by_every_kind_of_ssh_key() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let other = SshKey::new("ed25519").allowed("");
    for (kind, bits) in [
        ("ed25519", "256"),
        ("ecdsa", "256"),
        ("ecdsa", "384"),
        ("ecdsa", "521"),
        ("rsa", "2048"),
        ("rsa", "5120"),
    ] {
        let key = SshKey::with_bits(kind, bits);
        let commit = commit(&scene, &as_ssh(&key));
        let allowed = other.clone() + &key.allowed("namespaces=\"file,git\"");
        let fetched = scene
            .fetch(&Ask::new(&host.url(), &commit).signed_by(&allowed, ""))
            .await
            .unwrap();
        assert_signed(&fetched, &commit, "jo@example.com", &key.fingerprint());
        assert!(git_verifies(&scene, "commit", &commit, &allowed, None));
    }
}

#[tokio::test]
async fn a_commit_is_verified_by_a_key_in_a_token() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    for token in [Token::ed25519(), Token::ecdsa()] {
        let commit = signed_with(&scene, |payload| vec![token.sign(payload)]);
        let allowed = token.allowed();
        let ask = Ask::new(&host.url(), &commit).signed_by(&allowed, "");
        assert!(git_verifies(&scene, "commit", &commit, &allowed, None));
        let fetched = scene.fetch(&ask).await.unwrap();
        assert_eq!(fetched.signature.unwrap().signer, "jo@example.com");
    }
}

#[tokio::test]
async fn both_hashes_of_ssh_signatures_are_accepted() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let key = SshKey::new("rsa");
    for hash in ["sha256", "sha512"] {
        let commit = signed_with(&scene, |payload| vec![key.sign("git", hash, payload)]);
        let ask = Ask::new(&host.url(), &commit).signed_by(&key.allowed(""), "");
        assert_signed(
            &scene.fetch(&ask).await.unwrap(),
            &commit,
            "jo@example.com",
            &key.fingerprint(),
        );
    }
}

#[tokio::test]
async fn a_commit_is_verified_by_every_kind_of_openpgp_key() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    for algorithm in ["ed25519", "rsa2048", "nistp256", "nistp521"] {
        let name = format!("Jo {algorithm} <jo@example.com>");
        let key = gnupg.make_key("20230101T000000", &name, algorithm, "sign", "never");
        let commit = commit(&scene, &as_openpgp(&gnupg, &key));
        // All keys are in one block.
        let ask = Ask::new(&host.url(), &commit).signed_by("", &gnupg.public("example.com"));
        assert_signed(&scene.fetch(&ask).await.unwrap(), &commit, &name, &key);
        assert!(git_verifies(&scene, "commit", &commit, "", Some(&gnupg)));
    }
}

#[tokio::test]
async fn a_commit_is_verified_by_a_signing_subkey() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    let other = gnupg.make_key(NOW, "Mo", "ed25519", "sign", "never");
    let primary = gnupg.make_key("20230101T000000", "Jo", "ed25519", "cert", "never");
    for (number, algorithm) in ["rsa2048", "ed25519"].into_iter().enumerate() {
        gnupg.run(
            "20230102T000000",
            &["--quick-add-key", &primary, algorithm, "sign", "never"],
            b"",
        );
        let subkey = gnupg.fingerprints(&primary).remove(number + 1);
        let commit = commit(&scene, &as_openpgp(&gnupg, &subkey));
        // Each key has a block of its own.
        let keys = format!("{}\n# Jo\n{}", gnupg.public(&other), gnupg.public(&primary));
        let ask = Ask::new(&host.url(), &commit).signed_by("", &keys);
        assert_signed(&scene.fetch(&ask).await.unwrap(), &commit, "Jo", &subkey);
    }
}

#[tokio::test]
async fn an_openpgp_signature_of_text_is_accepted() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    let key = gnupg.make_key("20230101T000000", "Jo", "ed25519", "sign", "never");
    let commit = signed_with(&scene, |payload| {
        vec![gnupg.sign(NOW, &key, &["--textmode"], payload)]
    });
    let ask = Ask::new(&host.url(), &commit).signed_by("", &gnupg.public(&key));
    assert_signed(&scene.fetch(&ask).await.unwrap(), &commit, "Jo", &key);
}

#[tokio::test]
async fn a_signed_tag_verifies_its_commit() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let key = SshKey::new("ed25519");
    let gnupg = Gnupg::new();
    let jo = gnupg.make_key("20230101T000000", "Jo", "ed25519", "sign", "never");
    let unsigned = push(&scene, &scene.commit("unsigned", None));
    let ask = |id: &str| {
        let ask = Ask::new(&host.url(), id).of_ref("refs/tags/v1");
        ask.signed_by(&key.allowed(""), &gnupg.public(&jo))
    };
    let tagged = tag(&scene, &as_ssh(&key), &unsigned);
    let fetched = scene.fetch(&ask(&tagged)).await.unwrap();
    assert_signed(&fetched, &tagged, "jo@example.com", &key.fingerprint());
    assert_eq!(fetched.commit.as_str(), unsigned);
    scene.git(&["tag", "-d", "v1"], b"");
    let tagged = tag(&scene, &as_openpgp(&gnupg, &jo), &unsigned);
    assert_signed(&scene.fetch(&ask(&tagged)).await.unwrap(), &tagged, "Jo", &jo);
    assert!(git_verifies(&scene, "tag", &tagged, "", Some(&gnupg)));
}

#[tokio::test]
async fn a_signed_tag_that_is_pushed_by_another_name_is_refused() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let key = SshKey::new("ed25519");
    let signed = commit(&scene, &as_ssh(&key));
    for commit in [push(&scene, &scene.commit("unsigned", None)), signed] {
        let tagged = tag(&scene, &as_ssh(&key), &commit);
        for other in [
            "refs/tags/v9",
            "refs/tags/v10",
            "refs/tags/x/v1",
            "refs/releases/v1",
        ] {
            scene.git(&["update-ref", other, &tagged], b"");
            let ask = Ask::new(&host.url(), &tagged)
                .of_ref(other)
                .signed_by(&key.allowed(""), "");
            assert_refused(
                &scene,
                &ask,
                &format!("it is the tag \"v1\", but was pushed to {other}"),
            )
            .await;
            scene.git(&["update-ref", "-d", other], b"");
        }
        scene.git(&["tag", "-d", "v1"], b"");
    }
}

#[tokio::test]
async fn a_signed_commit_needs_no_signed_tag() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let key = SshKey::new("ed25519");
    let commit = commit(&scene, &as_ssh(&key));
    scene.git(&["tag", "-a", "-m", "unsigned", "v1", &commit], b"");
    let tagged = scene.line(&["rev-parse", "refs/tags/v1"], b"");
    let ask = Ask::new(&host.url(), &tagged)
        .of_ref("refs/tags/v1")
        .signed_by(&key.allowed(""), "");
    assert_signed(
        &scene.fetch(&ask).await.unwrap(),
        &commit,
        "jo@example.com",
        &key.fingerprint(),
    );
}

#[tokio::test]
async fn a_tag_that_was_altered_after_signing_is_refused() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let key = SshKey::new("ed25519");
    let [first, second, _] = scene.history();
    let tagged = tag(&scene, &as_ssh(&key), &first);
    let moved = write(
        &scene,
        "tag",
        &raw(&scene, "tag", &tagged).replacen(&first, &second, 1),
    );
    scene.git(&["update-ref", "refs/tags/v1", &moved], b"");
    let ask = Ask::new(&host.url(), &moved)
        .of_ref("refs/tags/v1")
        .signed_by(&key.allowed(""), "");
    assert_refused(
        &scene,
        &ask,
        "of the tag: its signature is invalid: it does not match what was pushed",
    )
    .await;
    assert_refused(&scene, &ask, "of its commit: it is not signed").await;
    assert!(!git_verifies(&scene, "tag", &moved, &key.allowed(""), None));
}

#[tokio::test]
async fn what_is_not_signed_is_refused() {
    let (scene, commit) = Scene::with_commit();
    scene.allow_any_id();
    let host = Host::of(&scene).await;
    let allowed = SshKey::new("ed25519").allowed("");
    let ask = Ask::new(&host.url(), &commit).signed_by(&allowed, "");
    assert_refused(&scene, &ask, "it is not signed").await;
}

#[tokio::test]
async fn a_key_that_is_not_listed_is_refused_and_named() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let (key, gnupg) = (SshKey::new("ed25519"), Gnupg::new());
    let allowed = SshKey::new("ed25519").allowed("");
    let jo = gnupg.make_key("20230101T000000", "Jo", "ed25519", "sign", "never");
    let mo = gnupg.make_key("20230101T000000", "Mo", "ed25519", "sign", "never");
    let by_ssh = commit(&scene, &as_ssh(&key));
    let by_openpgp = commit(&scene, &as_openpgp(&gnupg, &jo));
    for (commit, key) in [(by_ssh, key.fingerprint()), (by_openpgp, jo)] {
        let ask = Ask::new(&host.url(), &commit)
            .of_any_commit()
            .signed_by(&allowed, &gnupg.public(&mo));
        assert_refused(
            &scene,
            &ask,
            &format!("signed by the key {key}, which the git secret does not list"),
        )
        .await;
    }
}

#[tokio::test]
async fn a_commit_that_was_altered_after_signing_is_refused() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let (key, gnupg) = (SshKey::new("ed25519"), Gnupg::new());
    let rsa = SshKey::new("rsa");
    let jo = gnupg.make_key("20230101T000000", "Jo", "ed25519", "sign", "never");
    let allowed = key.allowed("") + &rsa.allowed("");
    for signer in [as_ssh(&key), as_ssh(&rsa), as_openpgp(&gnupg, &jo)] {
        let commit = raw(&scene, "commit", &commit(&scene, &signer));
        for altered in [
            commit.replace("\n\nsigned", "\n\nsignet"),
            commit.replacen("\n\n", "\nencoding UTF-8\n\n", 1),
            commit.replacen("1700000001", "1700000002", 1),
        ] {
            let altered = push(&scene, &write(&scene, "commit", &altered));
            let ask = Ask::new(&host.url(), &altered).signed_by(&allowed, &gnupg.public(&jo));
            assert_refused(
                &scene,
                &ask,
                "its signature is invalid: it does not match what was pushed",
            )
            .await;
            assert!(!git_verifies(&scene, "commit", &altered, &allowed, Some(&gnupg)));
        }
    }
}

#[tokio::test]
async fn an_ssh_key_signs_only_while_it_is_valid_and_for_git() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let key = SshKey::new("ed25519");
    let commit = commit(&scene, &as_ssh(&key));
    // The commit is of 2023-11-14 22:13:21 UTC.
    let expired = "by the key SHA256:";
    for (options, reason) in [
        ("valid-before=\"20231114221320Z\"", "after the key had expired"),
        ("valid-before=\"20231114\"", "after the key had expired"),
        ("valid-after=\"20231114221322Z\"", "before the key was valid"),
        (
            "namespaces=\"file\"",
            "may not sign commits: its namespaces in allowed_signers do not include git",
        ),
        ("namespaces=\"!git,*\"", "do not include git"),
    ] {
        let allowed = key.allowed(options);
        let ask = Ask::new(&host.url(), &commit).signed_by(&allowed, "");
        assert_refused(&scene, &ask, reason).await;
        assert_refused(&scene, &ask, expired).await;
        assert!(
            !git_verifies(&scene, "commit", &commit, &allowed, None),
            "{options}"
        );
    }
    for options in [
        "valid-before=\"20231114221321Z\"",
        "valid-after=\"20231114221321Z\",valid-before=\"20231115Z\"",
        "namespaces=\"g*\"",
    ] {
        let allowed = key.allowed("namespaces=\"file\"") + &key.allowed(options);
        let ask = Ask::new(&host.url(), &commit).signed_by(&allowed, "");
        assert!(scene.fetch(&ask).await.is_ok(), "{options}");
        assert!(
            git_verifies(&scene, "commit", &commit, &allowed, None),
            "{options}"
        );
    }
}

#[tokio::test]
async fn a_signature_that_was_made_for_something_else_is_refused() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let key = SshKey::new("ed25519");
    let commit = signed_with(&scene, |payload| vec![key.sign("file", "sha512", payload)]);
    let ask = Ask::new(&host.url(), &commit).signed_by(&key.allowed(""), "");
    assert_refused(&scene, &ask, "it was not made for git").await;
    assert!(!git_verifies(&scene, "commit", &commit, &key.allowed(""), None));
}

#[tokio::test]
async fn an_openpgp_key_signs_only_while_it_is_valid() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    let key = gnupg.make_key("20230101T000000", "Jo", "ed25519", "sign", "never");
    let commits: Vec<_> = ["20230201T000000", "20230601T000000"]
        .into_iter()
        .map(|time| signed_with(&scene, |payload| vec![gnupg.sign(time, &key, &[], payload)]))
        .collect();
    gnupg.run(
        "20230102T000000",
        &["--quick-set-expire", &key, "20230301T000000"],
        b"",
    );
    let ask = |commit: &str| {
        let ask = Ask::new(&host.url(), commit).of_any_commit();
        ask.signed_by("", &gnupg.public(&key))
    };
    assert_refused(
        &scene,
        &ask(&commits[1]),
        &format!("signed by the key {key} after the key had expired"),
    )
    .await;
    assert!(!git_verifies(&scene, "commit", &commits[1], "", Some(&gnupg)));
    assert!(scene.fetch(&ask(&commits[0])).await.is_ok());
}

#[tokio::test]
async fn an_expired_subkey_is_refused() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    let key = gnupg.make_key("20230101T000000", "Jo", "ed25519", "cert", "never");
    gnupg.run(
        "20230101T000000",
        &["--quick-add-key", &key, "ed25519", "sign", "never"],
        b"",
    );
    let subkey = gnupg.fingerprints(&key).remove(1);
    let commit = commit(&scene, &as_openpgp(&gnupg, &subkey));
    gnupg.run(
        "20230102T000000",
        &["--quick-set-expire", &key, "20230301T000000", "*"],
        b"",
    );
    let ask = Ask::new(&host.url(), &commit).signed_by("", &gnupg.public(&key));
    assert_refused(
        &scene,
        &ask,
        &format!("signed by the key {subkey} after the key had expired"),
    )
    .await;
}

#[tokio::test]
async fn a_revoked_openpgp_key_is_refused_whatever_the_time() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    let key = gnupg.make_key("20230101T000000", "Jo", "ed25519", "cert,sign", "never");
    gnupg.run(
        "20230101T000000",
        &["--quick-add-key", &key, "ed25519", "sign", "never"],
        b"",
    );
    let subkey = gnupg.fingerprints(&key).remove(1);
    let by_primary = commit(&scene, &as_openpgp(&gnupg, &key));
    let by_subkey = commit(&scene, &as_openpgp(&gnupg, &subkey));
    let before = gnupg.public(&key);
    let revocation = gnupg.home().join(format!("openpgp-revocs.d/{key}.rev"));
    let revocation = std::fs::read_to_string(revocation)
        .unwrap()
        .replace("\n:---", "\n---");
    gnupg.run(NOW, &["--import"], revocation.as_bytes());
    for (commit, key) in [(by_primary, &key), (by_subkey, &subkey)] {
        // The older block alone would allow it.
        for keys in [gnupg.public(key), before.clone() + &gnupg.public(key)] {
            let ask = Ask::new(&host.url(), &commit)
                .of_any_commit()
                .signed_by("", &keys);
            assert_refused(
                &scene,
                &ask,
                &format!("signed by the key {key}, which is revoked"),
            )
            .await;
        }
        assert!(!git_verifies(&scene, "commit", &commit, "", Some(&gnupg)));
    }
}

#[tokio::test]
async fn an_openpgp_key_that_is_not_for_signing_is_refused() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    let key = gnupg.make_key("20230101T000000", "Jo", "ed25519", "cert,sign", "never");
    let commit = commit(&scene, &as_openpgp(&gnupg, &key));
    // GnuPG asks what to change in the key's usage: only signing is turned off.
    let answers = b"change-usage\nS\nQ\nsave\n";
    gnupg.run(
        "20230201T000000",
        &["--command-fd", "0", "--edit-key", &key],
        answers,
    );
    let ask = Ask::new(&host.url(), &commit).signed_by("", &gnupg.public(&key));
    assert_refused(&scene, &ask, "may not sign commits: it is not a signing key").await;
}

#[tokio::test]
async fn a_subkey_that_has_not_signed_its_binding_is_refused() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    let key = gnupg.make_key("20230101T000000", "Jo", "ed25519", "cert", "never");
    gnupg.run(
        "20230101T000000",
        &["--quick-add-key", &key, "ed25519", "sign", "never"],
        b"",
    );
    let subkey = gnupg.fingerprints(&key).remove(1);
    let commit = commit(&scene, &as_openpgp(&gnupg, &subkey));
    let (mut public, _) = SignedPublicKey::from_string(&gnupg.public(&key)).unwrap();
    let binding = &mut public.public_subkeys[0].signatures[0];
    let embedded = |subpacket: &Subpacket| matches!(subpacket.data, SubpacketData::EmbeddedSignature(_));
    let position = binding
        .config()
        .unwrap()
        .unhashed_subpackets()
        .position(embedded)
        .unwrap();
    binding.unhashed_subpacket_remove(position).unwrap();
    let public = public.to_armored_string(ArmorOptions::default()).unwrap();
    let ask = Ask::new(&host.url(), &commit).signed_by("", &public);
    assert_refused(&scene, &ask, "it has not signed its binding to the primary key").await;
}

#[tokio::test]
async fn an_openpgp_key_whose_self_signature_is_weak_is_refused() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    let time = "20230101T000000";
    gnupg.run(
        time,
        &[
            "--cert-digest-algo",
            "SHA1",
            "--quick-generate-key",
            "Jo",
            "rsa2048",
            "sign",
            "never",
        ],
        b"",
    );
    let key = gnupg.fingerprints("Jo").remove(0);
    let commit = commit(&scene, &as_openpgp(&gnupg, &key));
    let ask = Ask::new(&host.url(), &commit).signed_by("", &gnupg.public(&key));
    assert_refused(&scene, &ask, "it has no valid self-signature").await;
}

#[tokio::test]
async fn an_openpgp_signature_with_a_weak_hash_is_refused() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    let key = gnupg.make_key("20230101T000000", "Jo", "rsa2048", "sign", "never");
    for hash in ["SHA1", "RIPEMD160"] {
        let commit = signed_with(&scene, |payload| {
            vec![gnupg.sign(NOW, &key, &["--digest-algo", hash], payload)]
        });
        let ask = Ask::new(&host.url(), &commit).signed_by("", &gnupg.public(&key));
        assert_refused(&scene, &ask, "its hash algorithm is too weak").await;
    }
}

#[tokio::test]
async fn an_openpgp_signature_with_a_critical_notation_is_refused() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    let key = gnupg.make_key("20230101T000000", "Jo", "ed25519", "sign", "never");
    for (notation, refused) in [("!a@example.com=b", true), ("a@example.com=b", false)] {
        let options = ["--sig-notation", notation];
        let commit = signed_with(&scene, |payload| vec![gnupg.sign(NOW, &key, &options, payload)]);
        let ask = Ask::new(&host.url(), &commit).signed_by("", &gnupg.public(&key));
        if refused {
            assert_refused(&scene, &ask, "it has a critical notation").await;
        } else {
            assert!(scene.fetch(&ask).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_weak_openpgp_key_is_refused() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    let key = gnupg.make_key("20230101T000000", "Jo", "rsa1024", "sign", "never");
    let commit = commit(&scene, &as_openpgp(&gnupg, &key));
    let ask = Ask::new(&host.url(), &commit).signed_by("", &gnupg.public(&key));
    assert_refused(&scene, &ask, "too weak").await;
}

#[tokio::test]
async fn a_signature_is_one_whole_block() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let (key, gnupg) = (SshKey::new("ed25519"), Gnupg::new());
    let jo = gnupg.make_key("20230101T000000", "Jo", "ed25519", "sign", "never");
    let ssh = |payload: &[u8]| key.sign("git", "sha512", payload);
    let openpgp = |payload: &[u8]| gnupg.sign(NOW, &jo, &[], payload);
    let cut = |block: String| block.split_at(block.len() / 2).0.to_owned();
    let commits = [
        signed_with(&scene, |payload| vec![ssh(payload), openpgp(payload)]),
        signed_with(&scene, |payload| vec![ssh(payload).repeat(2)]),
        signed_with(&scene, |payload| vec![cut(ssh(payload))]),
        signed_with(&scene, |payload| vec![cut(openpgp(payload))]),
        signed_with(&scene, |payload| {
            vec![cut(openpgp(payload)) + "\n-----END PGP SIGNATURE-----"]
        }),
        signed_with(&scene, |payload| vec![openpgp(payload) + "more"]),
        signed_with(&scene, |_| vec![gnupg.public(&jo)]),
        signed_with(&scene, |_| vec!["nonsense".to_owned()]),
    ];
    for commit in commits {
        let ask = Ask::new(&host.url(), &commit)
            .of_any_commit()
            .signed_by(&key.allowed(""), &gnupg.public(&jo));
        assert_refused(&scene, &ask, "its signature is invalid").await;
    }
}

#[tokio::test]
async fn an_x509_signature_is_not_supported() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let block = "-----BEGIN SIGNED MESSAGE-----\nMIIA\n-----END SIGNED MESSAGE-----";
    let commit = signed_with(&scene, |_| vec![block.to_owned()]);
    let ask = Ask::new(&host.url(), &commit).signed_by(&SshKey::new("ed25519").allowed(""), "");
    assert_refused(&scene, &ask, "X.509").await;
}

#[tokio::test]
async fn without_listed_keys_nothing_is_verified() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let commit = commit(&scene, &as_ssh(&SshKey::new("ed25519")));
    let ask = Ask::new(&host.url(), &commit).signed_by("# nobody\n", "");
    assert_refused(&scene, &ask, "the git secret lists no keys").await;
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_an_invalid_secret() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::of(&scene).await;
    let gnupg = Gnupg::new();
    let jo = gnupg.make_key(NOW, "Jo", "ed25519", "sign", "never");
    let key = SshKey::new("ed25519");
    let cases = [
        (
            key.allowed("cert-authority"),
            String::new(),
            "allowed_signers, line 1: cert-authority is not supported",
        ),
        (
            SshKey::with_bits("rsa", "1024").allowed(""),
            String::new(),
            "fewer than 2048 bits",
        ),
        (
            String::new(),
            gnupg.public(&jo).replace("-----END", "-----AND"),
            "openpgp_keys, line ",
        ),
        (
            String::new(),
            gnupg.public(&jo).replace("PUBLIC", "PRIVATE"),
            "openpgp_keys, line 1: this is a private key",
        ),
    ];
    for (allowed, openpgp, reason) in cases {
        let mut ask = Ask::new(&host.url(), &commit).signed_by(&allowed, &openpgp);
        ask.signature = domain::source::SignaturePolicy::Any;
        let error = scene.fetch(&ask).await.unwrap_err();
        assert_eq!(domain::error::Coded::code(&error), Code::SecretInvalid);
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn signatures_are_not_checked_if_none_is_required() {
    let scene = new_scene();
    let host = Host::of(&scene).await;
    let commit = signed_with(&scene, |_| vec!["nonsense".to_owned()]);
    let fetched = scene.fetch(&Ask::new(&host.url(), &commit)).await.unwrap();
    assert_eq!(fetched.signature, None);
}
