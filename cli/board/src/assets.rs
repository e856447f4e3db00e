//! The files of the board, which are in the binary.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// Serves the style.
pub async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("../assets/board.css"))
}

/// Serves the script.
pub async fn script() -> Response {
    file(
        "text/javascript; charset=utf-8",
        include_str!("../assets/board.js"),
    )
}

/// Serves the icon.
pub async fn icon() -> Response {
    file("image/svg+xml", include_str!("../assets/icon.svg"))
}

fn file(kind: &'static str, content: &'static str) -> Response {
    ([(CONTENT_TYPE, kind)], content).into_response()
}
