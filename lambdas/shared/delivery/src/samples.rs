//! Sample values for tests: a deployment, and what its states are given. A test sets what it is about and takes the
//! rest from here.

#![expect(clippy::unwrap_used, reason = "what is parsed here is well-formed")]

use chrono::{DateTime, Utc};
use domain::execution::Execution;
use serde_json::json;

use crate::application::ApplicationSettings;
use crate::artifact::{Artifact, ArtifactObject, Digest, SourceZip, TestRecord};
use crate::contract::{PushedCommit, Request};
use crate::deployment::{Cause, Deployment};

/// Returns the time of all samples.
#[must_use]
pub fn time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// Returns the digest that repeats this digit.
#[must_use]
pub fn digest(digit: char) -> Digest {
    digit.to_string().repeat(64).parse().unwrap()
}

/// Returns an execution with this ARN.
#[must_use]
pub fn execution(id: &str) -> Execution {
    Execution {
        id: id.into(),
        started_at: time(),
    }
}

/// Returns the deployment of a push of the application `deepest-thread` in `dev`.
#[must_use]
pub fn deployment() -> Deployment {
    Deployment {
        environment: "dev".parse().unwrap(),
        application: "deepest-thread".parse().unwrap(),
        cause: Cause::Push {
            push_id: serde_json::from_value(json!("87513765-0933-52f9-8a01-27081a19c5c8")).unwrap(),
        },
    }
}

/// Returns the settings of the application, which has one function.
#[must_use]
pub fn settings() -> ApplicationSettings {
    let settings = json!({
        "application": "deepest-thread",
        "environment": "dev",
        "source": "gitlab",
        "repository": "group/project",
        "ref": "refs/heads/main",
        "directory": "app",
        "stack": "deepest-thread",
        "functions": { "Ask": {} },
    });
    settings.to_string().parse().unwrap()
}

/// Returns what `Admit` returns of the deployment.
#[must_use]
pub fn request() -> Request {
    let deployment = deployment();
    let Cause::Push { push_id } = deployment.cause else {
        unreachable!("it is a push")
    };
    Request {
        deployment_id: deployment.id(),
        order: 7,
        settings: settings(),
        push: PushedCommit {
            push_id,
            repository: "group/project".parse().unwrap(),
            ref_name: "refs/heads/main".parse().unwrap(),
            sequence: 7,
            commit: "c".repeat(40).parse().unwrap(),
            tree: "e".repeat(40).parse().unwrap(),
            subject: "Say what is deepest".to_owned(),
            author: "Jo <jo@example.com>".to_owned(),
            pusher: Some("jo".to_owned()),
        },
        zip: SourceZip {
            bucket: "zips".to_owned(),
            key: "gitlab/group/project/main.zip".to_owned(),
            version_id: "v7".to_owned(),
            sha256: digest('a'),
        },
        rollback: None,
    }
}

/// Returns what was built of the deployment's tree.
#[must_use]
pub fn artifact() -> Artifact {
    let request = request();
    Artifact {
        application: request.settings.application,
        tree: request.push.tree,
        commit: request.push.commit,
        directory: request.settings.directory,
        template: digest('1'),
        objects: vec![ArtifactObject {
            property: "Ask.CodeUri".to_owned(),
            sha256: digest('2'),
            size: 3,
        }],
        provenance: digest('3'),
        tests: TestRecord {
            passed: 12,
            skipped: 1,
        },
        zip: request.zip,
        buildspec: digest('b'),
        build_id: "deepest-thread:1".to_owned(),
        built_by: request.deployment_id,
        built_at: time(),
    }
}
