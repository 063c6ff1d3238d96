// SPDX-License-Identifier: Apache-2.0
//! Checks that hold for every page: well-formed, reachable by keyboard and screen reader,
//! without scripts.

use std::collections::BTreeSet;

/// One tag with its attributes.
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl Tag<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }
}

const VOID: [&str; 9] = [
    "meta", "link", "img", "input", "br", "hr", "col", "source", "wbr",
];

/// Panics with the reason if the page is not well-formed or not accessible.
pub(super) fn check(path: &str, html: &str) {
    let tags = well_formed(path, html);
    let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
    assert!(
        html.trim_start().starts_with("<!doctype html>"),
        "{path}: no doctype"
    );
    assert!(html.len() < 100_000, "{path}: {} bytes", html.len());
    for name in ["h1", "main", "title"] {
        assert_eq!(count(name), 1, "{path}: number of {name}");
    }
    for name in ["script", "style", "iframe", "object", "embed", "base"] {
        assert_eq!(count(name), 0, "{path}: {name} on the page");
    }
    assert_eq!(tags[0].get("lang"), Some("en"), "{path}: no language");
    let title = html
        .split("<title>")
        .nth(1)
        .and_then(|rest| rest.split("</title>").next())
        .unwrap_or("");
    assert!(title.trim().len() > 5, "{path}: title `{title}`");
    attributes(path, &tags);
    headings(path, &tags);
    labels(path, &tags);
}

/// Every tag, after checking that each is closed where it should be.
fn well_formed<'a>(path: &str, html: &'a str) -> Vec<Tag<'a>> {
    let (mut tags, mut open, mut rest) = (Vec::new(), Vec::new(), html);
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if rest.starts_with("!doctype") {
            continue;
        }
        let end = end_of_tag(rest)
            .unwrap_or_else(|| panic!("{path}: unclosed tag at {}", &rest[..rest.len().min(60)]));
        let text = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(name) = text.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{path}: </{name}> in {open:?}");
            continue;
        }
        let tag = parse(path, text);
        if !VOID.contains(&tag.name) {
            open.push(tag.name);
        }
        tags.push(tag);
    }
    assert!(open.is_empty(), "{path}: never closed: {open:?}");
    tags
}

/// Where a tag ends: at the first `>` outside quotes.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.find(|c| {
        quoted ^= c == '"';
        c == '>' && !quoted
    })
}

fn parse<'a>(path: &str, text: &'a str) -> Tag<'a> {
    let (name, mut rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    assert!(
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()),
        "{path}: tag <{text}>"
    );
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Tag { name, attributes };
        }
        let end = rest.find(['=', ' ', '\n']).unwrap_or(rest.len());
        let key = &rest[..end];
        let Some(value) = rest[end..].strip_prefix("=\"") else {
            attributes.push((key, ""));
            rest = &rest[end..];
            continue;
        };
        let close = value
            .find('"')
            .unwrap_or_else(|| panic!("{path}: attribute in <{text}>"));
        attributes.push((key, &value[..close]));
        rest = &value[close + 1..];
    }
}

fn attributes(path: &str, tags: &[Tag]) {
    let mut ids = BTreeSet::new();
    for tag in tags {
        for (name, value) in &tag.attributes {
            assert!(
                !name.starts_with("on") && *name != "style",
                "{path}: {name}=\"{value}\" on <{}>",
                tag.name
            );
            if matches!(*name, "href" | "src" | "action") {
                let known = ["/", "#", "http://", "https://", "mailto:"];
                assert!(
                    known.iter().any(|start| value.starts_with(start)),
                    "{path}: {name}={value}"
                );
            }
        }
        if let Some(id) = tag.get("id") {
            assert!(ids.insert(id.to_owned()), "{path}: id {id} twice");
        }
    }
    for tag in tags {
        match tag.name {
            "img" => assert!(tag.get("alt").is_some(), "{path}: picture without alt"),
            "th" => assert!(tag.get("scope").is_some(), "{path}: th without scope"),
            _ => {}
        }
        for reference in ["aria-labelledby", "for"] {
            if let Some(id) = tag.get(reference) {
                assert!(ids.contains(id), "{path}: {reference}={id} leads nowhere");
            }
        }
    }
    assert!(ids.contains("main"), "{path}: nothing to skip to");
}

/// Headings go down one level at a time.
fn headings(path: &str, tags: &[Tag]) {
    let levels = tags.iter().filter_map(|tag| match tag.name.as_bytes() {
        [b'h', level @ b'1'..=b'6'] => Some(level - b'0'),
        _ => None,
    });
    let mut before = 0;
    for level in levels {
        // Filters stand before the heading of what they filter.
        assert!(
            before == 0 || level <= before + 1,
            "{path}: h{level} after h{before}"
        );
        before = level;
    }
}

fn labels(path: &str, tags: &[Tag]) {
    let labels = tags.iter().filter(|tag| tag.name == "label");
    let labelled: BTreeSet<&str> = labels.filter_map(|tag| tag.get("for")).collect();
    let shown = |tag: &&Tag| tag.name == "input" && tag.get("type") != Some("hidden");
    for input in tags.iter().filter(shown) {
        let id = input.get("id").unwrap_or("");
        assert!(labelled.contains(id), "{path}: input `{id}` without label");
    }
}
