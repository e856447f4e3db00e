//! Objects that are written once, and evidence of which the first is kept.

use std::path::PathBuf;

use ::artifacts::ArtifactError;
use ::artifacts::bucket::{ArtifactStore, Location, S3Artifacts};
use ::artifacts::evidence::{DynamoEvidence, EvidenceStore};
use aws_sdk_s3::Client;
use delivery::artifact::Digest;
use delivery::samples;
use domain::error::{Code, Coded};

use crate::{Aws, BUCKET, TABLE};

impl Aws {
    fn file(&self, bytes: &[u8]) -> (Digest, PathBuf) {
        let digest = Digest::of(bytes);
        let path = self.folder.path().join(digest.as_str());
        std::fs::write(&path, bytes).unwrap();
        (digest, path)
    }
}

#[tokio::test]
async fn an_object_is_written_once_and_one_that_is_there_is_compared() {
    let aws = Aws::start().await;
    let artifacts = aws.artifacts();
    let (digest, path) = aws.file(b"bytes");
    assert!(!artifacts.contains(&digest).await.unwrap());
    artifacts.put(&digest, &path).await.unwrap();
    artifacts.put(&digest, &path).await.unwrap();
    assert!(artifacts.contains(&digest).await.unwrap());
    let loaded = aws.folder.path().join("loaded");
    assert_eq!(artifacts.get(&digest, 5, &loaded).await.unwrap().size, 5);
    assert_eq!(std::fs::read(&loaded).unwrap(), b"bytes");
    let error = artifacts.get(&digest, 4, &loaded).await.unwrap_err();
    assert!(matches!(error, ArtifactError::TooLarge { .. }), "{error}");

    // Somebody has written other bytes there.
    let (other, path) = aws.file(b"what it should be");
    let s3 = Client::new(&aws.config);
    let evil = s3
        .put_object()
        .bucket(BUCKET)
        .key(other.key())
        .body(b"evil".to_vec().into());
    evil.send().await.unwrap();
    for error in [
        artifacts.put(&other, &path).await.unwrap_err(),
        artifacts.get(&other, 100, &loaded).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Code::ArtifactMismatch, "{error}");
        assert!(error.to_string().contains(&other.key()), "{error}");
    }
    let kept = s3
        .get_object()
        .bucket(BUCKET)
        .key(other.key())
        .send()
        .await
        .unwrap();
    assert_eq!(&kept.body.collect().await.unwrap().into_bytes()[..], b"evil");
}

#[tokio::test]
async fn what_is_not_there_and_what_may_not_be_read_is_named() {
    let aws = Aws::start().await;
    let loaded = aws.folder.path().join("loaded");
    let location = |bucket: &str| Location {
        bucket: bucket.to_owned(),
        key: "a/b.zip".to_owned(),
        version_id: None,
    };
    let error = aws
        .artifacts()
        .load(&location(BUCKET), 1, &loaded)
        .await
        .unwrap_err();
    assert!(matches!(error, ArtifactError::Missing { .. }), "{error}");
    assert_eq!(error.to_string(), "s3://artifacts/a/b.zip does not exist");
    let error = aws
        .artifacts()
        .load(&location("none"), 1, &loaded)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::StorageRefused, "{error}");
    let (digest, path) = aws.file(b"bytes");
    let nowhere = S3Artifacts::new(&aws.config, "none".to_owned());
    assert_eq!(
        nowhere.put(&digest, &path).await.unwrap_err().code(),
        Code::StorageRefused
    );
}

#[tokio::test]
async fn of_two_builds_of_a_tree_the_first_one_is_kept_until_it_is_replaced() {
    let aws = Aws::start().await;
    aws.create_table().await;
    let evidence = DynamoEvidence::new(&aws.config, TABLE.to_owned());
    let first = samples::artifact();
    let mut second = first.clone();
    second.provenance = samples::digest('4');
    let mut third = first.clone();
    third.provenance = samples::digest('5');
    let find = || evidence.find(&first.application, &first.tree);
    assert_eq!(find().await.unwrap(), None);
    assert!(evidence.put(&first, None).await.unwrap());
    assert!(!evidence.put(&second, None).await.unwrap());
    assert_eq!(find().await.unwrap().as_ref(), Some(&first));
    assert!(!evidence.put(&third, Some(&second)).await.unwrap());
    assert!(evidence.put(&second, Some(&first)).await.unwrap());
    assert_eq!(find().await.unwrap(), Some(second));
    let elsewhere = "other".parse().unwrap();
    assert_eq!(evidence.find(&elsewhere, &first.tree).await.unwrap(), None);
    let nowhere = DynamoEvidence::new(&aws.config, "none".to_owned());
    let error = nowhere.put(&first, None).await.unwrap_err();
    assert_eq!(error.code(), Code::AuditInvalid, "{error}");
    assert!(
        error.to_string().contains("ARTIFACT#deepest-thread#eee"),
        "{error}"
    );
}
