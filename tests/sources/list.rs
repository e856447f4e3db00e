//! The sources of the deployed stack, as people list them.

use git_host::Options;
use sources::{Source, Sweep, list};

use crate::fixtures::scene::Scene;

#[tokio::test]
async fn every_source_of_the_stack_is_listed_also_one_with_malformed_settings() {
    let (scene, _host) = Scene::over_http("listed", Options::default()).await;
    let stack = scene.stack;
    stack
        .put_settings("listed-malformed", "{\"provider\":\"gitlab\"}")
        .await;
    let handle = stack.handle();
    let sources = list(&handle).await.unwrap();
    assert!(sources.is_sorted_by_key(|source| source.name.clone()));
    let named = |name: &str| -> &Source {
        let found = sources.iter().find(|source| source.name == name);
        found.unwrap_or_else(|| panic!("{name} is not listed: {sources:#?}"))
    };
    let settings = named("listed").settings.as_ref().unwrap();
    assert_eq!(settings.git_hosts[0].as_str(), scene.origin());
    let of_the_template = named("gitlab").settings.as_ref().unwrap();
    assert_eq!(of_the_template.repositories, ["group/**"]);
    assert_eq!(
        of_the_template.destination.bucket,
        stack.output("DestinationBucket")
    );
    let reason = named("listed-malformed").settings.as_ref().unwrap_err();
    assert!(reason.contains("repositories"), "{reason}");
    // The tests' stack has no schedule.
    assert_eq!(Sweep::of(&handle), Sweep::Off);
    let mut outputs = handle.outputs().clone();
    for (output, sweep) in [
        (
            Some("rate(15 minutes)"),
            Sweep::Rate("rate(15 minutes)".to_owned()),
        ),
        (None, Sweep::Unknown),
    ] {
        outputs.remove("SweepRate");
        outputs.extend(output.map(|rate| ("SweepRate".to_owned(), rate.to_owned())));
        let other = deployed_stack::Stack::new("push-code", outputs.clone(), handle.config().clone());
        assert_eq!(Sweep::of(&other), sweep);
    }
    let parameter = serde_json::json!({"Name": "/push-code/sources/listed-malformed"});
    let administrator = &stack.administrator;
    let target = "AmazonSSM.DeleteParameter";
    administrator.json("ssm", target, &parameter).await.value();
}
