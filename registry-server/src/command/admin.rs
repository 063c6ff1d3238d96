// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry admin token`

use std::io::Write;

use registry_schema::exit;

use super::demand_database;
use crate::{config::AdminVerb, service::start::way_back, start};

/// Lets an administrator back in. Who may read and write the registry's data could do so
/// anyway; this way it is in the audit log.
pub(super) async fn run(verb: AdminVerb) -> anyhow::Result<u8> {
    let AdminVerb::Token {
        account,
        hours,
        config,
    } = verb;
    demand_database(&config)?;
    let app = start::open_beside(*config).await?;
    let made = way_back(&app, account.as_deref(), hours).await;
    app.db.close().await;
    let made = made?;
    // The token alone, so that a pipe into `bpfpkg login` works.
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", made.token)?;
    out.flush()?;
    eprintln!(
        "token for administrator {}, shown only now; it ends {}",
        made.account,
        made.expires_at.format("%Y-%m-%d %H:%M UTC")
    );
    Ok(exit::OK)
}
