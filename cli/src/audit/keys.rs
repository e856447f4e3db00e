//! The public keys of a stack, and provenance documents: what `push-code verify` needs besides a zip.

use std::io::Write;
use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use deployed_stack::Stack;
use domain::state::PushState;

use crate::Error;
use crate::unverified::{MAX_DOCUMENT_BYTES, Unverified};

/// Returns the public half of the key that an output of the stack names, as PEM.
pub async fn read(stack: &Stack, output: &str) -> Result<String, Error> {
    let arn = stack.output(output)?;
    let key = attestation::public_key(stack.config(), arn).await;
    Ok(key.map_err(deployed_stack::Error::aws(format!("read the public key {arn}")))?)
}

/// Returns the provenance document of what a push has delivered, as it is in the bucket.
pub async fn document(stack: &Stack, push: &PushState) -> Result<Vec<u8>, Error> {
    let document = push
        .delivered
        .as_ref()
        .and_then(|delivered| Some((&delivered.bucket, delivered.provenance.as_ref()?)));
    let Some((bucket, key)) = document else {
        return Err(Error::NotDelivered {
            push_id: push.push_id().to_string(),
            status: push.status.to_string(),
            reason: push
                .reason()
                .unwrap_or_else(|| "only a delivered push has a provenance document".to_owned()),
        });
    };
    let place = format!("s3://{bucket}/{key}");
    let action = format!("download {place}");
    let object = stack.s3().get_object().bucket(bucket).key(key.as_str());
    let object = object.send().await.map_err(deployed_stack::Error::aws(&action))?;
    collect(object.body, place).await
}

/// Collects a document from the bucket at `place`, where whoever may write to it may have put anything.
async fn collect(mut body: ByteStream, place: String) -> Result<Vec<u8>, Error> {
    let mut document = Vec::new();
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(deployed_stack::Error::aws(format!("download {place}")))?;
        document.extend_from_slice(&bytes);
        if document.len() as u64 > MAX_DOCUMENT_BYTES {
            return Err(Unverified::TooLarge { path: place }.into());
        }
    }
    Ok(document)
}

/// Writes to standard output.
pub fn write(out: &mut impl Write, bytes: &[u8]) -> Result<(), Error> {
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(Error::io("write to", Path::new("standard output")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_document_of_the_bucket_is_not_larger_than_a_file_may_be() {
        let bytes = |count: u64| ByteStream::from(vec![0; count as usize]);
        let collect = async |count| collect(bytes(count), "s3://zips/a.json".to_owned()).await;
        assert_eq!(
            collect(MAX_DOCUMENT_BYTES).await.unwrap().len() as u64,
            MAX_DOCUMENT_BYTES
        );
        let error = collect(MAX_DOCUMENT_BYTES + 1).await.unwrap_err().to_string();
        assert!(
            error.contains("s3://zips/a.json is no provenance document"),
            "{error}"
        );
    }
}
