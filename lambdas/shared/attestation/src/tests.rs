//! Signs with a key in memory, and refuses what it has not signed.

#![expect(clippy::unwrap_used, reason = "what a test needs is there, or it fails")]

use super::*;

const DOCUMENT: &[u8] = b"{\"a\": 1}\n";
const TYPE: &str = "application/vnd.in-toto+json";

async fn signed(number: u8) -> Envelope {
    let signer = MemorySigner::new(number);
    Envelope::sign(&signer, TYPE, DOCUMENT).await.unwrap().unwrap()
}

fn check(envelope: &Envelope, number: u8) -> Result<(String, Vec<u8>), VerificationError> {
    let envelope = serde_json::to_vec(envelope).unwrap();
    verify(&envelope, &MemorySigner::new(number).public_key())
}

#[tokio::test]
async fn what_the_key_has_signed_is_returned() {
    let envelope = signed(1).await;
    let (payload_type, document) = check(&envelope, 1).unwrap();
    assert_eq!((payload_type.as_str(), document.as_slice()), (TYPE, DOCUMENT));
    // Another one of several signatures will do.
    let both = Envelope {
        signatures: [signed(2).await.signatures, envelope.signatures].concat(),
        ..signed(2).await
    };
    assert!(check(&both, 1).is_ok() && check(&both, 2).is_ok());
}

#[tokio::test]
async fn content_type_or_key_that_differ_are_no_match() {
    let envelope = signed(1).await;
    let others = [
        Envelope {
            payload: STANDARD.encode(b"{\"a\": 2}\n"),
            ..envelope.clone()
        },
        Envelope {
            payload_type: "application/json".to_owned(),
            ..envelope.clone()
        },
        // The lengths keep the border between the type and the document where it was.
        Envelope {
            payload_type: format!("{TYPE} {} {{", DOCUMENT.len()),
            payload: STANDARD.encode(&DOCUMENT[1..]),
            ..envelope.clone()
        },
        signed(2).await,
    ];
    for other in others {
        let error = check(&other, 1).unwrap_err();
        assert!(matches!(error, VerificationError::Mismatch(_)), "{error}");
    }
}

#[tokio::test]
async fn an_envelope_without_a_signature_or_that_is_none_is_refused() {
    let unsigned = Envelope {
        signatures: vec![],
        ..signed(1).await
    };
    assert!(matches!(check(&unsigned, 1), Err(VerificationError::Unsigned)));
    let key = MemorySigner::new(1).public_key();
    let statement = br#"{"_type": "https://in-toto.io/Statement/v1"}"#;
    assert!(matches!(
        verify(statement, &key),
        Err(VerificationError::Unsigned)
    ));
    for other in [&b""[..], b"{}", DOCUMENT, b"\xff"] {
        assert!(matches!(
            verify(other, &key),
            Err(VerificationError::Malformed(_))
        ));
    }
    let damaged = Envelope {
        payload: "*".to_owned(),
        ..signed(1).await
    };
    assert!(matches!(check(&damaged, 1), Err(VerificationError::Malformed(_))));
}

#[test]
fn a_key_is_read_as_pem_and_as_der() {
    let pem = MemorySigner::new(1).public_key().pem().unwrap();
    assert!(PublicKey::parse(pem.as_bytes()).is_ok());
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    let der = STANDARD.decode(lines.collect::<String>()).unwrap();
    assert!(PublicKey::parse(&der).is_ok());
    for other in [&b""[..], &der[1..], b"-----BEGIN PUBLIC KEY-----"] {
        assert!(matches!(PublicKey::parse(other), Err(VerificationError::Key)));
    }
}

/// The example of the specification: <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md#test-vectors>.
#[test]
fn what_is_signed_is_what_the_specification_says() {
    let expected = Sha256::digest(b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    assert_eq!(
        digest("http://example.com/HelloWorld", b"hello world"),
        <[u8; 32]>::from(expected)
    );
}
