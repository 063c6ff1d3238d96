// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg token`.

use clap::Subcommand;
use registry_schema::{
    Namespace,
    account::{Exchange, NewToken, NewTokenAnswer, TokenDetail},
    exit,
    scope::Scope,
};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    password,
    session::Session,
};

/// Make, list and revoke tokens, which programs use instead of your password
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token; its secret is written once, to stdout
    Create {
        /// What it is for
        label: String,
        /// What it may do, such as `demo/*:pull,push`; may be repeated. Without any, all that you may
        #[arg(long = "scope", value_name = "PATTERN:ACTIONS")]
        scopes: Vec<Scope>,
        /// How long it lasts; as long as the registry allows if absent
        #[arg(long)]
        days: Option<u32>,
        /// Whose it is, if you are an administrator; yours if absent
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        #[command(flatten)]
        format: FormatArg,
    },
    /// List your tokens
    List {
        #[command(flatten)]
        format: FormatArg,
    },
    /// Revoke a token, and all that were made with it
    Revoke {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Exchange a CI job's ID token, read from stdin, for one that publishes for 30 minutes
    Exchange {
        /// The namespace to publish in: if several trust the job, or for the registry to see
        /// that the job's account stands behind it (`bpfpkg namespace proof`)
        #[arg(long)]
        namespace: Option<Namespace>,
        #[command(flatten)]
        format: FormatArg,
    },
}

pub(super) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let registry = session.connect(&session.default_registry()?)?;
    match command {
        Command::Create {
            label,
            scopes,
            days,
            account,
            format,
        } => {
            let new = NewToken {
                label,
                scopes,
                days,
                account,
            };
            write_secret(&registry.create_token(&new).await?, format, session)
        }
        Command::List { format } => {
            let tokens = registry.tokens().await?;
            if format.output == Format::Json {
                return Ok(output::json(&tokens)?);
            }
            let rows: Vec<_> = tokens.iter().map(row).collect();
            let heads = ["ID", "LABEL", "MAY", "ENDS", "LAST USED"];
            Ok(output::table(&heads, &rows)?)
        }
        Command::Revoke { id } => {
            let tokens = registry.tokens().await?;
            let fits =
                |token: &&TokenDetail| token.revoked_at.is_none() && token.id.starts_with(&id);
            let found: Vec<_> = tokens.iter().filter(fits).collect();
            let help = "write an id that `bpfpkg token list` shows, or more of it";
            let token = match found.as_slice() {
                [token] => token,
                [] => {
                    let message = format!("no token of yours that is good begins with `{id}`");
                    return Err(Failure::usage(message, help).with_exit(exit::NOT_FOUND));
                }
                several => {
                    let number = several.len();
                    let message = format!("`{id}` is the beginning of {number} of your tokens");
                    return Err(Failure::usage(message, help));
                }
            };
            registry.revoke_token(&token.id).await?;
            session.say(format!("token `{}` is good no more", token.label));
            Ok(())
        }
        Command::Exchange { namespace, format } => {
            let asked = Exchange {
                token: password::from_stdin()?.to_string(),
                namespace,
            };
            write_secret(&registry.exchange(&asked).await?, format, session)
        }
    }
}

fn write_secret(
    made: &NewTokenAnswer,
    format: FormatArg,
    session: &Session,
) -> Result<(), Failure> {
    if format.output == Format::Json {
        return Ok(output::json(made)?);
    }
    output::line(&made.token)?;
    let end = made.detail.expires_at;
    let end = end.map_or_else(String::new, |end| {
        format!("; it ends {}", end.format("%Y-%m-%d %H:%M UTC"))
    });
    session.say(format!("this is shown only now{end}"));
    Ok(())
}

fn row(token: &TokenDetail) -> Vec<String> {
    let day = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d").to_string();
    let scopes = token.scopes.as_ref().map_or_else(
        || "everything".to_owned(),
        |scopes| {
            let words: Vec<_> = scopes.iter().map(Scope::to_string).collect();
            words.join(" ")
        },
    );
    let end = match (token.revoked_at, token.expires_at) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(end)) => day(end),
        (None, None) => "never".to_owned(),
    };
    vec![
        token.id.chars().take(12).collect(),
        token.label.clone(),
        scopes,
        end,
        token.last_used_at.map_or_else(|| "never".to_owned(), day),
    ]
}
