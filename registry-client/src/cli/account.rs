// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg account`.

use clap::Subcommand;
use registry_schema::{account::PasswordChange, scope::Scope};

use super::{
    administration, certificate,
    failure::Failure,
    output::{self, Format, FormatArg},
    password,
    session::Session,
};
use crate::{Explain, registry::RegistryError};

/// Look at your account, and change its password; as an administrator, see to all accounts
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show who you are, and in which namespaces
    Show {
        #[command(flatten)]
        format: FormatArg,
    },
    /// Set a password, or change it; the old one is asked for first if there is one
    Password {
        /// Read the passwords from stdin instead of asking: the old one, if there is one, and the new one, a line each
        #[arg(long)]
        password_stdin: bool,
    },
    Create(administration::CreateArgs),
    Change(administration::ChangeArgs),
    /// List all accounts, for administrators
    List {
        #[command(flatten)]
        format: FormatArg,
    },
    Link(administration::LinkArgs),
    #[command(subcommand)]
    Certificate(certificate::Command),
}

pub(super) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let registry = session.connect(&session.default_registry()?)?;
    match command {
        Command::Show { format } => {
            let own = registry.own_account().await?;
            if format.output == Format::Json {
                return Ok(output::json(&own)?);
            }
            let what = if own.account.administrator {
                ", an administrator"
            } else {
                ""
            };
            output::line(format!(
                "{} on {}{what}, by {}",
                own.account.name,
                registry.host(),
                own.credential
            ))?;
            if let Some(scopes) = &own.scopes {
                let words: Vec<_> = scopes.iter().map(Scope::to_string).collect();
                output::line(format!("limited to {}", words.join(" ")))?;
            }
            let row = |membership: &registry_schema::account::Membership| {
                vec![
                    membership.namespace.to_string(),
                    membership.role.to_string(),
                ]
            };
            let rows: Vec<_> = own.memberships.iter().map(row).collect();
            Ok(output::table(&["NAMESPACE", "ROLE"], &rows)?)
        }
        Command::Password { password_stdin } => {
            let own = registry.own_account().await?;
            let change = if password_stdin {
                let text = password::all_of_stdin()?;
                let mut lines = text.lines();
                let mut next = || lines.next().unwrap_or_default().to_owned();
                PasswordChange {
                    old: own.account.password.then(&mut next),
                    new: next(),
                }
            } else {
                let old = if own.account.password {
                    Some(password::prompt("Old password: ")?.to_string())
                } else {
                    None
                };
                PasswordChange {
                    old,
                    new: password::prompt_new("New password: ")?.to_string(),
                }
            };
            let changed = registry.change_password(&change).await;
            if let Err(error @ RegistryError::WrongPassword { .. }) = changed {
                // Who asks was known a moment ago.
                return Err(Failure::new(error.code(), "the old password is wrong")
                    .with_help("an administrator can give you another one")
                    .with_exit(error.exit_code()));
            }
            changed?;
            session.say("the password is changed; log in with it, or keep using your token");
            Ok(())
        }
        Command::Create(args) => administration::create(args, &registry, session).await,
        Command::Change(args) => administration::change(args, &registry, session).await,
        Command::List { format } => administration::list(&registry, format.output).await,
        Command::Link(args) => administration::link(args, &registry, session).await,
        Command::Certificate(command) => certificate::run(command, &registry, session).await,
    }
}
