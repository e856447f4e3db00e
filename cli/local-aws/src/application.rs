//! The applications of this repository: what is built and deployed as one stack.

/// A template, its functions, and what they are built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Application {
    /// Its name, which is also that of its stack unless another one is asked for.
    pub name: &'static str,
    /// The path of its template in the checkout. `sam build` and `sam deploy` run in the template's folder.
    pub template: &'static str,
    /// The packages of its functions. Each is also the name of a binary, and of the folder that the template names.
    pub functions: &'static [&'static str],
    /// The files and folders of the checkout that it is built from, besides those of the whole workspace.
    pub sources: &'static [&'static str],
    /// The outputs that name its own buckets.
    pub buckets: &'static [&'static str],
    /// The parameters, with their values, that turn off what the local AWS does not have.
    pub local_parameters: &'static [(&'static str, &'static str)],
}

/// The delivery of one application to one environment.
pub const DELIVERY: Application = Application {
    name: "delivery",
    template: "delivery.yaml",
    functions: &["acquire", "admit", "apply", "compile", "plan", "track"],
    sources: &["lambdas", "samconfig.toml", "statemachine", "delivery.yaml"],
    buckets: &["ArtifactBucketName"],
    local_parameters: &[],
};

/// Push Code itself.
pub const PUSH_CODE: Application = Application {
    name: "push-code",
    template: "template.yaml",
    functions: &[
        "accept",
        "authorize",
        "checkpoint",
        "fetch",
        "package",
        "record",
        "report",
        "sweep",
        "upload",
        "validate",
    ],
    sources: &["lambdas", "samconfig.toml", "statemachine", "template.yaml"],
    buckets: &["StagingBucketName", "DestinationBucket"],
    // It has archives of events, but no resources of CloudFormation for them, and no schemas.
    local_parameters: &[("EventArchiveDays", "0"), ("EventSchemas", "none")],
};

/// The example: the deepest thread of Hacker News.
pub const DEEPEST_THREAD: Application = Application {
    name: "deepest-thread",
    template: "examples/deepest-thread/template.yaml",
    functions: &["ask", "find"],
    sources: &["examples/deepest-thread", "lambdas/shared"],
    buckets: &[],
    local_parameters: &[],
};
