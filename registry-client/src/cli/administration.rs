// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg account create`, `change`, `list` and `link`: what administrators do with accounts.

use registry_schema::account::{AccountChange, AccountDetail, NewAccount, NewIdentity};

use super::{
    failure::Failure,
    output::{self, Format},
    password,
    session::Session,
};
use crate::registry::Registry;

/// Make an account, as an administrator or where everybody may
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// Its name: lower-case letters, digits, `.`, `_` and `-`
    name: String,
    /// It may do everything
    #[arg(long)]
    administrator: bool,
    /// Give it no password: it then uses tokens that an administrator makes for it
    #[arg(long)]
    no_password: bool,
    /// Read its password from stdin instead of asking
    #[arg(long, conflicts_with = "no_password")]
    password_stdin: bool,
}

/// Change an account, as an administrator; what is not named stays
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("change").args(["disable", "enable", "administrator", "reviewer", "password", "password_stdin"]).required(true).multiple(true)))]
pub(super) struct ChangeArgs {
    /// The account
    name: String,
    /// Let it do nothing any more; all that it is logged in with ends
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// Let it work again
    #[arg(long)]
    enable: bool,
    /// Whether it may do everything, `true` or `false`
    #[arg(long, value_name = "BOOL")]
    administrator: Option<bool>,
    /// Whether it decides about versions that wait for review, `true` or `false`
    #[arg(long, value_name = "BOOL")]
    reviewer: Option<bool>,
    #[command(flatten)]
    password: NewPassword,
}

/// Whether an account gets another password.
#[derive(Debug, clap::Args)]
struct NewPassword {
    /// Ask for a new password for it
    #[arg(long)]
    password: bool,
    /// Read a new password for it from stdin
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,
}

/// Let an identity of the registry's login provider be an account, as an administrator
#[derive(Debug, clap::Args)]
pub(super) struct LinkArgs {
    /// The account
    name: String,
    /// The provider, as in the `iss` claim
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The `sub` claim
    #[arg(long)]
    subject: String,
}

/// A new password, from stdin or asked for twice.
fn new_password(stdin: bool) -> Result<String, Failure> {
    if stdin {
        return Ok(password::from_stdin()?.to_string());
    }
    Ok(password::prompt_new("New password: ")?.to_string())
}

pub(super) async fn create(
    args: CreateArgs,
    registry: &Registry,
    session: &Session,
) -> Result<(), Failure> {
    let password = if args.no_password {
        None
    } else {
        Some(new_password(args.password_stdin)?)
    };
    let new = NewAccount {
        name: args.name,
        password,
        administrator: args.administrator,
    };
    let made = registry.create_account(&new).await?;
    session.say(format!(
        "{} has an account on {}",
        made.name,
        registry.host()
    ));
    Ok(())
}

pub(super) async fn change(
    args: ChangeArgs,
    registry: &Registry,
    session: &Session,
) -> Result<(), Failure> {
    let NewPassword {
        password,
        password_stdin,
    } = args.password;
    let password = if password || password_stdin {
        Some(new_password(password_stdin)?)
    } else {
        None
    };
    let change = AccountChange {
        disabled: (args.disable || args.enable).then_some(args.disable),
        administrator: args.administrator,
        reviewer: args.reviewer,
        password,
    };
    let changed = registry.change_account(&args.name, &change).await?;
    session.say(format!("{}: {}", changed.name, state(&changed)));
    Ok(())
}

pub(super) async fn link(
    args: LinkArgs,
    registry: &Registry,
    session: &Session,
) -> Result<(), Failure> {
    let identity = NewIdentity {
        issuer: args.issuer,
        subject: args.subject,
    };
    registry.link_account(&args.name, &identity).await?;
    session.say(format!(
        "{} of {} logs in as {}",
        identity.subject, identity.issuer, args.name
    ));
    Ok(())
}

pub(super) async fn list(registry: &Registry, format: Format) -> Result<(), Failure> {
    let mut accounts = registry.accounts("").await?;
    let mut page = accounts.len();
    while let Some(last) = accounts.last().filter(|_| page > 0) {
        let more = registry.accounts(&last.name).await?;
        page = more.len();
        accounts.extend(more);
    }
    if format == Format::Json {
        return Ok(output::json(&accounts)?);
    }
    let row = |account: &AccountDetail| {
        vec![
            account.name.clone(),
            state(account),
            account.created_at.format("%Y-%m-%d").to_string(),
        ]
    };
    let rows: Vec<_> = accounts.iter().map(row).collect();
    Ok(output::table(&["ACCOUNT", "STATE", "SINCE"], &rows)?)
}

/// What an account is, in words.
fn state(account: &AccountDetail) -> String {
    let mut words = vec![match (account.administrator, account.robot) {
        (true, _) => "administrator",
        (_, true) => "trusted publisher",
        _ => "user",
    }];
    if !account.password && !account.robot {
        words.push("without password");
    }
    if account.reviewer {
        words.push("reviewer");
    }
    if account.disabled_at.is_some() {
        words.push("disabled");
    }
    words.join(", ")
}
