//! The staging area in S3.

use std::path::PathBuf;

use aws::staging::{PIECE_BYTES, Piece, S3Staging, Staging, StorageError};
use domain::contract::StagedObject;
use domain::destination::{ObjectKey, staging_key};
use domain::error::{Code, Coded};
use domain::push::PushId;
use tempfile::TempDir;
use tokio::sync::mpsc;

use testkit::aws::{AwsResponse, Service, asked};

use crate::errors_of_a_staged_object;

/// The SHA-256 of `"the pack"`.
const SHA256: &str = "886ecedf89b43cf3d9d8be71d77552b521f146d259cd8ddc560cfe0965e5e40d";

fn key() -> ObjectKey {
    "pushes/1/commit.pack".parse().unwrap()
}

fn staged() -> StagedObject {
    StagedObject {
        key: key(),
        size: 8,
        version_id: Some("v7".into()),
        sha256: Some(SHA256.into()),
    }
}

fn staging_of(service: &Service) -> S3Staging {
    S3Staging::new(&service.config(), "staging".into())
}

fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("commit.pack");
    (folder, path)
}

async fn load(service: &Service, object: &StagedObject) -> Result<Vec<u8>, StorageError> {
    let (_folder, path) = file();
    staging_of(service).load(object, &path).await?;
    Ok(std::fs::read(&path).unwrap())
}

#[tokio::test]
async fn the_version_that_was_staged_is_loaded() {
    let service = Service::always(AwsResponse::new(200, "the pack")).await;
    assert_eq!(load(&service, &staged()).await.unwrap(), b"the pack");
    assert_eq!(
        service.asked(),
        ["GET /staging/pushes/1/commit.pack?versionId=v7"]
    );
    let unversioned = StagedObject {
        version_id: None,
        sha256: None,
        ..staged()
    };
    assert_eq!(load(&service, &unversioned).await.unwrap(), b"the pack");
    assert_eq!(service.asked(), ["GET /staging/pushes/1/commit.pack"]);
}

#[tokio::test]
async fn other_bytes_than_those_that_were_staged_are_refused() {
    for body in ["THE PACK", "the pack!", "the pac"] {
        let service = Service::always(AwsResponse::new(200, body)).await;
        let error = load(&service, &staged()).await.unwrap_err();
        assert!(matches!(error, StorageError::Changed { .. }), "{error}");
        assert_eq!(error.code(), Code::StagedObjectMissing);
        assert!(error.to_string().contains("pushes/1/commit.pack"), "{error}");
    }
}

/// A bucket that has one object of these bytes, and answers ranges of it.
async fn with_ranges(object: String) -> Service {
    Service::answering(move |request| {
        let Some(range) = request.headers.get("range") else {
            return AwsResponse::new(200, object.clone());
        };
        let range = range.strip_prefix("bytes=").unwrap();
        let [start, end] = [0, 1].map(|part| range.split('-').nth(part).unwrap().parse::<usize>().unwrap());
        if start >= object.len() {
            return AwsResponse::error(416, "InvalidRange");
        }
        let end = end.min(object.len() - 1);
        AwsResponse::new(206, &object[start..=end])
            .with("content-range", format!("bytes {start}-{end}/{}", object.len()))
    })
    .await
}

#[tokio::test]
async fn a_large_object_is_loaded_in_ranges() {
    const MEBIBYTE: usize = 1 << 20;
    let content: String = (0..20 * MEBIBYTE)
        .map(|byte| char::from(b'a' + (byte % 23) as u8))
        .collect();
    let staged = |size: usize| StagedObject {
        size: size as u64,
        sha256: None,
        ..staged()
    };
    let service = with_ranges(content.clone()).await;
    assert!(load(&service, &staged(content.len())).await.unwrap() == content.as_bytes());
    let mut ranges: Vec<_> = service
        .requests()
        .iter()
        .map(|request| request.headers["range"].clone())
        .collect();
    ranges.sort();
    assert_eq!(
        ranges,
        [
            "bytes=0-8388607",
            "bytes=16777216-20971519",
            "bytes=8388608-16777215"
        ]
    );
    let service = Service::always(AwsResponse::new(200, content.clone())).await;
    assert!(load(&service, &staged(content.len())).await.unwrap() == content.as_bytes());
    // It has become shorter or longer, by less and by more than a range.
    for other in [1, 10 * MEBIBYTE, 19 * MEBIBYTE, 21 * MEBIBYTE] {
        let service = with_ranges("a".repeat(other)).await;
        let error = load(&service, &staged(20 * MEBIBYTE)).await.unwrap_err();
        assert!(matches!(error, StorageError::Changed { .. }), "{error}");
    }
}

#[tokio::test]
async fn errors_of_a_load_are_classified() {
    // The response breaks off.
    let cut = (AwsResponse::new(200, "the pa").cut(2), Code::StorageUnavailable);
    for (answer, code) in errors_of_a_staged_object().into_iter().chain([cut]) {
        let service = Service::always(answer.clone()).await;
        let error = load(&service, &staged()).await.unwrap_err();
        assert_eq!(error.code(), code, "{answer:?}: {error}");
    }
}

async fn store(service: &Service, pieces: Vec<Piece>) -> Result<StagedObject, StorageError> {
    let (sender, receiver) = mpsc::channel(pieces.len().max(1));
    for piece in pieces {
        sender.try_send(piece).unwrap();
    }
    drop(sender);
    staging_of(service).store(&key(), receiver).await
}

#[tokio::test]
async fn a_small_object_is_stored_by_one_request_with_version_and_digest() {
    let service = Service::always(AwsResponse::new(200, "").with("x-amz-version-id", "v7")).await;
    let pieces = vec![Piece::Bytes(b"the pack".to_vec()), Piece::End];
    assert_eq!(store(&service, pieces).await.unwrap(), staged());
    let requests = service.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(asked(&requests[0]), "PUT /staging/pushes/1/commit.pack");
    assert_eq!(requests[0].body, b"the pack");

    let empty = store(&service, vec![Piece::End]).await.unwrap();
    assert_eq!((empty.size, empty.version_id.as_deref()), (0, Some("v7")));
    assert_eq!(service.requests()[0].body, b"");
}

#[tokio::test]
async fn a_small_object_whose_sender_stops_is_not_stored() {
    let service = Service::always(AwsResponse::new(200, "")).await;
    for pieces in [vec![], vec![Piece::Bytes(b"the pa".to_vec())]] {
        let error = store(&service, pieces).await.unwrap_err();
        assert!(matches!(error, StorageError::Unfinished { .. }), "{error}");
        assert_eq!(error.code(), Code::WorkspaceFailed);
    }
    assert!(service.requests().is_empty());
}

const CREATED: &str = "<InitiateMultipartUploadResult><Bucket>staging</Bucket><Key>k</Key><UploadId>u1</UploadId></InitiateMultipartUploadResult>";

/// A server that responds to a part with `part`, and to the end of the upload with `completed`.
async fn in_parts(part: AwsResponse, completed: AwsResponse) -> Service {
    Service::answering(move |request| match request.method.as_str() {
        "POST" if request.target.contains("uploads") => AwsResponse::new(200, CREATED),
        "POST" => completed.clone(),
        "PUT" => part.clone(),
        _ => AwsResponse::new(204, ""),
    })
    .await
}

fn completed() -> AwsResponse {
    AwsResponse::new(
        200,
        "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>",
    )
    .with("x-amz-version-id", "v7")
}

fn large() -> Piece {
    Piece::Bytes(vec![0; PIECE_BYTES])
}

#[tokio::test]
async fn a_large_object_is_stored_in_parts_which_are_listed_in_order() {
    let service = in_parts(AwsResponse::new(200, "").with("etag", "\"part\""), completed()).await;
    let mut pieces: Vec<_> = (0..6).map(|_| large()).collect();
    pieces.extend([Piece::Bytes(b"the end".to_vec()), Piece::End]);
    let stored = store(&service, pieces).await.unwrap();
    assert_eq!(stored.size, 6 * PIECE_BYTES as u64 + 7);
    assert_eq!(stored.version_id.as_deref(), Some("v7"));
    assert_eq!(
        stored.sha256.as_deref(),
        Some("b34a56a989b0e4cbaf8a3c87c9bbba31df4746a863e9965eae6f0b2855c8a7a5")
    );
    let requests = service.requests();
    let (last, parts) = requests.split_last().unwrap();
    assert_eq!(asked(&parts[0]), "POST /staging/pushes/1/commit.pack?uploads");
    assert_eq!(asked(last), "POST /staging/pushes/1/commit.pack?uploadId=u1");
    let body = String::from_utf8_lossy(&last.body).into_owned();
    let numbers: Vec<_> = body
        .split("<PartNumber>")
        .skip(1)
        .map(|rest| rest.split_once('<').unwrap().0)
        .collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(body.matches("part&quot;</ETag>").count(), 7, "{body}");
}

#[tokio::test]
async fn the_parts_of_a_large_object_that_fails_are_removed() {
    let part = || AwsResponse::new(200, "").with("etag", "\"part\"");
    for (part, completed, pieces, code) in [
        (part(), completed(), vec![large()], Code::WorkspaceFailed),
        (
            AwsResponse::error(403, "AccessDenied"),
            completed(),
            vec![large(), Piece::End],
            Code::StorageRefused,
        ),
        (
            AwsResponse::error(503, "SlowDown"),
            completed(),
            vec![large(), Piece::End],
            Code::StorageUnavailable,
        ),
        (
            part(),
            AwsResponse::error(200, "InternalError"),
            vec![large(), Piece::End],
            Code::StorageUnavailable,
        ),
    ] {
        let service = in_parts(part, completed).await;
        let error = store(&service, pieces).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(
            service.asked().last().unwrap(),
            "DELETE /staging/pushes/1/commit.pack?uploadId=u1"
        );
    }
}

#[tokio::test]
async fn a_file_is_stored_whole() {
    let service = Service::always(AwsResponse::new(200, "").with("x-amz-version-id", "v7")).await;
    let (_folder, path) = file();
    let missing = staging_of(&service).store_file(&key(), &path).await.unwrap_err();
    assert!(matches!(missing, StorageError::Workspace { .. }), "{missing}");
    std::fs::write(&path, "the pack").unwrap();
    let stored = staging_of(&service).store_file(&key(), &path).await.unwrap();
    assert_eq!(stored, staged());
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test]
async fn the_objects_of_a_push_are_removed_page_by_page() {
    let push_id: PushId = "87513765-0933-52f9-8a01-27081a19c5c8".parse().unwrap();
    let page = |key: &str, more: bool| {
        let token = if more {
            "<NextContinuationToken>t1</NextContinuationToken>"
        } else {
            ""
        };
        format!(
            "<ListBucketResult><IsTruncated>{more}</IsTruncated>{token}<Contents><Key>{key}</Key></Contents></ListBucketResult>"
        )
    };
    let service = Service::answering(move |request| match request.method.as_str() {
        "GET" if request.target.contains("continuation-token=t1") => {
            AwsResponse::new(200, page("second", false))
        }
        "GET" => AwsResponse::new(200, page("first", true)),
        _ => AwsResponse::new(200, "<DeleteResult/>"),
    })
    .await;
    staging_of(&service)
        .remove_all(&staging_key(&push_id, "").unwrap())
        .await
        .unwrap();
    let requests = service.requests();
    let list = "GET /staging/?list-type=2&prefix=pushes%2F87513765-0933-52f9-8a01-27081a19c5c8%2F";
    assert_eq!(asked(&requests[0]), list);
    let deleted: Vec<_> = requests
        .iter()
        .filter(|request| asked(request) == "POST /staging/?delete")
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect();
    assert_eq!(deleted.len(), 2);
    assert!(deleted[0].contains("<Key>first</Key>") && deleted[1].contains("<Key>second</Key>"));
}

#[tokio::test]
async fn nothing_is_removed_if_nothing_was_staged() {
    let empty = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let service = Service::always(AwsResponse::new(200, empty)).await;
    let push_id = "87513765-0933-52f9-8a01-27081a19c5c8".parse().unwrap();
    staging_of(&service)
        .remove_all(&staging_key(&push_id, "").unwrap())
        .await
        .unwrap();
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test]
async fn an_object_that_cannot_be_removed_is_a_failure_despite_the_status_200() {
    let push_id = "87513765-0933-52f9-8a01-27081a19c5c8".parse().unwrap();
    let listed = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>first</Key></Contents></ListBucketResult>";
    for (listed, deleted, code) in [
        (
            AwsResponse::new(200, listed),
            AwsResponse::new(
                200,
                "<DeleteResult><Error><Key>first</Key><Code>AccessDenied</Code></Error></DeleteResult>",
            ),
            Code::StorageRefused,
        ),
        (
            AwsResponse::new(200, listed),
            AwsResponse::new(
                200,
                "<DeleteResult><Error><Key>first</Key><Code>SlowDown</Code></Error></DeleteResult>",
            ),
            Code::StorageUnavailable,
        ),
        (
            AwsResponse::new(200, listed),
            AwsResponse::error(403, "AccessDenied"),
            Code::StorageRefused,
        ),
        (
            AwsResponse::error(503, "SlowDown"),
            AwsResponse::new(200, "<DeleteResult/>"),
            Code::StorageUnavailable,
        ),
    ] {
        let service = Service::in_turn(vec![listed, deleted]).await;
        let error = staging_of(&service)
            .remove_all(&staging_key(&push_id, "").unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}
