//! Writing a page: text is escaped where it is written, and nothing else writes text.

use crate::private::escaped;

/// A page under way.
#[derive(Default)]
pub(super) struct Page {
    html: String,
}

impl Page {
    /// Markup as it stands here.
    pub fn raw(&mut self, markup: &str) -> &mut Self {
        self.html.push_str(markup);
        self
    }

    /// Text: of ours, or made safe to show.
    pub fn text(&mut self, text: &str) -> &mut Self {
        escape(&mut self.html, text);
        self
    }

    /// An element that holds nothing but text.
    pub fn element(&mut self, tag: &str, text: &str) -> &mut Self {
        let name = tag.split(' ').next().unwrap_or(tag);
        self.raw("<").raw(tag).raw(">").text(text).raw("</").raw(name).raw(">")
    }

    /// A cell of a table.
    pub fn cell(&mut self, class: &str, text: &str) -> &mut Self {
        if class.is_empty() { self.element("td", text) } else { self.element(&format!("td class=\"{class}\""), text) }
    }

    /// A name of somebody's: isolated, so that its direction of writing stays with it.
    pub fn name(&mut self, text: &str) -> &mut Self {
        self.element("bdi", text)
    }

    /// A part that can be taken out byte for byte: it begins behind the line with its name and ends before `</pre>`.
    /// [S19.1]
    pub fn part(&mut self, id: &str, text: &str) -> &mut Self {
        self.raw("<pre id=\"").raw(id).raw("\">\n").text(text);
        if !text.ends_with('\n') {
            self.raw("\n");
        }
        self.raw("</pre>\n")
    }

    pub fn finish(self) -> String {
        self.html
    }
}

/// Escapes for HTML; what does not show as itself has been escaped before, and is here at the latest.
fn escape(into: &mut String, text: &str) {
    let shown: String = text.split('\n').map(|line| escaped(line.as_bytes())).collect::<Vec<_>>().join("\n");
    for char in shown.chars() {
        match char {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            char => into.push(char),
        }
    }
}

/// Takes back what [`Page::part`] wrote; nothing for what it does not write.
pub(in crate::record) fn unescape(text: &str) -> Option<String> {
    const SIGNS: [(&str, char); 5] = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&#39;", '\'')];
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        let (sign, char) = SIGNS.iter().find(|(sign, _)| rest[at..].starts_with(sign))?;
        plain.push(*char);
        rest = &rest[at + sign.len()..];
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_text() {
        let mut page = Page::default();
        page.text("</pre><script>alert('x')</script>&amp;\"\u{202e}\u{1b}[2J\n\u{0}");
        let html = page.finish();
        assert_eq!(
            html,
            "&lt;/pre&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;&quot;\\u{202e}\\u{1b}[2J\n\\u{0}"
        );
    }

    #[test] // [S19.1]
    fn a_part_comes_out_as_it_went_in() {
        for text in ["{\n  \"a\": \"<&>'\"\n}\n", "one line", "", "客户 &lt;\n"] {
            let mut page = Page::default();
            page.part("x", text);
            let html = page.finish();
            let inside = html.strip_prefix("<pre id=\"x\">\n").and_then(|rest| rest.strip_suffix("</pre>\n")).unwrap();
            let wanted = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
            assert_eq!(unescape(inside), Some(wanted));
        }
        assert_eq!(unescape("a&nbsp;b"), None);
    }
}
