//! The page for browsers. It needs no script, and all that others have written is escaped.

use maud::{DOCTYPE, Markup, html};
use thread::{Answer, Post};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}\
    a{color:#b34700}ol{list-style:none;padding:0}li{border-left:3px solid #e6b38f;padding:.2rem .8rem;margin:.4rem 0;\
    margin-left:min(calc(var(--level)*.6rem),12rem)}.by{color:#666;font-size:.85rem}p{white-space:pre-line;margin:.2rem 0}";

/// Returns the page of an answer.
pub fn answer(answer: &Answer) -> String {
    let hours = answer.hours.get();
    let title = format!("The deepest thread of the last {hours} hours");
    let body = html! {
        @match &answer.post {
            None => p { "Nothing was posted." },
            Some(post) => {
                h2 { (link(post)) }
                p.by {
                    "by " (post.by) ", " (post.comments) " comments, "
                    b { (answer.depth) " levels deep" }
                    ", " a href={ "https://news.ycombinator.com/item?id=" (post.id) } { "on Hacker News" }
                }
                ol {
                    @for (level, (id, said)) in answer.path.iter().zip(&answer.thread).enumerate() {
                        li style={ "--level:" (level) } {
                            @let url = format!("https://news.ycombinator.com/item?id={id}");
                            @match said {
                                None => span.by { a href=(url) { (level + 1) } " gone" },
                                Some(said) => {
                                    span.by { a href=(url) { (level + 1) } " " (said.by) }
                                    p { (said.text) }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if !answer.complete {
            p { "Some comments could not be read, so another thread may be deeper." }
        }
        p.by {
            (answer.examined.posts) " posts and " (answer.examined.comments) " comments, read by "
            (answer.examined.requests) " requests."
        }
    };
    page(&title, false, &body)
}

/// Returns a page that says something else. The browser asks again if the answer is `pending`.
pub fn notice(title: &str, text: &str, pending: bool) -> String {
    page(title, pending, &html! { p { (text) } })
}

fn page(title: &str, pending: bool, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                @if pending { meta http-equiv="refresh" content="5"; }
                title { (title) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                (body)
            }
        }
    };
    page.into_string()
}

/// Returns the post's title, as a link to what the post links to. Only the schemes of the web are linked to.
fn link(post: &Post) -> Markup {
    let url = post.url.as_deref().filter(|url| {
        let url = url.to_ascii_lowercase();
        url.starts_with("https://") || url.starts_with("http://")
    });
    html! {
        @match url {
            Some(url) => a href=(url) rel="noreferrer nofollow" { (post.title) },
            None => (post.title),
        }
    }
}

#[cfg(test)]
mod tests {
    use thread::{Examined, Excerpt};

    use super::*;

    fn sample(url: &str, text: &str) -> Answer {
        Answer {
            as_of: 0,
            hours: "24".parse().unwrap(),
            post: Some(Post {
                id: 1,
                title: text.to_owned(),
                url: Some(url.to_owned()),
                by: text.to_owned(),
                time: 0,
                comments: 2,
            }),
            depth: 2,
            deepest_comment: None,
            path: vec![2, 3],
            thread: vec![
                None,
                Some(Excerpt {
                    by: text.to_owned(),
                    text: text.to_owned(),
                }),
            ],
            examined: Examined::default(),
            complete: true,
            unanswered: vec![],
        }
    }

    #[test]
    fn what_others_have_written_is_escaped() {
        let hostile = r#"<script>alert(1)</script>"'&"#;
        let page = answer(&sample(r#"https://x/"><script>"#, hostile));
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
        assert!(page.contains(r#"href="https://x/&quot;&gt;"#), "{page}");
    }

    #[test]
    fn a_link_leads_into_the_web_or_nowhere() {
        for url in [
            "javascript:alert(1)",
            "data:text/html,x",
            " https://x",
            "JavaScript://x",
        ] {
            let page = answer(&sample(url, "text"));
            assert!(!page.contains(&url[..4]) || url.starts_with(' '), "{page}");
            assert!(!page.contains("nofollow"), "{page}");
        }
        assert!(answer(&sample("HTTPS://x", "text")).contains(r#"href="HTTPS://x""#));
    }

    #[test]
    fn a_page_without_an_answer_yet_asks_again_by_itself() {
        assert!(notice("Not yet", "soon", true).contains(r#"http-equiv="refresh""#));
        assert!(!notice("No", "never", false).contains("refresh"));
    }

    #[test]
    fn the_page_says_if_something_is_missing_or_nothing_was_posted() {
        let mut incomplete = sample("https://x", "text");
        assert!(!answer(&incomplete).contains("could not be read"));
        incomplete.complete = false;
        assert!(answer(&incomplete).contains("could not be read"));
        incomplete.post = None;
        assert!(answer(&incomplete).contains("Nothing was posted"));
    }
}
