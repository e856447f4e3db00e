//! A test repository, git's commands in it, and the zip that is made of it.

#![allow(dead_code, reason = "each test uses some of it")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use aws::staging::FolderStaging;
use domain::contract::{
    Archive, Base, BaseUse, BaseZip, Deliver, FetchedCommit, FetchedInput, FetchedSubmodule, StagedObject,
};
use domain::destination::{base_key, lfs_key, staging_key};
use domain::push::Push;
use domain::samples;
use domain::source::{Options, Submodules};
use package::{Deps, Error, Progress};
use reporter::ProgressReporter;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use testkit::git;

/// A bare repository, and a staging area beside it.
pub struct Scene {
    pub folder: TempDir,
    /// The ref that is pushed.
    pub ref_name: String,
    pub progress: ProgressReporter<Progress>,
    /// Whether the packs lack the submodules of the base.
    pub lacks_earlier_submodules: bool,
}

impl Scene {
    pub fn new() -> Self {
        let scene = Self {
            folder: tempfile::tempdir().unwrap(),
            ref_name: "refs/heads/main".into(),
            progress: ProgressReporter::silent(),
            lacks_earlier_submodules: false,
        };
        scene.git(&["init", "--quiet", "--bare", "."], b"");
        scene
    }

    pub fn git(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        git::output(git::command(&self.folder).args(arguments), input)
    }

    pub fn line(&self, arguments: &[&str], input: &[u8]) -> String {
        String::from_utf8(self.git(arguments, input))
            .unwrap()
            .trim()
            .to_owned()
    }

    pub fn blob(&self, content: &[u8]) -> String {
        self.line(&["hash-object", "-w", "--stdin"], content)
    }

    /// Writes a tree of (mode, id, name), without git's own checks.
    pub fn tree(&self, entries: &[(&str, &str, &[u8])]) -> String {
        let mut raw = Vec::new();
        for (mode, id, name) in entries {
            raw.extend(mode.as_bytes());
            raw.push(b' ');
            raw.extend(*name);
            raw.push(0);
            raw.extend((0..20).map(|byte| u8::from_str_radix(&id[byte * 2..byte * 2 + 2], 16).unwrap()));
        }
        self.line(
            &["hash-object", "-w", "-t", "tree", "--literally", "--stdin"],
            &raw,
        )
    }

    /// Makes a commit of files: path to (mode, content). The content of a submodule is its commit.
    pub fn commit(&self, files: &BTreeMap<String, (&str, Vec<u8>)>) -> String {
        let mut index = Vec::new();
        for (path, (mode, content)) in files {
            let id = match *mode {
                "160000" => String::from_utf8(content.clone()).unwrap(),
                _ => self.blob(content),
            };
            writeln!(index, "{mode} {id}\t{path}").unwrap();
        }
        self.git(&["read-tree", "--empty"], b"");
        self.git(&["update-index", "--add", "--index-info"], &index);
        let tree = self.line(&["write-tree"], b"");
        self.commit_tree(&tree)
    }

    pub fn commit_tree(&self, tree: &str) -> String {
        self.line(&["commit-tree", tree, "-m", "Change it"], b"")
    }

    pub async fn package(&self, commit: &str, options: Options) -> Result<Archive, Error> {
        let tree = self.line(&["rev-parse", &format!("{commit}^{{tree}}")], b"");
        self.package_pack(commit, &tree, commit, options).await
    }

    /// Packages a commit after another one, whose zip is there. A commit that the repository does not have is in no
    /// pack.
    pub async fn package_after(
        &self,
        (base, archive): (&str, &Archive),
        commit: &str,
        options: Options,
    ) -> Result<Archive, Error> {
        let tree = self.line(&["rev-parse", &format!("{commit}^{{tree}}")], b"");
        let is_there = git::command(&self.folder)
            .args(["cat-file", "-e", base])
            .status()
            .unwrap();
        let mut packed = commit.to_owned();
        if is_there.success() {
            packed += &format!("\n{base}");
            if options.submodules == Submodules::Recursive && !self.lacks_earlier_submodules {
                let submodules = self.submodules(base, "");
                packed.extend(submodules.iter().map(|(_, commit)| format!("\n{commit}")));
            }
        }
        let base = BaseUse::Used(Base {
            push_id: samples::push("earlier", &self.ref_name).push_id,
            other_ref: None,
            commit: base.parse().unwrap(),
            packs: Vec::new(),
            zip: archive.format.map(|format| BaseZip {
                object: archive.object.clone(),
                format,
            }),
        });
        self.package_with(commit, &tree, &packed, Some(base), options)
            .await
    }

    /// Copies a zip to where an earlier push has left it.
    pub fn keep(&self, archive: &Archive) -> StagedObject {
        let push_id = samples::push("earlier", &self.ref_name).push_id;
        let key = base_key(&push_id, "archive.zip").unwrap();
        let to = self.staging().path(&key);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(self.staging().path(&archive.object.key), to).unwrap();
        StagedObject {
            key,
            version_id: None,
            ..archive.object.clone()
        }
    }

    /// Packages with a pack of everything that is reachable from `packed`.
    pub async fn package_pack(
        &self,
        commit: &str,
        tree: &str,
        packed: &str,
        options: Options,
    ) -> Result<Archive, Error> {
        self.package_with(commit, tree, packed, None, options).await
    }

    async fn package_with(
        &self,
        commit: &str,
        tree: &str,
        packed: &str,
        base: Option<BaseUse>,
        options: Options,
    ) -> Result<Archive, Error> {
        let push = Push {
            after: Some(commit.parse().unwrap()),
            ..samples::push("d", &self.ref_name)
        };
        let staged = |name: &str| {
            let key = staging_key(&push.push_id, name).unwrap();
            let path = self.staging().path(&key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            (key, path)
        };
        let (pack_key, pack) = staged("commit.pack");
        let (index_key, index) = staged("commit.idx");
        let submodules = match options.submodules {
            Submodules::None => Vec::new(),
            Submodules::Recursive => self.submodules(commit, ""),
        };
        let of_submodules = submodules.iter().map(|(_, commit)| format!("{commit}\n"));
        let packed = format!("{packed}\n{}", of_submodules.collect::<String>());
        let bytes = self.git(
            &["pack-objects", "--revs", "--quiet", "--stdout"],
            packed.as_bytes(),
        );
        std::fs::write(&pack, bytes).unwrap();
        let arguments = [
            "index-pack",
            "-o",
            index.to_str().unwrap(),
            pack.to_str().unwrap(),
        ];
        self.git(&arguments, b"");
        let object = |key, path: &Path| StagedObject {
            key,
            size: path.metadata().unwrap().len(),
            version_id: None,
            sha256: None,
        };
        let (pack, index) = (object(pack_key, &pack), object(index_key, &index));
        let submodules = submodules.into_iter().map(|(path, commit)| FetchedSubmodule {
            path,
            url: "https://git.example.com/group/library.git".parse().unwrap(),
            tree: self
                .line(&["rev-parse", &format!("{commit}^{{tree}}")], b"")
                .parse()
                .unwrap(),
            commit: commit.parse().unwrap(),
            pack: pack.clone(),
            index: index.clone(),
            base: None,
        });
        let input = FetchedInput {
            deliver: Deliver {
                options,
                ..samples::deliver()
            },
            fetched: FetchedCommit {
                commit: commit.parse().unwrap(),
                tree: tree.parse().unwrap(),
                ref_now: None,
                submodules: submodules.collect(),
                pack,
                index,
                base,
                ..samples::fetched()
            },
        };
        let envelope = samples::envelope(push, input);
        let deps = Deps {
            staging: &self.staging(),
            progress: self.progress.clone(),
        };
        package::handle(&deps, &envelope).await
    }

    /// Stages the LFS object of this content, and returns its pointer.
    pub fn lfs(&self, content: &[u8]) -> Vec<u8> {
        let oid = hex::encode(Sha256::digest(content));
        let key = lfs_key(&samples::push("d", &self.ref_name).push_id, &oid).unwrap();
        let path = self.staging().path(&key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n",
            content.len()
        )
        .into_bytes()
    }

    /// Returns path and commit of the submodules of a commit, and of theirs.
    fn submodules(&self, commit: &str, folder: &str) -> Vec<(String, String)> {
        let listed = self.line(&["ls-tree", "-r", commit], b"");
        let submodules = listed.lines().filter_map(|line| {
            let (id, path) = line.strip_prefix("160000 commit ")?.split_once('\t')?;
            Some((format!("{folder}{path}"), id.to_owned()))
        });
        let with_own = submodules.flat_map(|(path, id)| {
            let own = self.submodules(&id, &format!("{path}/"));
            std::iter::once((path, id)).chain(own)
        });
        with_own.collect()
    }

    pub fn staging(&self) -> FolderStaging {
        FolderStaging::new(self.folder.path().join("staging"))
    }

    pub fn bytes(&self, archive: &Archive) -> Vec<u8> {
        std::fs::read(self.staging().path(&archive.object.key)).unwrap()
    }

    /// Returns how many objects of the staged pack are deltas.
    pub fn deltas(&self) -> usize {
        let pack = files_below(&self.folder.path().join("staging"))
            .into_iter()
            .find(|path| path.extension().is_some_and(|extension| extension == "pack"))
            .unwrap();
        let index = pack.with_extension("idx");
        let listed = self.line(&["verify-pack", "-v", index.to_str().unwrap()], b"");
        // Lines of an object are "id type size packed offset depth base"; others are statistics.
        listed
            .lines()
            .filter(|line| line.contains(" blob ") && line.split_whitespace().count() == 7)
            .count()
    }

    /// Returns what the zip holds: path to (mode, content).
    pub fn unzip(&self, archive: &Archive) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(self.bytes(archive))).unwrap();
        (0..zip.len())
            .map(|index| {
                let mut file = zip.by_index(index).unwrap();
                let mut content = Vec::new();
                file.read_to_end(&mut content).unwrap();
                (
                    file.name().unwrap().into_owned(),
                    (file.unix_mode().unwrap(), content),
                )
            })
            .collect()
    }

    /// Returns what git says that the commit holds, in the same form.
    pub fn list(&self, commit: &str) -> BTreeMap<String, (u32, Vec<u8>)> {
        let listed = self.git(&["ls-tree", "-r", "-z", commit], b"");
        listed
            .split(|byte| *byte == 0)
            .filter(|line| !line.is_empty())
            .map(|line| {
                let line = std::str::from_utf8(line).unwrap();
                let (meta, path) = line.split_once('\t').unwrap();
                let [mode, kind, id] = meta.split(' ').collect::<Vec<_>>()[..] else {
                    unreachable!("{meta}")
                };
                match mode {
                    "160000" => (format!("{path}/"), (0o040_755, vec![])),
                    "120000" => (
                        path.to_owned(),
                        (0o120_777, self.git(&["cat-file", kind, id], b"")),
                    ),
                    _ => {
                        let mode = u32::from_str_radix(mode, 8).unwrap();
                        (path.to_owned(), (mode, self.git(&["cat-file", kind, id], b"")))
                    }
                }
            })
            .collect()
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

pub fn without_build_info() -> Options {
    Options {
        build_info: false,
        ..Options::default()
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

pub fn files<const N: usize>(
    files: [(&str, &'static str, &[u8]); N],
) -> BTreeMap<String, (&'static str, Vec<u8>)> {
    files
        .into_iter()
        .map(|(path, mode, content)| (path.to_owned(), (mode, content.to_vec())))
        .collect()
}
