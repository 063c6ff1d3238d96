// SPDX-License-Identifier: Apache-2.0
//! `GET /log`: how far the publish log goes, and what was added last.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;
use registry_schema::transparency::{
    Change,
    api::{LogWitness, LoggedEntry},
};

use super::{
    Layout,
    format::{self, Moment},
    render,
};
use crate::app::App;
use crate::http::error::Failure;
use crate::service::log::{self, Part};

/// Entries that the page shows.
const ROWS: u64 = 50;

#[derive(Template)]
#[template(path = "pages/log.html")]
struct LogPage {
    layout: Layout,
    origin: String,
    key: String,
    extent: String,
    root: String,
    witnesses: Vec<Witness>,
    entries: Vec<Row>,
}

/// Who watches.
struct Witness {
    name: String,
    seen: String,
}

impl From<LogWitness> for Witness {
    fn from(witness: LogWitness) -> Self {
        let name = witness.key.split('+').next().unwrap_or_default().to_owned();
        let seen = match (witness.size, witness.seen_at) {
            (Some(size), Some(at)) => {
                format!("{} on {}", entries(size), Moment::from(at).day)
            }
            _ => "nothing yet".to_owned(),
        };
        Self { name, seen }
    }
}

/// An entry in words.
struct Row {
    index: String,
    time: Moment,
    what: &'static str,
    subject: String,
    /// The page about it, if there is one.
    page: String,
    who: Vec<String>,
}

impl From<LoggedEntry> for Row {
    fn from(logged: LoggedEntry) -> Self {
        let change = logged.entry.change();
        let page = match (change.package(), change.version()) {
            (Some(package), Some(version)) => format!("/packages/{package}/{version}"),
            (Some(package), None) => format!("/packages/{package}"),
            (None, _) => format!("/packages/{}", change.namespace()),
        };
        Self {
            index: format::thousands(logged.index),
            time: logged.entry.time().into(),
            what: words(change),
            subject: change.subject(),
            page,
            who: change
                .identities()
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }
}

fn entries(number: u64) -> String {
    match number {
        1 => "1 entry".to_owned(),
        more => format!("{} entries", format::thousands(more)),
    }
}

const fn words(change: &Change) -> &'static str {
    match change {
        Change::Publish { .. } => "published",
        Change::Sign { .. } => "signed",
        Change::Yank { .. } => "yanked",
        Change::Unyank { .. } => "no longer yanked",
        Change::Deprecate { .. } => "deprecated",
        Change::Restore { .. } => "no longer deprecated",
        Change::IdentityAdd { .. } => "signer added",
        Change::IdentityRemove { .. } => "signer removed",
        Change::IdentityRevoke { .. } => "signer revoked",
        Change::MemberSet { .. } => "somebody may publish",
        Change::MemberRemove { .. } => "somebody may no longer publish",
        Change::OwnerTransfer { .. } => "changed hands",
        Change::Epoch { .. } => "new signer, not vouched for by the last",
    }
}

pub(super) async fn show(State(app): State<App>, layout: Layout) -> Result<Response, Failure> {
    let detail = log::detail(&app).await?;
    let last = log::entries(&app, None, Part::End, ROWS).await?;
    let page = LogPage {
        layout,
        origin: detail.origin,
        key: detail.key,
        extent: entries(detail.size),
        root: detail.root,
        witnesses: detail.witnesses.into_iter().map(Witness::from).collect(),
        entries: last.entries.into_iter().map(Row::from).collect(),
    };
    Ok(render(StatusCode::OK, &page))
}
