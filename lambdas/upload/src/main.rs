//! The Lambda function of the states `Upload`, `Keep` and `Expire`.

use attestation::KmsSigner;
use audit::DynamoTrail;
use aws::destination::S3Destination;
use aws::{settings, telemetry};
use domain::contract::{Envelope, ExpireInput, FetchedInput, Stage, UploadInput};
use workflow::Call;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let staging_bucket = settings::required("STAGING_BUCKET")?;
    let signing_key = settings::required("SIGNING_KEY_ARN")?;
    let config = aws::config().await;
    let trail = DynamoTrail::new(&config, table);
    let store = S3Destination::new(&config, staging_bucket);
    let deps = upload::Deps {
        trail: &trail,
        store: &store,
        signer: &KmsSigner::new(&config, signing_key),
    };
    workflow::serve(Stage::Upload, async |payload, time_limit| {
        let has_zip = !payload["input"]["archive"].is_null();
        let is_deletion = !payload["input"]["expire"].is_null();
        let call = Call::new(payload, time_limit);
        if is_deletion {
            let work =
                async |envelope: &Envelope<ExpireInput>| upload::expire(&trail, &store, envelope).await;
            call.run(Stage::Expire, &trail, work).await
        } else if has_zip {
            let work = async |envelope: &Envelope<UploadInput>| upload::handle(&deps, envelope).await;
            call.run(Stage::Upload, &trail, work).await
        } else {
            let work = async |envelope: &Envelope<FetchedInput>| upload::keep(&trail, &store, envelope).await;
            call.run(Stage::Keep, &trail, work).await
        }
    })
    .await
}
