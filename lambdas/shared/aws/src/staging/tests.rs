//! Stages objects in a folder.

use std::path::PathBuf;

use domain::destination::staging_key;
use domain::push::PushId;
use tempfile::TempDir;

use super::*;

struct Scene {
    folder: TempDir,
    staging: FolderStaging,
    push_id: PushId,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            staging: FolderStaging::new(folder.path().join("staging")),
            folder,
            push_id: "87513765-0933-52f9-8a01-27081a19c5c8".parse().unwrap(),
        }
    }

    fn key(&self) -> ObjectKey {
        staging_key(&self.push_id, "commit.pack").unwrap()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    async fn store_file(&self, bytes: &[u8]) -> Result<StagedObject, StorageError> {
        std::fs::write(self.file(), bytes).unwrap();
        self.staging.store_file(&self.key(), &self.file()).await
    }

    async fn store(&self, pieces: Vec<Piece>) -> Result<StagedObject, StorageError> {
        let (sender, receiver) = mpsc::channel(pieces.len().max(1));
        for piece in pieces {
            sender.try_send(piece).unwrap();
        }
        drop(sender);
        self.staging.store(&self.key(), receiver).await
    }

    async fn load(&self, object: &StagedObject) -> Result<Vec<u8>, StorageError> {
        let path = self.folder.path().join("loaded");
        self.staging.load(object, &path).await?;
        Ok(std::fs::read(path).unwrap())
    }

    /// Returns the files that are staged for the push.
    fn staged_files(&self) -> Vec<PathBuf> {
        let folder = self.staging.path(&staging_key(&self.push_id, "").unwrap());
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

#[tokio::test]
async fn each_version_under_a_key_is_kept() {
    let scene = Scene::new();
    let first = scene.store_file(b"first").await.unwrap();
    let second = scene.store_file(b"other").await.unwrap();
    assert_eq!(first.key, second.key);
    assert_ne!(first.version_id, second.version_id);
    assert_eq!(scene.load(&first).await.unwrap(), b"first");
    assert_eq!(scene.load(&second).await.unwrap(), b"other");
    // An object without a version is the newest one.
    let newest = StagedObject {
        version_id: None,
        ..second
    };
    assert_eq!(scene.load(&newest).await.unwrap(), b"other");
    assert_eq!(std::fs::read(scene.staging.path(&scene.key())).unwrap(), b"other");
}

#[tokio::test]
async fn a_stored_object_has_a_size_and_a_digest() {
    let scene = Scene::new();
    let stored = scene.store_file(b"abc").await.unwrap();
    assert_eq!((stored.key.clone(), stored.size), (scene.key(), 3));
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(stored.sha256.as_deref(), Some(sha256));
}

#[tokio::test]
async fn other_bytes_than_those_that_were_staged_are_refused() {
    let scene = Scene::new();
    let stored = scene.store_file(b"the pack").await.unwrap();
    for bytes in ["THE PACK", "the pack!", "the pac", ""] {
        for path in scene.staged_files() {
            std::fs::write(path, bytes).unwrap();
        }
        let error = scene.load(&stored).await.unwrap_err();
        assert!(matches!(error, StorageError::Changed { .. }), "{error}");
        assert_eq!(error.code(), Code::StagedObjectMissing);
    }
    // An object without a digest is checked by its size alone.
    let undigested = StagedObject {
        sha256: None,
        ..stored
    };
    for path in scene.staged_files() {
        std::fs::write(path, "THE PACK").unwrap();
    }
    assert_eq!(scene.load(&undigested).await.unwrap(), b"THE PACK");
    for path in scene.staged_files() {
        std::fs::write(path, "the pac").unwrap();
    }
    let error = scene.load(&undigested).await.unwrap_err();
    assert!(matches!(error, StorageError::Changed { .. }), "{error}");
    assert!(error.to_string().contains("7 bytes instead of 8"), "{error}");
}

#[tokio::test]
async fn an_object_or_version_that_does_not_exist_is_missing() {
    let scene = Scene::new();
    let stored = scene.store_file(b"the pack").await.unwrap();
    let other_version = StagedObject {
        version_id: Some("another".into()),
        ..stored.clone()
    };
    let other_key = StagedObject {
        key: staging_key(&scene.push_id, "other.pack").unwrap(),
        version_id: None,
        ..stored
    };
    for object in [other_version, other_key] {
        let error = scene.load(&object).await.unwrap_err();
        assert!(matches!(error, StorageError::Missing { .. }), "{error}");
        assert_eq!(error.code(), Code::StagedObjectMissing);
        assert!(error.to_string().contains(object.key.as_str()), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_left_of_an_object_whose_sender_stops() {
    let scene = Scene::new();
    let pieces = || vec![Piece::Bytes(b"the ".to_vec()), Piece::Bytes(b"pa".to_vec())];
    for pieces in [vec![], pieces()] {
        let error = scene.store(pieces).await.unwrap_err();
        assert!(matches!(error, StorageError::Unfinished { .. }), "{error}");
        assert_eq!(error.code(), Code::WorkspaceFailed);
        assert_eq!(scene.staged_files(), [] as [PathBuf; 0]);
    }
    // An existing object is kept.
    let before = scene.store_file(b"before").await.unwrap();
    scene.store(pieces()).await.unwrap_err();
    assert_eq!(scene.load(&before).await.unwrap(), b"before");
    assert_eq!(
        std::fs::read(scene.staging.path(&scene.key())).unwrap(),
        b"before"
    );
    assert_eq!(scene.staged_files().len(), 2);
}

#[tokio::test]
async fn a_file_of_any_length_is_stored_whole() {
    let scene = Scene::new();
    for length in [0, 1, PIECE_BYTES, PIECE_BYTES + 1] {
        let bytes: Vec<u8> = (0..length).map(|index| (index / 7) as u8).collect();
        let stored = scene.store_file(&bytes).await.unwrap();
        assert_eq!(stored.size, length as u64);
        assert!(scene.load(&stored).await.unwrap() == bytes, "{length}");
    }
}

#[tokio::test]
async fn a_file_is_sent_in_pieces_of_one_size() {
    let scene = Scene::new();
    for (length, expected) in [
        (0, vec![]),
        (PIECE_BYTES, vec![PIECE_BYTES]),
        (PIECE_BYTES + 1, vec![PIECE_BYTES, 1]),
    ] {
        std::fs::write(scene.file(), vec![0; length]).unwrap();
        let (sender, mut receiver) = mpsc::channel(9);
        send_file(&scene.file(), sender).await.unwrap();
        let mut pieces = vec![];
        let mut ends = 0;
        while let Some(piece) = receiver.recv().await {
            match piece {
                Piece::Bytes(bytes) => pieces.push(bytes.len()),
                Piece::End => ends += 1,
            }
        }
        assert_eq!((pieces, ends), (expected, 1));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_and_nothing_is_left() {
    let scene = Scene::new();
    let error = scene
        .staging
        .store_file(&scene.key(), &scene.file())
        .await
        .unwrap_err();
    assert!(matches!(error, StorageError::Workspace { .. }), "{error}");
    assert!(error.to_string().contains("/file"), "{error}");
    assert_eq!(scene.staged_files(), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn all_objects_of_a_push_are_removed_and_no_others() {
    let scene = Scene::new();
    let stored = scene.store_file(b"the pack").await.unwrap();
    let other: PushId = "00000000-0933-52f9-8a01-27081a19c5c8".parse().unwrap();
    // Nothing was staged for the other push.
    let prefix = |push_id: &PushId| staging_key(push_id, "").unwrap();
    scene.staging.remove_all(&prefix(&other)).await.unwrap();
    assert_eq!(scene.load(&stored).await.unwrap(), b"the pack");
    scene.staging.remove_all(&prefix(&scene.push_id)).await.unwrap();
    let error = scene.load(&stored).await.unwrap_err();
    assert!(matches!(error, StorageError::Missing { .. }), "{error}");
}
