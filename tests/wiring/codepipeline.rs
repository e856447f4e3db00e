//! The example of a pipeline, and what Push Code writes for it.

use serde_json::{Value, json};

use crate::project::{items, parse, read, resources, template};

const EXAMPLE: &str = "examples/codepipeline/template.yaml";

fn action<'a>(pipeline: &'a Value, stage: &str) -> &'a Value {
    let mut stages = items(&pipeline["Stages"]);
    &stages.find(|found| found["Name"] == stage).unwrap()["Actions"][0]
}

#[test]
fn one_object_starts_the_pipeline_by_its_whole_name_and_with_the_version_of_the_event() {
    let example = parse(EXAMPLE);
    let (_, rule) = resources(&example, "AWS::Events::Rule").next().unwrap();
    assert_eq!(
        rule["EventPattern"],
        json!({
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {
                "bucket": { "name": [{ "Ref": "ZipBucketName" }] },
                "object": { "key": [{ "Ref": "ZipKey" }] }
            }
        })
    );
    let (_, pipeline) = resources(&example, "AWS::CodePipeline::Pipeline").next().unwrap();
    let source = action(pipeline, "Source");
    assert_eq!(source["Configuration"]["PollForSourceChanges"], "false");
    let transformer = &rule["Targets"][0]["InputTransformer"];
    assert_eq!(
        transformer["InputPathsMap"],
        json!({ "version": "$.detail.object.version-id" })
    );
    let started: Value = serde_json::from_str(transformer["InputTemplate"].as_str().unwrap()).unwrap();
    assert_eq!(
        started,
        json!({ "sourceRevisions": [{
            "actionName": source["Name"], "revisionType": "S3_OBJECT_VERSION_ID", "revisionValue": "<version>"
        }] })
    );
    let namespace = source["Namespace"].as_str().unwrap();
    let build = &action(pipeline, "Build")["Configuration"]["EnvironmentVariables"];
    let build: Value = serde_json::from_str(build.as_str().unwrap()).unwrap();
    assert_eq!(build[0]["value"], format!("#{{{namespace}.VersionId}}"));
}

/// The guide lists the metadata of a zip.
#[test]
fn the_build_reads_metadata_that_a_zip_has() {
    let example = parse(EXAMPLE);
    let (_, project) = resources(&example, "AWS::CodeBuild::Project").next().unwrap();
    let buildspec = project["Source"]["BuildSpec"].as_str().unwrap();
    let (_, query) = buildspec.split_once("--query Metadata.").unwrap();
    let name = query.split_whitespace().next().unwrap();
    let guide = read("docs/architecture.md");
    let (_, listed) = guide.split_once("- The object has this metadata: ").unwrap();
    assert!(
        listed
            .split("\n- ")
            .next()
            .unwrap()
            .contains(&format!("`{name}`")),
        "{name}"
    );
}

/// A bucket without these starts nothing, and CodePipeline takes no bucket that keeps no versions.
#[test]
fn the_bucket_of_the_stack_keeps_versions_and_sends_events() {
    let template = template();
    let bucket = &template["Resources"]["DestinationBucket"]["Properties"];
    assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
    let events = &bucket["NotificationConfiguration"]["EventBridgeConfiguration"];
    assert_eq!(events["EventBridgeEnabled"], true);
}

/// The pipeline takes the zip, and the build reads its metadata, which S3 does not give without the right to decrypt.
#[test]
fn who_reads_the_zip_may_decrypt_it() {
    let example = parse(EXAMPLE);
    for role in ["PipelineRole", "BuildRole"] {
        let policies = items(&example["Resources"][role]["Properties"]["Policies"]);
        let mut conditional = policies.filter_map(|policy| policy["Fn::If"].as_array());
        let choice = conditional.next().unwrap();
        assert_eq!(choice[0], "HasKey", "{role}");
        let statement = &choice[1]["PolicyDocument"]["Statement"][0];
        assert_eq!(statement["Action"], "kms:Decrypt", "{role}");
        assert_eq!(statement["Resource"], json!({ "Ref": "ZipKeyArn" }), "{role}");
    }
}
