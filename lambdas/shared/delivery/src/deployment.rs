//! A deployment, and the names that identify it.

use domain::push::PushId;
use domain::{Invalid, id_newtype, parse_name, text_newtype};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The namespace of [`DeploymentId`]s, a constant of this project that must never change.
const DEPLOYMENT_NAMESPACE: Uuid = Uuid::from_u128(0x2d8e_51b0_93c7_4e1a_8f64_0c1d_77a2_e002);

text_newtype!(
    /// The name of an application: 1 to 40 of `a-z`, `0-9` and `-`, a letter first.
    ApplicationName,
    parse_application_name
);

text_newtype!(
    /// The name of an environment, such as `dev` or `prod`: 1 to 20 of `a-z`, `0-9` and `-`, a letter first.
    EnvironmentName,
    parse_environment_name
);

id_newtype!(
    /// The id of a deployment.
    ///
    /// It is the [UUIDv5](https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-5) of environment, application and
    /// cause, so an event that arrives twice is the same deployment.
    DeploymentId,
    "deployment id"
);

/// A deployment: one application, one environment, one cause. It depends only on these, so that the same cause always
/// is the same deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The environment.
    pub environment: EnvironmentName,
    /// The application.
    pub application: ApplicationName,
    /// Why it is deployed, which is the input of the execution.
    pub cause: Cause,
}

/// Why an application is deployed. It is the input of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cause {
    /// A push was delivered.
    Push {
        /// The push.
        push_id: PushId,
    },
    /// A release that was replaced is to be live again.
    Rollback {
        /// The deployment that released it.
        rollback_to: DeploymentId,
        /// The id of the request, which is another one each time that somebody asks.
        request: Uuid,
        /// Who asks, or what has happened.
        by: String,
        /// The deployment that is taken back, if nobody asks: what is newer than that goes first. Who asks for a
        /// rollback wants it instead of all that there is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        takes_back: Option<DeploymentId>,
    },
}

impl Cause {
    /// Returns the rollback that nobody asks for, because of something that has happened to a deployment. It is the
    /// same one for the same `reason`.
    #[must_use]
    pub fn taking_back(deployment: DeploymentId, to: DeploymentId, reason: &str, by: String) -> Self {
        Self::Rollback {
            rollback_to: to,
            request: Uuid::new_v5(&DEPLOYMENT_NAMESPACE, reason.as_bytes()),
            by,
            takes_back: Some(deployment),
        }
    }
}

impl Deployment {
    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> DeploymentId {
        let cause = match &self.cause {
            Cause::Push { push_id } => push_id.to_string(),
            Cause::Rollback {
                rollback_to, request, ..
            } => format!("{rollback_to}\n{request}"),
        };
        // No part can contain a line feed, so the name is unambiguous.
        let name = format!("{}\n{}\n{cause}", self.environment, self.application);
        DeploymentId(Uuid::new_v5(&DEPLOYMENT_NAMESPACE, name.as_bytes()))
    }
}

fn parse_application_name(text: &str) -> Result<String, Invalid> {
    parse_name("application name", text, 40)
}

fn parse_environment_name(text: &str) -> Result<String, Invalid> {
    parse_name("environment name", text, 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(cause: &serde_json::Value) -> Deployment {
        serde_json::from_value(json!({ "environment": "dev", "application": "a", "cause": cause })).unwrap()
    }

    #[test]
    fn an_id_is_pinned_by_environment_application_and_cause() {
        let push = json!({ "push_id": "87513765-0933-52f9-8a01-27081a19c5c8" });
        let first = deployment(&push);
        assert_eq!(first.id().to_string(), "2d3c98cb-2465-5a67-8c69-6c92af1a77c3");
        assert_eq!(first.id(), deployment(&push).id());
        let elsewhere = Deployment {
            environment: "prod".parse().unwrap(),
            ..first.clone()
        };
        assert_ne!(first.id(), elsewhere.id());
        let other = Deployment {
            application: "b".parse().unwrap(),
            ..first.clone()
        };
        assert_ne!(first.id(), other.id());
    }

    #[test]
    fn a_rollback_that_is_asked_for_again_is_another_deployment() {
        let rollback = |request: u128, by: &str| {
            let to = first_id();
            deployment(&json!({ "rollback_to": to, "request": Uuid::from_u128(request), "by": by })).id()
        };
        assert_eq!(rollback(1, "jo"), rollback(1, "an alarm"));
        assert_ne!(rollback(1, "jo"), rollback(2, "jo"));
    }

    fn first_id() -> DeploymentId {
        deployment(&json!({ "push_id": "87513765-0933-52f9-8a01-27081a19c5c8" })).id()
    }

    #[test]
    fn names_fit_into_the_names_of_resources() {
        for wrong in ["", "Prod", "2a", "a/b", "a_b", "a\n", &"a".repeat(41)] {
            assert!(wrong.parse::<ApplicationName>().is_err(), "{wrong:?}");
            assert!(wrong.parse::<EnvironmentName>().is_err(), "{wrong:?}");
        }
        assert!("a".repeat(21).parse::<EnvironmentName>().is_err());
        assert!("a".repeat(40).parse::<ApplicationName>().is_ok());
    }
}
