// SPDX-License-Identifier: Apache-2.0
//! A publisher's README as harmless HTML.

use std::collections::HashSet;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// More than this is cut: a page stays under 100 kB.
const LONGEST: usize = 48 * 1024;

/// Turns Markdown into HTML without scripts, styles, forms or foreign pictures. Headings begin
/// at the third level, below those of the page.
pub(super) fn render(markdown: &str) -> String {
    let (text, cut) = shorten(markdown);
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(text, options).map(tame);
    let mut rendered = String::new();
    html::push_html(&mut rendered, events);
    if cut {
        rendered.push_str("<p>The rest of this README is left out here; it is in the package.</p>");
    }
    ammonia::Builder::default()
        .tags(HashSet::from([
            "a",
            "blockquote",
            "br",
            "code",
            "del",
            "em",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "li",
            "ol",
            "p",
            "pre",
            "strong",
            "table",
            "tbody",
            "td",
            "th",
            "thead",
            "tr",
            "ul",
        ]))
        .tag_attributes(
            [
                ("a", HashSet::from(["href"])),
                ("ol", HashSet::from(["start"])),
            ]
            .into(),
        )
        .generic_attributes(HashSet::new())
        .set_tag_attribute_value("th", "scope", "col")
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("nofollow noopener noreferrer"))
        .clean(&rendered)
        .to_string()
}

/// Shows written HTML as text, pictures as their description, and lowers headings by two levels.
fn tame(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Image { .. }) => Event::Text(CowStr::Borrowed("[picture: ")),
        Event::End(TagEnd::Image) => Event::Text(CowStr::Borrowed("]")),
        Event::Start(Tag::Heading { level, .. }) => Event::Start(Tag::Heading {
            level: lower(level),
            id: None,
            classes: Vec::new(),
            attrs: Vec::new(),
        }),
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level))),
        other => other,
    }
}

fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}

fn shorten(text: &str) -> (&str, bool) {
    if text.len() <= LONGEST {
        return (text, false);
    }
    let end = (0..=LONGEST)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    (&text[..end], true)
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn markdown_becomes_html_below_the_pages_headings() {
        let html = render("# Title\n\nSome *text* and `code`.\n\n| a |\n|---|\n| b |\n");
        assert!(html.starts_with("<h3>Title</h3>"), "{html}");
        assert!(
            html.contains("<em>text</em>") && html.contains("<th scope=\"col\">a</th>"),
            "{html}"
        );
    }

    #[test]
    fn hostile_markdown_becomes_harmless() {
        for text in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "![x](http://foreign.example/pixel.png)",
            "[x](javascript:alert(1))",
            "[x](data:text/html;base64,PHNjcmlwdD4=)",
            "<style>body{display:none}</style>",
            "<a href='x' style='color:red' onclick=alert(1)>x</a>",
            "<svg/onload=alert(1)>",
            "<iframe src=//foreign.example></iframe>",
            "```\"><script>alert(1)</script>\n```",
        ] {
            let html = render(text);
            for bad in [
                "<script",
                "<img",
                "<style",
                "<svg",
                "<iframe",
                "href=\"javascript",
                "href=\"data",
                " onclick=\"",
            ] {
                assert!(!html.contains(bad), "{text} became {html}");
            }
        }
    }

    #[test]
    fn a_long_readme_is_cut_at_a_characters_border() {
        let html = render(&"é".repeat(60_000));
        assert!(html.len() < 60_000 && html.contains("left out"));
    }
}
