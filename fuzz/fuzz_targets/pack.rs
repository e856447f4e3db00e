//! Indexes a pack by libgit2, and packages it like that of a push.

#![no_main]

use std::collections::HashMap;
use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;
use std::sync::LazyLock;

use aws::staging::FolderStaging;
use domain::contract::{Deliver, Envelope, FetchedCommit, FetchedInput, StagedObject};
use domain::destination::staging_key;
use domain::push::Push;
use domain::samples;
use domain::source::{Limits, Options, Symlinks};
use fuzz::{packs, paths};
use git2::{Indexer, ObjectType, Oid, Repository};
use libfuzzer_sys::fuzz_target;
use package::Deps;
use reporter::ProgressReporter;
use tokio::runtime::{Builder, Runtime};
use tree::Rules;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|input: &[u8]| {
    let Some((kind, input)) = input.split_first() else {
        return;
    };
    let pack = if kind & 1 == 0 {
        packs::raw(input)
    } else {
        packs::made(input.split(|byte| *byte == 0xff))
    };
    let folder = tempfile::tempdir().expect("a folder");
    let Some(name) = index(&pack, &folder.path().join("repository.git/objects/pack")) else {
        return;
    };
    let limits = Limits {
        entries: 1_000,
        file_bytes: 1 << 20,
        total_bytes: 4 << 20,
        ..Limits::default()
    };
    let repository = folder.path().join("repository.git");
    fs::create_dir_all(repository.join("refs")).expect("a folder");
    fs::write(repository.join("HEAD"), "ref: refs/heads/main\n").expect("a file");
    let repository = tree::open(&repository).expect("a repository");
    let rules = Rules {
        limits: limits.tree(),
        symlinks: Symlinks::Keep,
        submodules: &HashMap::new(),
    };
    let mut roots = objects(&repository, ObjectType::Tree);
    roots.retain(|root| match tree::list(&repository, *root, &rules) {
        Ok(tree) => {
            paths::check(&tree.entries);
            true
        }
        Err(_) => false,
    });
    let Some(root) = roots.last() else { return };
    let commit = objects(&repository, ObjectType::Commit).first().copied();
    let options = Options {
        attributes: kind & 2 != 0,
        full_clone: kind & 4 != 0 && commit.is_some(),
        build_info: false,
        limits,
        ..Options::default()
    };
    let envelope = envelope(commit.unwrap_or(*root), *root, options);
    package(&repository, &name, &envelope, folder.path());
});

/// Indexes a pack as a fetch does. Returns its name, or `None` if it is refused.
fn index(pack: &[u8], folder: &Path) -> Option<String> {
    fs::create_dir_all(folder).expect("a folder");
    let mut indexer = Indexer::new(None, folder, 0, true).expect("a folder");
    indexer.write_all(pack).ok()?;
    indexer.commit().ok()
}

fn objects(repository: &Repository, kind: ObjectType) -> Vec<Oid> {
    let mut objects = Vec::new();
    let odb = repository.odb().expect("a repository");
    let _ = odb.foreach(|id| {
        if odb.read_header(*id).is_ok_and(|(_, own)| own == kind) {
            objects.push(*id);
        }
        true
    });
    objects
}

fn envelope(commit: Oid, tree: Oid, options: Options) -> Envelope<FetchedInput> {
    let push = Push {
        after: Some(commit.to_string().parse().expect("an id")),
        ..samples::push("d", "refs/heads/main")
    };
    let staged = |name| StagedObject {
        key: staging_key(&push.push_id, name).expect("a key"),
        size: 0,
        version_id: None,
        sha256: None,
    };
    let input = FetchedInput {
        deliver: Deliver {
            options,
            ..samples::deliver()
        },
        fetched: FetchedCommit {
            commit: commit.to_string().parse().expect("an id"),
            tree: tree.to_string().parse().expect("an id"),
            ref_now: None,
            pack: staged("commit.pack"),
            index: staged("commit.idx"),
            ..samples::fetched()
        },
    };
    samples::envelope(push, input)
}

/// Packages the pack, and checks that the zip has the blobs of the commit, if nothing is converted.
fn package(repository: &Repository, name: &str, envelope: &Envelope<FetchedInput>, folder: &Path) {
    let staging = FolderStaging::new(folder.join("staging"));
    let mut envelope = envelope.clone();
    let fetched = &mut envelope.input.fetched;
    for (object, extension) in [(&mut fetched.pack, "pack"), (&mut fetched.index, "idx")] {
        let from = repository
            .path()
            .join(format!("objects/pack/pack-{name}.{extension}"));
        let to = staging.path(&object.key);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        object.size = fs::copy(from, to).expect("a file");
    }
    let deps = Deps {
        staging: &staging,
        progress: ProgressReporter::silent(),
    };
    let Ok(archive) = RUNTIME.block_on(package::handle(&deps, &envelope)) else {
        return;
    };
    let zip = fs::read(staging.path(&archive.object.key)).expect("the zip");
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).expect("a zip");
    assert_eq!(zip.len() as u64, archive.entries);
    let odb = repository.odb().expect("a repository");
    let tree = repository.find_tree(oid(&envelope)).expect("the tree was listed");
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).expect("an entry");
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("its checksum holds");
        let options = &envelope.input.deliver.options;
        if options.attributes || options.full_clone || file.is_dir() {
            continue;
        }
        // libgit2 looks names up in another way than the listing, and assumes that trees are sorted.
        let path = Path::new(std::str::from_utf8(file.name_raw()).unwrap_or_default());
        if let Ok(entry) = tree.get_path(path) {
            let blob = odb.read(entry.id()).expect("it was packed");
            assert!(content == blob.data());
        }
    }
}

fn oid(envelope: &Envelope<FetchedInput>) -> Oid {
    Oid::from_str(envelope.input.fetched.tree.as_str()).expect("an id")
}
