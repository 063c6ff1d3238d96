// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg logout`.

use super::{failure::Failure, session::Session};
use crate::auth::CredentialStore;

/// Forget the user name and token for a registry
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The registry; the default registry if absent
    host: Option<String>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let host = args
        .host
        .clone()
        .map_or_else(|| session.default_registry(), Ok)?;
    if CredentialStore::from_environment()?.erase(&host)? {
        session.say(format!("logged out of {host}"));
    } else {
        session.say(format!("nothing was kept for {host}"));
    }
    Ok(())
}
