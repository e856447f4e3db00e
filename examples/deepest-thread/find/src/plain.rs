//! The text of a comment, which is HTML.

/// Returns the text without tags, at most `length` characters of it.
pub fn plain(html: &str, length: usize) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, after) = tag.split_once('>').unwrap_or((tag, ""));
        if tag == "p" && !text.is_empty() {
            text.push_str("\n\n");
        }
        rest = after;
    }
    text.push_str(rest);
    let text = html_escape::decode_html_entities(&text);
    let text = text.trim();
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_plain_text() {
        let html =
            r#"<p>It&#x27;s &lt;b&gt; <a href="https://x" rel="nofollow">here</a>.<p><i>Yes</i> &amp;amp;"#;
        assert_eq!(plain(html, 99), "It's <b> here.\n\nYes &amp;");
        assert_eq!(plain("a < b", 99), "a");
        assert_eq!(plain("ünïcödé text", 7), "ünïcödé…");
        assert_eq!(plain("", 7), "");
    }
}
