//! Raw commits and tags: the signature in them, and whether it holds.

#![no_main]

use std::sync::LazyLock;

use git2::ObjectType;
use libfuzzer_sys::fuzz_target;
use signatures::fuzzing::payload;
use signatures::{Signers, verify};

/// The keys of the seeds, which may sign.
static SIGNERS: LazyLock<Signers> = LazyLock::new(|| {
    let (ssh, openpgp) = (
        include_str!("../keys/allowed_signers"),
        include_str!("../keys/openpgp.asc"),
    );
    Signers::parse(ssh, openpgp).expect("the seeds' keys")
});

/// The payloads that these keys have signed.
static SIGNED: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let seeds: [&[u8]; 4] = [
        include_bytes!("../corpus/signature/commit-ssh"),
        include_bytes!("../corpus/signature/commit-openpgp"),
        include_bytes!("../corpus/signature/tag-ssh"),
        include_bytes!("../corpus/signature/tag-openpgp"),
    ];
    seeds
        .iter()
        .filter_map(|seed| payload(kind(seed), seed))
        .collect()
});

/// Returns the kind of an object. A tag begins with the object that it is of.
fn kind(object: &[u8]) -> ObjectType {
    if object.starts_with(b"object ") {
        ObjectType::Tag
    } else {
        ObjectType::Commit
    }
}

fuzz_target!(|input: &[u8]| {
    let kind = kind(input);
    let repository = fuzz::objects::repository().expect("memory");
    let id = repository
        .odb()
        .and_then(|odb| odb.write(kind, input))
        .expect("memory");
    if verify(&repository, id, id, None, &SIGNERS).is_ok() {
        let payload = payload(kind, input).expect("it was verified");
        assert!(SIGNED.contains(&payload), "this was never signed");
    }
});
