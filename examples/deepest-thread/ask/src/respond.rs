//! Responses: JSON for programs, a page for browsers.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use aws_lambda_events::http::{HeaderMap, HeaderValue, header};

use crate::{Outcome, page};

/// After how many seconds to look again.
const RETRY_AFTER: &str = "5";

/// Returns the response.
pub fn respond(outcome: &Outcome, request: &ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
    let notice = outcome.notice();
    let mut http = ApiGatewayV2httpResponse::default();
    http.status_code = notice.as_ref().map_or(200, |notice| notice.status);
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            http.headers.insert(name, value);
        }
    };
    set(header::VARY, "accept");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if let Outcome::Pending(question) = outcome {
        set(header::LOCATION, &format!("/deepest/{question}"));
        set(header::RETRY_AFTER, RETRY_AFTER);
    }
    let body = if wants_page(&request.headers) {
        set(header::CONTENT_TYPE, "text/html; charset=utf-8");
        // The page has no scripts, and nothing from elsewhere.
        set(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        );
        match (outcome, &notice) {
            (Outcome::Answered(answer), _) => page::answer(answer),
            (outcome, Some(notice)) => {
                page::notice(notice.title, &notice.text, matches!(outcome, Outcome::Pending(_)))
            }
            _ => String::new(),
        }
    } else {
        set(header::CONTENT_TYPE, "application/json");
        match (outcome, notice) {
            (Outcome::Answered(answer), _) => serde_json::to_string(answer).unwrap_or_default(),
            (_, Some(notice)) => notice.body.to_string(),
            _ => String::new(),
        }
    };
    http.body = Some(Body::Text(body));
    http
}

/// Returns whether the caller is a browser, which names HTML before anything else.
fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let first = accept.and_then(|accept| accept.split([',', ';']).next());
    first.is_some_and(|first| ["text/html", "application/xhtml+xml"].contains(&first.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_for_those_who_name_html_first() {
        let wants = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            wants_page(&headers)
        };
        assert!(wants(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        ));
        assert!(wants("text/html;q=0.9"));
        for accept in ["*/*", "application/json", "application/json, text/html", ""] {
            assert!(!wants(accept), "{accept}");
        }
        assert!(!wants_page(&HeaderMap::new()));
    }
}
