//! Sources whose adding or removal ends between two writes.

use deployed_stack::Stack;
use serde_json::json;
use sources::{Error, Store, add, remove, show};

use super::Subject;
use crate::fixtures::repository::MAIN;

/// Returns the stack in the name of somebody who may not do these actions.
async fn who_may_not<H>(subject: &Subject<H>, actions: &[&str]) -> Stack {
    let stack = subject.scene.stack;
    let document =
        |statements: serde_json::Value| json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let trust = document(json!([
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}},
    ]));
    let rights = document(json!([
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": actions, "Resource": "*"},
    ]));
    let role = format!("may-not-{}", uuid::Uuid::new_v4().simple());
    let version = ("Version", "2010-05-08");
    let create = [
        ("Action", "CreateRole"),
        version,
        ("RoleName", &role),
        ("AssumeRolePolicyDocument", &trust),
    ];
    let put = [
        ("Action", "PutRolePolicy"),
        version,
        ("RoleName", &role),
        ("PolicyName", "rights"),
        ("PolicyDocument", &rights),
    ];
    for call in [&create[..], &put] {
        let answer = stack.administrator.query("iam", call).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let arn = format!("arn:aws:iam::000000000000:role/{role}");
    let caller = stack.administrator.assume(&arn).await;
    let handle = stack.handle();
    let config = caller.config(handle.config());
    Stack::new(handle.name(), handle.outputs().clone(), config)
}

/// Adds the source, and checks that it delivers.
async fn assert_is_added(mut subject: Subject<git_host::GitHost>) {
    subject.add().await;
    let scene = &subject.scene;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("README.md", "# Fine\n");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    assert!(scene.push(&hook).await.state().delivered.is_some());
}

async fn assert_is_missing<H>(subject: &Subject<H>) {
    let shown = show(&subject.store, &subject.name()).await;
    assert!(matches!(shown, Err(Error::Missing(_))), "{shown:?}");
}

#[tokio::test]
async fn there_is_no_source_as_long_as_its_secrets_cannot_be_written() {
    let subject = Subject::over_http("no-secrets").await;
    let stack = who_may_not(&subject, &["secretsmanager:CreateSecret"]).await;
    let refused = add(&Store::of(&stack).unwrap(), &subject.new_source()).await;
    assert!(matches!(refused, Err(Error::Aws(_))), "{refused:?}");
    assert_is_missing(&subject).await;
    assert_is_added(subject).await;
}

#[tokio::test]
async fn a_source_whose_settings_were_not_written_any_more_is_added_by_the_same_command_again() {
    let subject = Subject::over_http("without-settings").await;
    let stack = who_may_not(&subject, &["ssm:PutParameter"]).await;
    let refused = add(&Store::of(&stack).unwrap(), &subject.new_source()).await;
    assert!(matches!(refused, Err(Error::Aws(_))), "{refused:?}");
    assert_is_missing(&subject).await;
    assert_is_added(subject).await;
}

#[tokio::test]
async fn a_source_of_which_only_the_first_secret_was_written_is_added() {
    let subject = Subject::over_http("one-secret").await;
    let left = json!({"provider": "gitlab", "secret": "of before"});
    subject
        .scene
        .stack
        .create_secret("one-secret", "webhook", &left)
        .await;
    assert_is_added(subject).await;
}

#[tokio::test]
async fn of_two_commands_that_add_a_source_at_once_one_fails() {
    let subject = Subject::over_http("added-twice").await;
    let (one, other) = (subject.new_source(), subject.new_source());
    let (one, other) = tokio::join!(add(&subject.store, &one), add(&subject.store, &other));
    let refused = match (one, other) {
        (Ok(_), Err(error)) | (Err(error), Ok(_)) => error,
        both => panic!("{both:?}"),
    };
    assert!(
        matches!(refused, Error::AddedMeanwhile(_) | Error::Exists(_)),
        "{refused}"
    );
}

#[tokio::test]
async fn a_removal_that_has_deleted_only_the_settings_is_finished_by_the_next_one() {
    let subject = Subject::added("half-removed").await;
    let stack = who_may_not(&subject, &["secretsmanager:DeleteSecret"]).await;
    let refused = remove(&Store::of(&stack).unwrap(), &subject.name()).await;
    assert!(matches!(refused, Err(Error::Aws(_))), "{refused:?}");
    // There is no source any more.
    assert_is_missing(&subject).await;
    let removed = remove(&subject.store, &subject.name()).await.unwrap();
    assert_eq!((removed.settings, removed.secrets), (false, 2));
}

#[tokio::test]
async fn a_removal_that_cannot_delete_the_settings_deletes_no_secret() {
    let subject = Subject::added("not-deleted").await;
    let stack = who_may_not(&subject, &["ssm:DeleteParameter"]).await;
    let refused = remove(&Store::of(&stack).unwrap(), &subject.name()).await;
    assert!(matches!(refused, Err(Error::Aws(_))), "{refused:?}");
    let scene = &subject.scene;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("README.md", "# Fine\n");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    assert!(scene.push(&hook).await.state().delivered.is_some());
}
