// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg account`.

use clap::Subcommand;
use registry_schema::{account::PasswordChange, scope::Scope};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    password,
    session::Session,
};

/// Look at your account, and change its password
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
}

pub(super) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let registry = session.connect(&session.default_registry()?)?;
    let own = registry.own_account().await?;
    match command {
        Command::Show { format } => {
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
                let new = password::prompt("New password: ")?;
                if *new != *password::prompt("The same again: ")? {
                    return Err(Failure::usage("the two passwords differ", "try again"));
                }
                PasswordChange {
                    old,
                    new: new.to_string(),
                }
            };
            registry.change_password(&change).await?;
            session.say("the password is changed; log in with it, or keep using your token");
            Ok(())
        }
    }
}
