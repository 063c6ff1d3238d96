// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg namespace member`.

use clap::Subcommand;
use registry_schema::{Namespace, account::Role};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::registry::Registry;

/// Say who may do what in a namespace
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Give an account a role, also instead of another
    Add {
        /// The namespace
        namespace: Namespace,
        /// The account
        account: String,
        /// owner, maintainer, publisher or viewer
        #[arg(long)]
        role: Role,
    },
    /// Take an account's role away; your own, to leave
    Remove {
        /// The namespace
        namespace: Namespace,
        /// The account
        account: String,
    },
    /// List the members of a namespace
    List {
        /// The namespace
        namespace: Namespace,
        #[command(flatten)]
        format: FormatArg,
    },
}

pub(super) async fn run(
    command: Command,
    registry: &Registry,
    session: &Session,
) -> Result<(), Failure> {
    match command {
        Command::Add {
            namespace,
            account,
            role,
        } => {
            registry.set_member(&namespace, &account, role).await?;
            session.say(format!("{account} is {role} of namespace {namespace}"));
        }
        Command::Remove { namespace, account } => {
            registry.remove_member(&namespace, &account).await?;
            session.say(format!(
                "{account} is no member of namespace {namespace} any more"
            ));
        }
        Command::List { namespace, format } => {
            let members = registry.members(&namespace).await?;
            if format.output == Format::Json {
                return Ok(output::json(&members)?);
            }
            let row = |member: &registry_schema::account::Member| {
                vec![
                    member.account.clone(),
                    member.role.to_string(),
                    member.since.format("%Y-%m-%d").to_string(),
                ]
            };
            let rows: Vec<_> = members.iter().map(row).collect();
            output::table(&["ACCOUNT", "ROLE", "SINCE"], &rows)?;
        }
    }
    Ok(())
}
