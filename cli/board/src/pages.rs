//! The pages of the board, each made anew from what the trail has now.

mod commit;
mod list;
pub mod message;
mod parts;
mod push;
mod question;

use axum::http::StatusCode;
use domain::push::PushId;
use domain::push_index::CommitPrefix;
use url::form_urlencoded;

use crate::Pushes;
use crate::actions::Action;
use crate::page::Page;
use crate::query::Query;

/// A page that can be asked for.
#[derive(Debug, Clone)]
pub enum Target {
    /// What runs now, and the last pushes.
    List(Query),
    /// Where a commit was delivered to, as it was typed.
    Commit(String),
    /// A push.
    Push(PushId),
    /// The question whether this is to be done with a push.
    Question(Action, PushId),
}

impl Target {
    /// Returns the list that a query asks for.
    pub fn list(query: Option<&str>) -> Self {
        Self::List(Query::parse(query.unwrap_or_default()))
    }

    /// Returns the page of the commit that a query names.
    pub fn commit(query: Option<&str>) -> Self {
        let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let commit = pairs.find(|(name, _)| name == "commit");
        Self::Commit(commit.map_or_else(String::new, |(_, commit)| commit.trim().to_owned()))
    }

    /// Returns the URL of the page's changes.
    fn live(&self) -> Option<String> {
        match self {
            Self::List(query) if query.is_empty() => Some("/live".to_owned()),
            Self::List(query) => Some(format!("/live?{}", query.write())),
            Self::Commit(commit) => {
                let mut query = form_urlencoded::Serializer::new(String::new());
                query.append_pair("commit", commit);
                Some(format!("/commits/live?{}", query.finish()))
            }
            Self::Push(id) => Some(format!("/pushes/{id}/live")),
            Self::Question(..) => None,
        }
    }
}

/// Returns a page. If the trail cannot be read it says why, and follows what becomes of that.
pub async fn render(pushes: &impl Pushes, target: &Target) -> Page {
    let page = match target {
        Target::List(query) => list::page(pushes, query).await,
        Target::Commit(text) => match text.parse::<CommitPrefix>() {
            Ok(commit) => commit::page(pushes, &commit).await,
            Err(invalid) => {
                let title = "Not a commit";
                return message::page(StatusCode::BAD_REQUEST, title, &invalid.to_string());
            }
        },
        Target::Push(id) => push::page(pushes, *id).await,
        Target::Question(action, id) => question::page(pushes, *action, *id).await,
    };
    let mut page = page.unwrap_or_else(|error| message::unreadable(&error));
    // A question that cannot be answered now cannot be later.
    if page.status != StatusCode::BAD_REQUEST {
        page.live = target.live();
    }
    page
}
