//! Serves the API.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_codebuild::Client;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shell::private;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::api::{ApiError, BatchGetBuilds, Build, StartBuild, StopBuild};
use crate::build;
use crate::context::Context;
use crate::folders::Folders;
use crate::project::BuildRequest;
use crate::record::Record;
use crate::{Error, Settings};

/// The largest request, in bytes.
const MAX_REQUEST: usize = 1 << 20;

/// The most ids of one `BatchGetBuilds`.
const MAX_IDS: usize = 100;

/// For how many minutes an idempotency token is remembered.
const TOKEN_MINUTES: u32 = 5;

/// A CodeBuild that serves until it is dropped. Builds that run end with it.
#[derive(Debug)]
pub struct CodeBuild {
    endpoint: String,
    _server: AbortOnDropHandle<std::io::Result<()>>,
}

impl CodeBuild {
    /// Starts a server on a free port of the loopback.
    ///
    /// # Errors
    /// Returns an error if it cannot listen, or if the folder cannot be created.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        private::create_folder(&settings.folder)?;
        let folder = settings.folder.canonicalize();
        let folder = folder.map_err(shell::IoError::of("read", &settings.folder))?;
        let region = settings
            .aws
            .region()
            .ok_or(Error::Incomplete("region"))?
            .to_string();
        let endpoint = settings
            .aws
            .endpoint_url()
            .ok_or(Error::Incomplete("endpoint"))?
            .to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(Error::Listen)?;
        let address = listener.local_addr().map_err(Error::Listen)?;
        // Whoever may start a build may run any command as this user. Signatures cannot be checked here, so other users
        // of this machine, and web pages, are kept out by a path that they do not know.
        let secret = Uuid::new_v4().simple();
        let server = Server {
            client: Client::new(&settings.aws),
            context: Arc::new(Context {
                folders: Folders::new(folder),
                region,
                endpoint,
                settings,
            }),
            state: Mutex::default(),
        };
        let router = Router::new()
            .route(&format!("/{secret}/"), post(answer))
            .route(&format!("/{secret}"), post(answer))
            .with_state(Arc::new(server));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            endpoint: format!("http://{address}/{secret}"),
            _server: AbortOnDropHandle::new(server),
        })
    }

    /// Returns the URL that clients call. Whoever knows it may run any command as this user.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

struct Server {
    client: Client,
    context: Arc<Context>,
    state: Mutex<ServerState>,
}

#[derive(Default)]
struct ServerState {
    builds: HashMap<String, Running>,
    /// How many builds each project has had.
    numbers: HashMap<String, u64>,
    tokens: HashMap<String, Token>,
    /// Aborted when this is dropped.
    tasks: JoinSet<()>,
}

struct Running {
    record: Record,
    stop: CancellationToken,
}

/// A token with the request that had it first.
struct Token {
    request: Value,
    build: String,
    since: Instant,
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (status, body) = match server.answer(request).await {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (
            StatusCode::BAD_REQUEST,
            json!({ "__type": error.as_ref(), "message": error.to_string() }),
        ),
    };
    let kind = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (status, kind, body.to_string()).into_response()
}

impl Server {
    async fn answer(&self, request: Request) -> Result<Value, ApiError> {
        let target = request.headers().get("x-amz-target");
        let target = target.and_then(|target| target.to_str().ok()).unwrap_or_default();
        let operation = target
            .strip_prefix("CodeBuild_20161006.")
            .unwrap_or(target)
            .to_owned();
        let body = to_bytes(request.into_body(), MAX_REQUEST).await;
        let body = body.map_err(|error| ApiError::InvalidInput(error.to_string()))?;
        match operation.as_str() {
            "StartBuild" => self.start_build(parse(&body)?).await,
            "BatchGetBuilds" => self.batch_get_builds(parse(&body)?).await,
            "StopBuild" => self.stop_build(parse(&body)?).await,
            _ => Err(ApiError::UnknownOperation(operation)),
        }
    }

    async fn start_build(&self, request: Value) -> Result<Value, ApiError> {
        let start: StartBuild = from_value(request.clone())?;
        let mut state = self.state.lock().await;
        let lifetime = self.context.settings.minute * TOKEN_MINUTES;
        state.tokens.retain(|_, token| token.since.elapsed() < lifetime);
        if let Some(token) = start
            .idempotency_token
            .as_ref()
            .and_then(|token| state.tokens.get(token))
        {
            if token.request != request {
                return Err(ApiError::InvalidInput(
                    "Parameter mismatch: another request had this idempotency token".to_owned(),
                ));
            }
            let build = state
                .builds
                .get(&token.build)
                .map(|running| running.record.build());
            return Ok(json!({ "build": build }));
        }
        let uuid = Uuid::new_v4().to_string();
        let build_request = BuildRequest::read(&self.client, &start, &uuid).await?;
        let number = state.numbers.entry(build_request.project.clone()).or_default();
        *number += 1;
        let record = Record::new(self.context.new_build(&build_request, &uuid, *number));
        let build = record.build();
        let stop = CancellationToken::new();
        while state.tasks.try_join_next().is_some() {}
        state.tasks.spawn(build::run(
            Arc::clone(&self.context),
            build_request,
            record.clone(),
            stop.clone(),
        ));
        if let Some(token) = start.idempotency_token {
            state.tokens.insert(
                token,
                Token {
                    request,
                    build: build.id.clone(),
                    since: Instant::now(),
                },
            );
        }
        state.builds.insert(build.id.clone(), Running { record, stop });
        Ok(json!({ "build": build }))
    }

    async fn batch_get_builds(&self, request: Value) -> Result<Value, ApiError> {
        let BatchGetBuilds { ids } = from_value(request)?;
        if ids.is_empty() || ids.len() > MAX_IDS {
            return Err(ApiError::InvalidInput(format!(
                "ids has {} ids, not 1 to {MAX_IDS}",
                ids.len()
            )));
        }
        let state = self.state.lock().await;
        let (mut builds, mut missing) = (Vec::new(), Vec::new());
        for id in ids {
            match state.find(&id) {
                Some(running) => builds.push(running.record.build()),
                None => missing.push(id),
            }
        }
        Ok(json!({ "builds": builds, "buildsNotFound": missing }))
    }

    async fn stop_build(&self, request: Value) -> Result<Value, ApiError> {
        let StopBuild { id } = from_value(request)?;
        let record = {
            let state = self.state.lock().await;
            let running = state.find(&id);
            let running =
                running.ok_or_else(|| ApiError::NotFound(format!("Build cannot be found: {id}")))?;
            running.stop.cancel();
            running.record.clone()
        };
        // A build that does not end at once ends later.
        let _ = tokio::time::timeout(Duration::from_secs(20), record.completed()).await;
        let build: Build = record.build();
        Ok(json!({ "build": build }))
    }
}

impl ServerState {
    /// Returns the build with this id or ARN.
    fn find(&self, id: &str) -> Option<&Running> {
        let id = id.rsplit_once(":build/").map_or(id, |(_, id)| id);
        self.builds.get(id)
    }
}

fn parse(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::InvalidInput(format!("the request is no JSON: {error}")))
}

fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, ApiError> {
    serde_json::from_value(value).map_err(|error| ApiError::InvalidInput(error.to_string()))
}
