// SPDX-License-Identifier: Apache-2.0
//! Atom feeds of what was published: `/feed.atom`, `/feeds/{namespace}` and
//! `/feeds/{namespace}/{name}`.

use std::fmt::Write;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, SecondsFormat, Utc};
use http::header;

use crate::{
    app::App,
    http::{
        error::Failure,
        extract::{NamespacePath, PackagePath},
    },
    service::{
        access::Caller,
        feed::{self, Entry, Followed},
    },
};

/// `GET /feed.atom`
pub(super) async fn everything(
    State(app): State<App>,
    caller: Caller,
) -> Result<Response, Failure> {
    answer(&app, &caller, &Followed::Everything, "/feed.atom").await
}

/// `GET /feeds/{namespace}`
pub(super) async fn namespace(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Response, Failure> {
    let path = format!("/feeds/{name}");
    answer(&app, &caller, &Followed::Namespace(name), &path).await
}

/// `GET /feeds/{namespace}/{name}`
pub(super) async fn package(
    State(app): State<App>,
    caller: Caller,
    PackagePath(name): PackagePath,
) -> Result<Response, Failure> {
    let path = format!("/feeds/{name}");
    answer(&app, &caller, &Followed::Package(name), &path).await
}

async fn answer(
    app: &App,
    caller: &Caller,
    followed: &Followed,
    path: &str,
) -> Result<Response, Failure> {
    let entries = feed::latest(app, caller, followed).await?;
    let title = match followed {
        Followed::Everything => format!("Versions published at {}", app.host()),
        Followed::Namespace(name) => format!("Versions published by {name}"),
        Followed::Package(name) => format!("Versions of {name}"),
    };
    let text = atom(app.origin(), path, &title, &entries);
    let kind = [(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")];
    Ok((kind, text).into_response())
}

/// A feed as text. The same content gives the same text: a feed without entries is of the
/// beginning of time.
fn atom(origin: &str, path: &str, title: &str, entries: &[Entry]) -> String {
    let newest = entries.iter().map(|entry| entry.published_at).max();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    text.push_str("<feed xmlns=\"http://www.w3.org/2005/Atom\">\n");
    element(&mut text, "title", title);
    element(&mut text, "id", &format!("{origin}{path}"));
    element(&mut text, "updated", &moment(newest.unwrap_or_default()));
    link(&mut text, "self", &format!("{origin}{path}"));
    link(&mut text, "alternate", &format!("{origin}/"));
    for entry in entries {
        let page = format!("{origin}/packages/{}", entry.package);
        let (place, title, id) = match (&entry.version, entry.epoch) {
            (Some(version), _) => {
                let place = format!("{page}/{version}");
                (place.clone(), format!("{} {version}", entry.package), place)
            }
            (None, number) => {
                let id = format!("{page}#epoch-{}", number.unwrap_or_default());
                (page, format!("{}: other signers", entry.package), id)
            }
        };
        text.push_str("<entry>\n");
        element(&mut text, "title", &title);
        element(&mut text, "id", &id);
        element(&mut text, "updated", &moment(entry.published_at));
        link(&mut text, "alternate", &place);
        text.push_str("<author>");
        let author = match entry.published_by.as_str() {
            "" => entry.package.namespace().as_str(),
            author => author,
        };
        element(&mut text, "name", author);
        text.push_str("</author>\n");
        element(&mut text, "summary", &entry.summary);
        text.push_str("</entry>\n");
    }
    text.push_str("</feed>\n");
    text
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn element(text: &mut String, name: &str, value: &str) {
    // Writing to text does not fail.
    let _ = writeln!(text, "<{name}>{}</{name}>", escaped(value));
}

fn link(text: &mut String, relation: &str, address: &str) {
    let _ = writeln!(
        text,
        "<link rel=\"{relation}\" href=\"{}\"/>",
        escaped(address)
    );
}

/// Text as XML has it; what no XML document may hold, escaped or not, is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(c),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_element() {
        assert_eq!(
            escaped("</summary><script>\"a\"&'b'\u{0}\u{1b}\u{ffff}"),
            "&lt;/summary&gt;&lt;script&gt;&quot;a&quot;&amp;&#39;b&#39;"
        );
    }
}
