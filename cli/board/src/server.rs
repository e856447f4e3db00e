//! The server of the board.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use domain::push::PushId;
use tokio::net::TcpListener;
use url::form_urlencoded;

use crate::access::{self, Access};
use crate::actions::{Action, Actions, Done};
use crate::page::Page;
use crate::pages::{self, Target, message};
use crate::{Pushes, assets, live};

/// Why a board cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program listens on the port.
    #[error(
        "port {0} of 127.0.0.1 is in use: end the program that uses it, or leave out --port, which chooses a free one"
    )]
    PortInUse(u16),
    /// The port cannot be listened on.
    #[error("cannot listen on port {port} of 127.0.0.1")]
    Listen {
        /// The port.
        port: u16,
        /// Why not.
        source: io::Error,
    },
}

/// A board of the pushes of a stack.
#[derive(Debug)]
pub struct Board<P> {
    pub(crate) pushes: P,
    actions: Actions,
}

/// A board that listens, and serves once it is asked to.
#[derive(Debug)]
pub struct Listening<P> {
    board: Board<P>,
    listener: TcpListener,
    access: Arc<Access>,
}

impl<P: Pushes> Board<P> {
    /// Creates the board of these pushes.
    #[must_use]
    pub fn of(pushes: P) -> Self {
        Self {
            pushes,
            actions: Actions::default(),
        }
    }

    /// Listens on a port of 127.0.0.1, where 0 is any that is free.
    ///
    /// # Errors
    /// Returns [`Error::PortInUse`] if another program listens there.
    pub async fn listen(self, port: u16) -> Result<Listening<P>, Error> {
        let listen = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            let port = listener.local_addr()?.port();
            Ok((listener, port))
        };
        let (listener, port) = listen.await.map_err(|source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => Error::PortInUse(port),
            _ => Error::Listen { port, source },
        })?;
        Ok(Listening {
            board: self,
            listener,
            access: Arc::new(Access::new(port)),
        })
    }

    /// Returns a page as it is now. What cannot be read is a page too, which says why.
    pub(crate) async fn page(&self, target: &Target) -> Page {
        pages::render(&self.pushes, target).await
    }

    async fn response(&self, target: &Target) -> Response {
        self.page(target).await.response(self.pushes.stack())
    }

    /// Does what was confirmed.
    async fn act(&self, action: Action, id: &str, form: &[u8]) -> Response {
        let Ok(id) = id.parse::<PushId>() else {
            return unknown_push(self, id);
        };
        let title = match action {
            Action::Replay => "Not replayed",
            Action::RollBack => "Not rolled back",
        };
        let mut fields = form_urlencoded::parse(form);
        let version = fields.find(|(name, _)| name == "version");
        let Some(version) = version.and_then(|(_, version)| version.parse().ok()) else {
            let text = "The form lacks the version of the push. Open the page of the push, and choose there what to do.";
            return self.message(StatusCode::BAD_REQUEST, title, text);
        };
        let (status, text) = match self.actions.act(action, &self.pushes, id, version).await {
            Ok(Done::Started(push)) => {
                let to = match action {
                    Action::Replay => format!("/pushes/{id}?replayed"),
                    Action::RollBack => format!("/pushes/{id}?rolled-back={push}"),
                };
                return Redirect::to(&to).into_response();
            }
            Ok(Done::Unknown) => return unknown_push(self, &id.to_string()),
            Ok(Done::Changed) => {
                let text = "Something has happened to the push since you were asked, such as another replay. See its page, and choose again if that is still wanted.";
                (StatusCode::CONFLICT, text.to_owned())
            }
            Err(error) => {
                let status = match error {
                    deployed_stack::Error::StillRunning { .. } | deployed_stack::Error::NoVersion { .. } => {
                        StatusCode::CONFLICT
                    }
                    _ => StatusCode::BAD_GATEWAY,
                };
                (status, message::of(&error))
            }
        };
        message::of_push(status, title, &text, id).response(self.pushes.stack())
    }

    fn message(&self, status: StatusCode, title: &str, text: &str) -> Response {
        message::page(status, title, text).response(self.pushes.stack())
    }
}

impl<P: Pushes> Listening<P> {
    /// Returns the URL that opens the board, which has the token in it.
    #[must_use]
    pub fn url(&self) -> String {
        self.access.url()
    }

    /// Serves the board until the future is dropped.
    ///
    /// # Errors
    /// Returns an error if no more connections can be accepted.
    pub async fn serve(self) -> io::Result<()> {
        axum::serve(self.listener, router(self.board, self.access)).await
    }
}

/// Returns the routes of a board.
pub(crate) fn router<P: Pushes>(board: Board<P>, access: Arc<Access>) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/live", get(live_list))
        .route("/commits", get(commit))
        .route("/commits/live", get(live_commit))
        .route("/pushes/{id}", get(push))
        .route("/pushes/{id}/live", get(live_push))
        .route("/pushes/{id}/replay", question(Action::Replay))
        .route("/pushes/{id}/rollback", question(Action::RollBack))
        .route("/board.css", get(assets::style))
        .route("/board.js", get(assets::script))
        .route("/icon.svg", get(assets::icon))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(4 << 10))
        .layer(middleware::from_fn_with_state(access, access::check))
        .with_state(Arc::new(board))
}

type Shared<P> = State<Arc<Board<P>>>;

async fn list<P: Pushes>(State(board): Shared<P>, RawQuery(query): RawQuery) -> Response {
    board.response(&Target::list(query.as_deref())).await
}

async fn live_list<P: Pushes>(
    State(board): Shared<P>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let target = Target::list(query.as_deref());
    live::changes(board, target, query.as_deref(), &headers)
}

async fn commit<P: Pushes>(State(board): Shared<P>, RawQuery(query): RawQuery) -> Response {
    let target = Target::commit(query.as_deref());
    // What is pasted may be the id of a push.
    if let Target::Commit(text) = &target
        && let Ok(id) = text.parse::<PushId>()
    {
        return Redirect::to(&format!("/pushes/{id}")).into_response();
    }
    board.response(&target).await
}

async fn live_commit<P: Pushes>(
    State(board): Shared<P>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let target = Target::commit(query.as_deref());
    live::changes(board, target, query.as_deref(), &headers)
}

async fn push<P: Pushes>(
    State(board): Shared<P>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Ok(id) = id.parse() else {
        return unknown_push(&board, &id);
    };
    let mut page = board.page(&Target::Push(id)).await;
    let query = query.as_deref().unwrap_or_default();
    if query == "replayed" {
        page.blocks.insert(1, message::replayed());
    } else if let Some(Ok(rollback)) = query.strip_prefix("rolled-back=").map(str::parse) {
        page.blocks.insert(1, message::rolled_back(rollback));
    }
    page.response(board.pushes.stack())
}

async fn live_push<P: Pushes>(
    State(board): Shared<P>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match id.parse() {
        Ok(id) => live::changes(board, Target::Push(id), query.as_deref(), &headers),
        Err(_) => unknown_push(&board, &id),
    }
}

/// Returns the question whether something is to be done with a push, and what the answer does.
fn question<P: Pushes>(action: Action) -> MethodRouter<Arc<Board<P>>> {
    let ask = async move |State(board): Shared<P>, Path(id): Path<String>| match id.parse() {
        Ok(id) => board.response(&Target::Question(action, id)).await,
        Err(_) => unknown_push(&board, &id),
    };
    let act = async move |State(board): Shared<P>, Path(id): Path<String>, body: Bytes| {
        board.act(action, &id, &body).await
    };
    get(ask).merge(post(act))
}

async fn unknown<P: Pushes>(State(board): Shared<P>) -> Response {
    let text = "The board has no such page.";
    board.message(StatusCode::NOT_FOUND, "Not found", text)
}

fn unknown_push<P: Pushes>(board: &Board<P>, id: &str) -> Response {
    message::unknown_push(id, board.pushes.stack()).response(board.pushes.stack())
}

#[cfg(test)]
mod tests;
