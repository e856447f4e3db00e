//! An object that lies where a zip is to be delivered, and is not a delivered zip.

use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStream;
use deployed_stack::Stack;

use crate::Error;

/// The metadata by which the object is known again. That of a delivered zip is another.
const MADE_BY: (&str, &str) = ("made-by", "push-code-local-push-fail");

/// An object at the key of a push.
#[derive(Debug)]
pub struct Obstacle {
    s3: aws_sdk_s3::Client,
    bucket: String,
    key: String,
}

impl Obstacle {
    /// Returns the obstacle at `key` of the stack's bucket, which is not there before it is [put](Self::put).
    ///
    /// # Errors
    /// Returns an error if the stack has no output that names the bucket.
    pub fn at(stack: &Stack, key: String) -> Result<Self, Error> {
        Ok(Self {
            s3: stack.s3(),
            bucket: stack.output("DestinationBucket")?.to_owned(),
            key,
        })
    }

    /// Puts the object there, before whatever lies there.
    ///
    /// # Errors
    /// Returns an error if S3 refuses it.
    pub async fn put(&self) -> Result<(), Error> {
        let put = self.s3.put_object().bucket(&self.bucket).key(&self.key);
        let put = put.metadata(MADE_BY.0, MADE_BY.1);
        put.body(ByteStream::from_static(b"not a delivered zip"))
            .send()
            .await
            .map_err(deployed_stack::Error::aws(format!("put {}", self.place())))?;
        Ok(())
    }

    /// Removes the object, so that what lay there before it is there again. Any other object stays.
    ///
    /// # Errors
    /// Returns an error if S3 refuses it.
    pub async fn remove(&self) -> Result<(), Error> {
        let head = self.s3.head_object().bucket(&self.bucket).key(&self.key);
        let object = match head.send().await {
            Ok(object) => object,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(HeadObjectError::is_not_found) =>
            {
                return Ok(());
            }
            Err(error) => {
                return Err(deployed_stack::Error::aws(format!("look at {}", self.place()))(error).into());
            }
        };
        let mark = object.metadata().and_then(|metadata| metadata.get(MADE_BY.0));
        if mark.map(String::as_str) != Some(MADE_BY.1) {
            return Ok(());
        }
        let delete = self.s3.delete_object().bucket(&self.bucket).key(&self.key);
        delete
            .set_version_id(object.version_id)
            .send()
            .await
            .map_err(deployed_stack::Error::aws(format!("remove {}", self.place())))?;
        Ok(())
    }

    fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}
