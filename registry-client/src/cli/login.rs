// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg login`.

use super::{
    failure::Failure,
    password,
    session::{Session, remember_registry},
};
use crate::{
    auth::{CredentialStore, Credentials},
    registry::Registry,
};

/// Keep a user name and token for a registry
///
/// They are checked first, and kept where container tools look too:
/// REGISTRY_AUTH_FILE, or `~/.docker/config.json` and its credential programs. The
/// first registry you log in to becomes the default.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The registry; the default registry if absent
    host: Option<String>,
    /// User name; any will do with a token
    #[arg(long, short, default_value = "token", value_name = "NAME")]
    user: String,
    /// Read password or token from stdin instead of asking
    #[arg(long)]
    password_stdin: bool,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let host = args
        .host
        .clone()
        .map_or_else(|| session.default_registry(), Ok)?;
    let secret = if args.password_stdin {
        password::from_stdin()?
    } else {
        password::prompt(&format!("Password or token for {host}: "))?
    };
    if secret.is_empty() {
        return Err(Failure::usage(
            "the password is empty",
            "write the token that the registry gave you",
        ));
    }
    let credentials = Credentials::new(args.user.clone(), secret.as_str());
    let mut options = session.options(&host)?;
    options.credentials = Some(credentials.clone());
    Registry::connect(&host, &options)?.check_login().await?;
    let place = CredentialStore::from_environment()?.store(&host, &credentials)?;
    session.say(format!("logged in to {host}; the token is kept in {place}"));
    if remember_registry(&session.config, &host)? {
        session.say(format!("{host} is now the default registry"));
    }
    Ok(())
}
