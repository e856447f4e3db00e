//! The public keys of a stack, and provenance documents: what `push-code verify` needs besides a zip.

use std::io::Write;
use std::path::Path;

use ::audit::EventStore as _;
use domain::push::PushId;
use local_aws::Stack;

use crate::Error;

/// Returns the public half of the key that an output of the stack names, as PEM.
pub async fn read(stack: &Stack, output: &str) -> Result<String, Error> {
    let arn = stack.output(output)?;
    let key = attestation::public_key(stack.config(), arn).await;
    Ok(key.map_err(local_aws::Error::aws(format!("read the public key {arn}")))?)
}

/// Returns the provenance document of what a push has delivered, as it is in the bucket.
pub async fn document(stack: &Stack, push_id: PushId) -> Result<Vec<u8>, Error> {
    let action = format!("read the audit trail of the stack {}", stack.name());
    let state = stack.trail()?.load(push_id).await;
    let state = state.map_err(local_aws::Error::audit(action))?;
    let state = state.ok_or_else(|| Error::NoPush {
        push_id: push_id.to_string(),
        stack: stack.name().to_owned(),
    })?;
    let document = state
        .delivered
        .as_ref()
        .and_then(|delivered| Some((&delivered.bucket, delivered.provenance.as_ref()?)));
    let Some((bucket, key)) = document else {
        return Err(Error::NotDelivered {
            push_id: push_id.to_string(),
            status: state.status.to_string(),
            reason: state
                .reason()
                .unwrap_or_else(|| "only a delivered push has a provenance document".to_owned()),
        });
    };
    let action = format!("download s3://{bucket}/{key}");
    let object = stack.s3().get_object().bucket(bucket).key(key.as_str());
    let object = object.send().await.map_err(local_aws::Error::aws(&action))?;
    let bytes = object.body.collect().await;
    Ok(bytes.map_err(local_aws::Error::aws(&action))?.to_vec())
}

/// Writes to standard output.
pub fn write(out: &mut impl Write, bytes: &[u8]) -> Result<(), Error> {
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(Error::io("write to", Path::new("standard output")))
}
