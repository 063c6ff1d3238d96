// SPDX-License-Identifier: Apache-2.0
//! `GET /packages/{namespace}`: whose keys sign here, and what was published.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;
use registry_schema::{
    api::{NamespaceKey, Visibility},
    namespace_identity::{IdentityRevocation, Proof},
};

use super::{
    Layout,
    format::{self, Moment},
    render,
    row::Row,
};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::NamespacePath;
use crate::index::{Order, Search};
use crate::service::{access::Caller, catalogue, identity, namespace, proof, transfer};

/// Packages that the page shows.
const ROWS: usize = 100;

#[derive(Template)]
#[template(path = "pages/namespace.html")]
struct NamespacePage {
    layout: Layout,
    namespace: String,
    extent: String,
    private: bool,
    keys: Vec<Key>,
    identities: Vec<Signer>,
    threshold: Option<String>,
    proofs: Vec<Shown>,
    transfer: Option<String>,
    packages: Vec<Row>,
}

/// A key with what speaks for it.
struct Key {
    fingerprint: String,
    since: Moment,
    registered_by: String,
    versions_signed: String,
    pem: String,
    revoked: Option<String>,
}

/// Who signs on an issuer's word.
struct Signer {
    identity: String,
    since: Moment,
    added_by: String,
    revoked: Option<String>,
}

/// What shows who stands behind the namespace.
struct Shown {
    subject: String,
    valid: bool,
    text: String,
}

impl From<Proof> for Shown {
    fn from(proof: Proof) -> Self {
        let day = |at| Moment::from(at).day;
        let text = match (proof.valid, proof.proved_at.map(day), proof.failure) {
            (true, Some(seen), None) => format!("seen on {seen}"),
            (true, Some(seen), Some(_)) => format!("seen on {seen}, but not the last time"),
            (_, Some(seen), _) => format!("lapsed; last seen on {seen}"),
            (_, None, _) => "not shown yet".to_owned(),
        };
        Self {
            subject: proof.subject,
            valid: proof.valid,
            text,
        }
    }
}

fn revoked(revocation: &IdentityRevocation) -> String {
    let since = Moment::from(revocation.since).day;
    let end = revocation.end.as_str();
    format!("revoked as {end} from {since}")
}

impl From<NamespaceKey> for Key {
    fn from(key: NamespaceKey) -> Self {
        Self {
            fingerprint: key.fingerprint.to_string(),
            since: key.registered_at.into(),
            registered_by: key.registered_by,
            versions_signed: format::thousands(key.versions_signed),
            pem: key.pem,
            revoked: key.revoked.as_ref().map(revoked),
        }
    }
}

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    layout: Layout,
    NamespacePath(name): NamespacePath,
) -> Result<Response, Failure> {
    let found = namespace::get(&app, &caller, &name).await?;
    let keys = namespace::keys(&app, &caller, &name).await?;
    let identities = identity::list(&app, &caller, &name).await?;
    let proofs = proof::list(&app, &caller, &name).await?;
    let transfer = transfer::get(&app, &caller, &name).await?;
    let question = Search {
        namespace: Some(name.to_string()),
        order: Order::Name,
        limit: ROWS,
        ..Search::default()
    };
    let listing = catalogue::search(&app, &caller, question).await?;
    let page = NamespacePage {
        layout,
        namespace: name.to_string(),
        extent: format::count(listing.total, "package"),
        private: found.visibility == Visibility::Private,
        keys: keys.into_iter().map(Key::from).collect(),
        identities: identities
            .into_iter()
            .map(|one| Signer {
                identity: one.identity.to_string(),
                since: one.added_at.into(),
                added_by: one.added_by,
                revoked: one.revoked.as_ref().map(revoked),
            })
            .collect(),
        proofs: proofs.into_iter().map(Shown::from).collect(),
        transfer: transfer.and_then(|transfer| {
            let due = Moment::from(transfer.due_at?).day;
            Some(format!(
                "On {due} this namespace is handed over from {} to {}.",
                transfer.from, transfer.to
            ))
        }),
        threshold: (found.threshold > 1)
            .then(|| format!("{} of them must sign a version", found.threshold)),
        packages: listing.packages.into_iter().map(Row::from).collect(),
    };
    Ok(render(StatusCode::OK, &page))
}
