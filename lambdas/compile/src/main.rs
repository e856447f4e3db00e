//! The Lambda function of the states `Build`, `CheckBuild` and `Collect`.

use artifacts::bucket::S3Artifacts;
use artifacts::evidence::DynamoEvidence;
use audit::DynamoTrail;
use aws::{settings, telemetry};
use compile::CodeBuild;
use delivery::contract::{BuildInput, BuiltInput, Envelope, Stage};
use delivery::deployment::Deployment;
use workflow::Call;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let table = settings::required("TABLE_NAME")?;
    let bucket = settings::required("ARTIFACT_BUCKET")?;
    let project = settings::required("BUILD_PROJECT")?;
    let endpoint = settings::optional("CODEBUILD_ENDPOINT_URL");
    let config = aws::config().await;
    let builds = CodeBuild::new(&aws::at(&config, endpoint), project, bucket.clone());
    let deps = compile::Deps {
        builds: &builds,
        artifacts: &S3Artifacts::new(&config, bucket),
        evidence: &DynamoEvidence::new(&config, table.clone()),
    };
    let trail = DynamoTrail::<Deployment>::new(&config, table);
    workflow::serve("compile", async |payload, time_limit| {
        let call = Call::new(payload, time_limit);
        match call.stage()? {
            stage @ Stage::Build => {
                let work = async |envelope: &Envelope<BuildInput>| {
                    compile::start(&builds, &envelope.execution, &envelope.input).await
                };
                call.run(stage, &trail, work).await
            }
            stage @ Stage::CheckBuild => {
                let work =
                    async |envelope: &Envelope<BuiltInput>| compile::check(&builds, &envelope.input).await;
                call.run(stage, &trail, work).await
            }
            stage @ Stage::Collect => {
                let work = async |envelope: &Envelope<BuiltInput>| {
                    compile::collect(&deps, &envelope.execution, &envelope.input).await
                };
                call.run(stage, &trail, work).await
            }
            other => Err(Call::not_here(other)),
        }
    })
    .await
}
