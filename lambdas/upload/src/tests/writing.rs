//! What is written, and that nothing unread is overwritten.

use std::collections::HashMap;

use domain::source::Options;

use super::scene::{Scene, delivered_push, destination, document_of, envelope, push};
use super::store::Step::{self, Abort, Complete, Head, Prepare, Put};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_zip_is_written_to_an_empty_destination() {
    let scene = Scene::default();
    let envelope = envelope(push("d1", None, Some('a')), 1);
    let delivered = scene.deliver(&envelope).await;
    let object = scene.store.object(&destination()).unwrap();
    assert_eq!(
        delivered,
        Delivered {
            bucket: "zips".to_owned(),
            key: destination().key,
            version_id: Some("v1".to_owned()),
            etag: object.etag,
            provenance: Some(document_of(&envelope.push).key),
        }
    );
    assert_eq!(scene.delivered(), Some(delivered_push(&envelope)));
    assert_eq!(
        object.metadata["provenance"],
        document_of(&envelope.push).key.as_str()
    );
    assert_eq!(scene.last().await, Some(delivered_push(&envelope)));
    assert_eq!(scene.store.steps(), [Head, Prepare, Head, Put, Complete]);
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn the_provenance_document_is_written_before_the_zip_that_names_it() {
    let scene = Scene::default();
    let envelope = envelope(push("d1", None, Some('a')), 1);
    let gate = scene.store.gate(Complete, 1);
    let (uploaded, ()) = tokio::join!(scene.upload(&envelope), async {
        gate.reached().await;
        let document = scene.store.document(&document_of(&envelope.push)).unwrap();
        assert_eq!(document.media_type, attestation::MEDIA_TYPE);
        let (media_type, statement) =
            attestation::verify(&document.bytes, &scene.signer.public_key()).unwrap();
        assert_eq!(media_type, provenance::MEDIA_TYPE);
        assert_eq!(statement, provenance::document(&envelope).unwrap());
        assert_eq!(scene.store.object(&destination()), None);
        gate.open();
    });
    uploaded.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_zip_without_its_provenance_document_is_not_written() {
    let scene = Scene::default();
    scene.store.fail(Put, 1);
    let error = scene
        .upload(&envelope(push("d1", None, Some('a')), 1))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::StorageUnavailable);
    assert_eq!(scene.store.object(&destination()), None);
    assert_eq!(scene.last().await, None);
    scene.assert_tidy().await;
}

/// A key that cannot be used.
struct Broken {
    transient: bool,
}

impl Signer for Broken {
    async fn sign(&self, _sha256: [u8; 32]) -> Result<Option<attestation::Signature>, SigningError> {
        Err(SigningError {
            key: "key".to_owned(),
            transient: self.transient,
            source: "disabled".into(),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_zip_whose_provenance_document_cannot_be_signed_is_not_written() {
    for (transient, code) in [(true, Code::SigningUnavailable), (false, Code::SigningRefused)] {
        let scene = Scene::default();
        let deps = Deps {
            trail: &scene.trail,
            store: &scene.store,
            signer: &Broken { transient },
        };
        let envelope = envelope(push("d1", None, Some('a')), 1);
        let error = handle(&deps, &envelope).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(scene.store.object(&destination()), None);
        assert_eq!(scene.last().await, None);
        scene.assert_tidy().await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_key_the_document_is_stored_as_it_is() {
    let scene = Scene::default();
    let deps = Deps {
        trail: &scene.trail,
        store: &scene.store,
        signer: &attestation::Unsigned,
    };
    let envelope = envelope(push("d1", None, Some('a')), 1);
    handle(&deps, &envelope).await.unwrap();
    let document = scene.store.document(&document_of(&envelope.push)).unwrap();
    assert_eq!(document.media_type, provenance::MEDIA_TYPE);
    assert_eq!(document.bytes, provenance::document(&envelope).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_zip_whose_write_had_its_response_lost_is_found_again() {
    let scene = Scene::default();
    let envelope = envelope(push("d1", None, Some('a')), 1);
    scene.store.lose_response(Complete);
    let error = scene.upload(&envelope).await.unwrap_err();
    assert_eq!(error.code(), Code::StorageUnavailable);
    assert_eq!(scene.last().await, None);
    let object = scene.store.object(&destination()).unwrap();
    let delivered = scene.deliver(&envelope).await;
    assert_eq!(
        (delivered.version_id, delivered.etag),
        (object.version_id, object.etag)
    );
    assert_eq!(delivered.provenance, Some(document_of(&envelope.push).key));
    assert_eq!(scene.last().await, Some(delivered_push(&envelope)));
    assert_eq!(scene.store.count(Prepare), 1, "nothing is copied twice");
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_removed_if_another_run_was_first() {
    let scene = Scene::default();
    let envelope = envelope(push("d1", None, Some('a')), 1);
    let gate = scene.store.gate(Prepare, 1);
    let (second, first) = tokio::join!(scene.deliver(&envelope), async {
        gate.reached().await;
        let first = scene.deliver(&envelope).await;
        gate.open();
        first
    });
    assert_eq!(second, first);
    assert_eq!(scene.store.count(Complete), 1);
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn another_zip_of_the_same_push_is_replaced() {
    let scene = Scene::default();
    let first = envelope(push("d1", None, Some('a')), 1);
    scene.deliver(&first).await;
    let mut second = first.clone();
    second.input.deliver.options = Options {
        build_info: false,
        ..Options::default()
    };
    second.input.archive.sha256 = "f".repeat(64);
    second.input.archive.object.sha256 = Some("f".repeat(64));
    let delivered = scene.deliver(&second).await;
    assert_eq!(delivered.version_id.as_deref(), Some("v2"));
    assert_eq!(scene.delivered(), Some(delivered_push(&second)));
    assert_eq!(scene.last().await, Some(delivered_push(&second)));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_names_no_push_is_replaced_only_if_the_options_say_so() {
    let scene = Scene::default();
    scene.store.place(&destination(), "by hand", HashMap::new());
    let mut envelope = envelope(push("d1", None, Some('a')), 1);
    let error = scene.upload(&envelope).await.unwrap_err();
    assert_eq!(error.code(), Code::DestinationOccupied);
    assert!(error.to_string().contains("not a delivered zip"), "{error}");
    assert_eq!(scene.store.steps(), [Head]);
    envelope.input.deliver.options.overwrite_foreign = true;
    scene.deliver(&envelope).await;
    assert_eq!(scene.delivered(), Some(delivered_push(&envelope)));
    assert_eq!(scene.store.count(Complete), 1);
}

/// Uploads a zip after `before`, with `meanwhile` between its inspection and its write.
async fn upload_while(before: impl Fn(&Scene), meanwhile: impl Fn(&Scene)) -> Scene {
    let scene = Scene::default();
    before(&scene);
    let mut envelope = envelope(push("d1", None, Some('a')), 1);
    envelope.input.deliver.options.overwrite_foreign = true;
    let gate = scene.store.gate(Complete, 1);
    let (delivered, ()) = tokio::join!(scene.deliver(&envelope), async {
        gate.reached().await;
        meanwhile(&scene);
        gate.open();
    });
    assert_eq!(scene.store.object(&destination()).unwrap().etag, delivered.etag);
    assert_eq!(scene.delivered(), Some(delivered_push(&envelope)));
    scene.assert_tidy().await;
    scene
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_has_changed_is_read_again_and_copied_to_again() {
    let nothing = |_: &Scene| ();
    let place = |content: &'static str| {
        move |scene: &Scene| scene.store.place(&destination(), content, HashMap::new())
    };
    let remove = |scene: &Scene| scene.store.remove(&destination());
    let scenes = [
        upload_while(nothing, place("by hand")).await,
        upload_while(place("by hand"), place("by another hand")).await,
        upload_while(place("by hand"), remove).await,
    ];
    let once = [Head, Prepare, Head, Put, Complete];
    for scene in scenes {
        assert_eq!(scene.store.steps(), [&once[..], &[Abort], &once[..]].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_object_that_came_between_look_and_write_stays() {
    let scene = Scene::default();
    let envelope = envelope(push("d1", None, Some('a')), 1);
    let gate = scene.store.gate(Complete, 1);
    let (uploaded, ()) = tokio::join!(scene.upload(&envelope), async {
        gate.reached().await;
        scene.store.place(&destination(), "by hand", HashMap::new());
        gate.open();
    });
    assert_eq!(uploaded.unwrap_err().code(), Code::DestinationOccupied);
    assert_eq!(
        scene.store.object(&destination()).unwrap().metadata,
        HashMap::new()
    );
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn a_zip_never_replaces_a_provenance_document() {
    let scene = Scene::default();
    let first = envelope(push("d1", None, Some('a')), 1);
    scene.deliver(&first).await;
    let mut second = envelope(push("d2", None, Some('b')), 2);
    second.input.deliver.destination = document_of(&first.push);
    let error = scene.upload(&second).await.unwrap_err();
    assert_eq!(error.code(), Code::DestinationOccupied);
}

#[tokio::test(start_paused = true)]
async fn a_newer_zip_that_came_between_look_and_write_stays() {
    // Another stack writes it, so it does not have the lease of this one.
    let newer = envelope(push("d2", Some('a'), Some('b')), 2);
    let metadata = metadata::write(
        &delivered_push(&newer),
        &newer.input.fetched,
        &document_of(&newer.push).key,
    )
    .unwrap();
    for step in [Prepare, Complete] {
        let scene = Scene::default();
        let gate = scene.store.gate(step, 1);
        let older = envelope(push("d1", None, Some('a')), 1);
        let (uploaded, ()) = tokio::join!(scene.upload(&older), async {
            gate.reached().await;
            scene.store.place(&destination(), "b", metadata.clone());
            gate.open();
        });
        let Uploaded::Superseded(superseded) = uploaded.unwrap() else {
            panic!("not superseded")
        };
        assert_eq!(superseded.by, newer.push.push_id);
        assert_eq!(scene.delivered(), Some(delivered_push(&newer)));
        assert_eq!(scene.last().await, None, "nothing of this stack was delivered");
        scene.assert_tidy().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_gives_up_if_the_destination_keeps_changing() {
    let scene = Scene::default();
    let gates: Vec<_> = (1..=MAX_ATTEMPTS)
        .map(|nth| scene.store.gate(Complete, nth))
        .collect();
    let mut envelope = envelope(push("d1", None, Some('a')), 1);
    envelope.input.deliver.options.overwrite_foreign = true;
    let (uploaded, ()) = tokio::join!(scene.upload(&envelope), async {
        for (number, gate) in gates.iter().enumerate() {
            gate.reached().await;
            scene
                .store
                .place(&destination(), &number.to_string(), HashMap::new());
            gate.open();
        }
    });
    let error = uploaded.unwrap_err();
    assert_eq!(error.code(), Code::DestinationContended);
    assert!(
        error.to_string().contains("s3://zips/gitlab/group/project"),
        "{error}"
    );
    let count = |step: Step| scene.store.count(step);
    assert_eq!(
        (count(Prepare), count(Complete), count(Abort)),
        (MAX_ATTEMPTS, MAX_ATTEMPTS, MAX_ATTEMPTS)
    );
    assert_eq!(scene.last().await, None);
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_staged_zip_is_reported_as_missing() {
    let scene = Scene::default();
    scene.store.lose_what_was_staged();
    let error = scene
        .upload(&envelope(push("d1", None, Some('a')), 1))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::StagedObjectMissing);
    assert_eq!(scene.store.object(&destination()), None);
    assert_eq!(scene.record().await, None, "the lease was not requested");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_leaves_no_room_for_the_provenance_documents_is_an_error() {
    let scene = Scene::default();
    let mut envelope = envelope(push("d1", None, Some('a')), 1);
    envelope.input.deliver.destination.key = "x".repeat(1_024).parse().unwrap();
    let error = scene.upload(&envelope).await.unwrap_err();
    assert_eq!(error.code(), Code::SourceInvalid);
    assert_eq!(scene.store.steps(), []);
}
