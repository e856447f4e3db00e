//! The destination in S3.

use std::collections::HashMap;

use aws::destination::{DestinationObject, DestinationStore, Prepared, S3Destination, Zip};
use aws_sdk_s3::types::CompletedPart;
use domain::contract::{StagedObject, Version};
use domain::destination::Destination;
use domain::error::{Class, Code, Coded};
use domain::samples;
use testkit::Request;

use testkit::aws::{AwsResponse, Service, asked};

use crate::errors_of_a_staged_object;

const COPY_PART_BYTES: u64 = 512 << 20;

fn destination() -> Destination {
    Destination {
        bucket: "zips".into(),
        key: "group/a.zip".parse().unwrap(),
    }
}

fn staged(size: u64) -> StagedObject {
    StagedObject {
        key: "pushes/1/archive.zip".parse().unwrap(),
        size,
        version_id: Some("v7.x_y".into()),
        sha256: None,
    }
}

fn store_of(service: &Service) -> S3Destination {
    S3Destination::new(&service.config(), "staging".into())
}

const CREATED: &str = "<InitiateMultipartUploadResult><Bucket>zips</Bucket><Key>group/a.zip</Key><UploadId>u1</UploadId></InitiateMultipartUploadResult>";

/// A server that responds to the copy of a part with `copied`.
async fn copying(copied: AwsResponse) -> Service {
    Service::answering(move |request| match request.method.as_str() {
        "POST" => AwsResponse::new(200, CREATED),
        "PUT" => copied.clone(),
        _ => AwsResponse::new(204, ""),
    })
    .await
}

fn copied() -> AwsResponse {
    AwsResponse::new(
        200,
        "<CopyPartResult><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>\"part\"</ETag></CopyPartResult>",
    )
}

async fn prepared(service: &Service) -> Prepared {
    let prepared = store_of(service)
        .prepare(Zip::Staged(&staged(7)), &destination(), &HashMap::new())
        .await;
    service.requests();
    prepared.unwrap()
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(String::as_str)
}

#[tokio::test]
async fn the_version_that_was_staged_is_copied_with_the_metadata() {
    let service = copying(copied()).await;
    let metadata = HashMap::from([("push-id".to_owned(), "1".to_owned())]);
    let prepared = store_of(&service)
        .prepare(Zip::Staged(&staged(7)), &destination(), &metadata)
        .await
        .unwrap();
    assert_eq!(prepared.upload_id, "u1");
    assert_eq!(prepared.parts.len(), 1);
    assert_eq!(prepared.parts[0].e_tag(), Some("\"part\""));
    let requests = service.requests();
    let [create, copy] = &requests[..] else {
        panic!("{requests:?}")
    };
    assert_eq!(asked(create), "POST /zips/group/a.zip?uploads");
    assert_eq!(header(create, "content-type"), Some("application/zip"));
    assert_eq!(header(create, "x-amz-meta-push-id"), Some("1"));
    assert_eq!(asked(copy), "PUT /zips/group/a.zip?partNumber=1&uploadId=u1");
    assert_eq!(
        header(copy, "x-amz-copy-source"),
        Some("staging/pushes/1/archive.zip?versionId=v7.x_y")
    );
    // S3 refuses a range of a small object.
    assert_eq!(header(copy, "x-amz-copy-source-range"), None);
}

#[tokio::test]
async fn a_version_that_was_delivered_is_copied_from_its_own_bucket_by_its_escaped_key() {
    let version = Version {
        push_id: samples::push("d1", "refs/heads/main").push_id,
        bucket: "other-zips".into(),
        key: "gitlab/a+b/%68eads/heads/推送 1.zip".parse().unwrap(),
        version_id: "v7.x_y".into(),
    };
    let zip = Zip::Version(&version, COPY_PART_BYTES + 1);
    let service = copying(copied()).await;
    let prepared = store_of(&service)
        .prepare(zip, &destination(), &HashMap::new())
        .await
        .unwrap();
    assert_eq!(prepared.parts.len(), 2);
    for copy in &service.requests()[1..] {
        assert_eq!(
            header(copy, "x-amz-copy-source"),
            Some("other-zips/gitlab/a%2Bb/%2568eads/heads/%E6%8E%A8%E9%80%81%201.zip?versionId=v7.x_y")
        );
    }
    for code in ["NoSuchVersion", "NoSuchKey"] {
        let service = copying(AwsResponse::error(404, code)).await;
        let error = store_of(&service)
            .prepare(zip, &destination(), &HashMap::new())
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::VersionMissing);
        assert!(
            error.to_string().contains("v7.x_y of s3://other-zips/gitlab/a+b"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_object_without_a_version_is_copied_as_it_is() {
    let service = copying(copied()).await;
    let staged = StagedObject {
        version_id: None,
        ..staged(7)
    };
    let store = store_of(&service);
    store
        .prepare(Zip::Staged(&staged), &destination(), &HashMap::new())
        .await
        .unwrap();
    let source = header(&service.requests()[1], "x-amz-copy-source").map(str::to_owned);
    assert_eq!(source.as_deref(), Some("staging/pushes/1/archive.zip"));
}

#[tokio::test]
async fn a_large_object_is_copied_in_parts_without_gap_or_overlap() {
    for (size, expected) in [
        (COPY_PART_BYTES, vec![None]),
        (
            COPY_PART_BYTES + 1,
            vec![Some("bytes=0-536870911"), Some("bytes=536870912-536870912")],
        ),
    ] {
        let service = copying(copied()).await;
        let store = store_of(&service);
        let prepared = store
            .prepare(Zip::Staged(&staged(size)), &destination(), &HashMap::new())
            .await
            .unwrap();
        let requests = service.requests();
        let copies = requests.iter().filter(|request| request.method == "PUT");
        let ranges: Vec<_> = copies
            .map(|copy| header(copy, "x-amz-copy-source-range"))
            .collect();
        assert_eq!(ranges, expected);
        let numbers: Vec<_> = prepared
            .parts
            .iter()
            .filter_map(CompletedPart::part_number)
            .collect();
        assert_eq!(numbers, (1..).take(expected.len()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_copy_that_fails_is_removed_and_its_error_classified() {
    // Copying takes long, so S3 may already have sent the status 200.
    let late = (AwsResponse::error(200, "InternalError"), Code::StorageUnavailable);
    for (answer, code) in errors_of_a_staged_object().into_iter().chain([late]) {
        let service = copying(answer.clone()).await;
        let error = store_of(&service)
            .prepare(Zip::Staged(&staged(7)), &destination(), &HashMap::new())
            .await
            .unwrap_err();
        assert_eq!(error.code(), code, "{answer:?}");
        assert_eq!(
            service.asked().last().unwrap(),
            "DELETE /zips/group/a.zip?uploadId=u1"
        );
    }
}

#[tokio::test]
async fn errors_at_the_beginning_of_a_copy_are_classified() {
    for (answer, code) in [
        (AwsResponse::error(404, "NoSuchBucket"), Code::StorageRefused),
        (AwsResponse::error(503, "SlowDown"), Code::StorageUnavailable),
    ] {
        let service = Service::always(answer).await;
        let error = store_of(&service)
            .prepare(Zip::Staged(&staged(7)), &destination(), &HashMap::new())
            .await
            .unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(service.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_copy_is_completed_only_if_the_destination_has_not_changed() {
    let service = copying(copied()).await;
    let prepared = prepared(&service).await;
    let completed = AwsResponse::new(
        200,
        "<CompleteMultipartUploadResult><ETag>\"new\"</ETag></CompleteMultipartUploadResult>",
    )
    .with("x-amz-version-id", "v8");
    for (expected, if_match, if_none_match) in [
        (None, None, Some("*")),
        (Some("\"seen\""), Some("\"seen\""), None),
    ] {
        let service = Service::always(completed.clone()).await;
        let delivered = store_of(&service)
            .complete_if_unchanged(&prepared, &destination(), expected)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(delivered.version_id.as_deref(), Some("v8"));
        assert_eq!(delivered.etag, "\"new\"");
        assert_eq!(
            (delivered.bucket.as_str(), &delivered.key),
            ("zips", &destination().key)
        );
        let requests = service.requests();
        assert_eq!(asked(&requests[0]), "POST /zips/group/a.zip?uploadId=u1");
        assert_eq!(header(&requests[0], "if-match"), if_match);
        assert_eq!(header(&requests[0], "if-none-match"), if_none_match);
        let body = String::from_utf8_lossy(&requests[0].body).into_owned();
        assert!(body.contains("<PartNumber>1</PartNumber>"), "{body}");
        assert!(body.contains("part&quot;</ETag>"), "{body}");
    }
}

async fn complete(answer: AwsResponse) -> Result<bool, Code> {
    let prepared = prepared(&copying(copied()).await).await;
    let service = Service::always(answer).await;
    let completed = store_of(&service)
        .complete_if_unchanged(&prepared, &destination(), None)
        .await;
    completed
        .map(|delivered| delivered.is_some())
        .map_err(|error| error.code())
}

#[tokio::test]
async fn a_changed_destination_is_not_a_failure() {
    for (status, code) in [
        (412, "PreconditionFailed"),
        (409, "ConditionalRequestConflict"),
        (404, "NoSuchKey"),
        (404, "NoSuchUpload"),
    ] {
        assert_eq!(
            complete(AwsResponse::error(status, code)).await,
            Ok(false),
            "{code}"
        );
    }
}

#[tokio::test]
async fn an_error_in_a_response_with_the_status_200_is_a_failure() {
    let failed = complete(AwsResponse::error(200, "InternalError"))
        .await
        .unwrap_err();
    assert_eq!(failed, Code::StorageUnavailable);
    assert_eq!(failed.class(), Class::Transient);
}

#[tokio::test]
async fn errors_at_the_completion_of_a_copy_are_classified() {
    let refused = complete(AwsResponse::error(403, "AccessDenied")).await;
    assert_eq!(refused, Err(Code::StorageRefused));
    let unavailable = complete(AwsResponse::error(503, "SlowDown")).await;
    assert_eq!(unavailable, Err(Code::StorageUnavailable));
}

#[tokio::test]
async fn a_copy_that_is_not_needed_is_removed() {
    let prepared = prepared(&copying(copied()).await).await;
    // A copy that cannot be removed is left.
    for answer in [AwsResponse::new(204, ""), AwsResponse::error(403, "AccessDenied")] {
        let service = Service::always(answer).await;
        store_of(&service).abort(&prepared, &destination()).await;
        assert_eq!(service.asked(), ["DELETE /zips/group/a.zip?uploadId=u1"]);
    }
}

#[tokio::test]
async fn the_object_at_the_destination_has_a_tag_a_version_and_metadata() {
    let answer = AwsResponse::new(200, "")
        .with("etag", "\"there\"")
        .with("x-amz-version-id", "v6")
        .with("x-amz-meta-push-id", "0");
    let service = Service::always(answer).await;
    let there = store_of(&service).head(&destination()).await.unwrap();
    let expected = DestinationObject {
        etag: "\"there\"".into(),
        version_id: Some("v6".into()),
        metadata: HashMap::from([("push-id".into(), "0".into())]),
    };
    assert_eq!(there, Some(expected));
    assert_eq!(service.asked(), ["HEAD /zips/group/a.zip"]);
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_not_taken_for_missing() {
    let head = async |status| {
        let service = Service::always(AwsResponse::new(status, "")).await;
        let there = store_of(&service).head(&destination()).await;
        there.map_err(|error| error.code())
    };
    assert_eq!(head(404).await, Ok(None));
    assert_eq!(head(403).await, Err(Code::StorageRefused));
    assert_eq!(head(503).await, Err(Code::StorageUnavailable));
}

#[tokio::test]
async fn a_document_is_put_with_its_media_type() {
    let put = async |answer| {
        let service = Service::always(answer).await;
        let done = store_of(&service)
            .put(&destination(), "application/json", b"{}".to_vec())
            .await;
        (done.map_err(|error| error.code()), service.requests())
    };
    let (done, requests) = put(AwsResponse::new(200, "")).await;
    assert_eq!(done, Ok(()));
    assert_eq!(asked(&requests[0]), "PUT /zips/group/a.zip");
    assert_eq!(header(&requests[0], "content-type"), Some("application/json"));
    assert_eq!(requests[0].body, b"{}");
    assert_eq!(
        put(AwsResponse::error(403, "AccessDenied")).await.0,
        Err(Code::StorageRefused)
    );
    assert_eq!(
        put(AwsResponse::error(500, "InternalError")).await.0,
        Err(Code::StorageUnavailable)
    );
}
