// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg namespace key rotate`, `key revoke`, `identity` and `threshold`: who signs, and how
//! that changes.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::{Subcommand, ValueEnum, ValueHint};
use registry_schema::{
    Namespace,
    namespace_identity::{
        IdentityEnd, IdentityRevocation, NamespaceIdentity, NewIdentityRevocation,
    },
    trust::policy::SignerPattern,
};

use super::{
    clock,
    failure::Failure,
    namespace::read_public_key,
    output::{self, Format, FormatArg},
    password::PasswordArgs,
    session::Session,
};
use crate::{registry::Registry, sign::KeyPair, vouch::vouch};

/// Let another key go on in the place of yours, without a new signer epoch
///
/// Your old key signs a statement that names the new one; the registry keeps it for everybody
/// to check. What the old key signed goes on to count.
#[derive(Debug, clap::Args)]
pub(super) struct RotateArgs {
    /// The namespace
    namespace: Namespace,
    /// File with the new public key
    #[arg(value_hint = ValueHint::FilePath)]
    new: PathBuf,
    /// The old private key
    #[arg(long, env = "BPFPKG_KEY", value_name = "FILE", value_hint = ValueHint::FilePath)]
    key: PathBuf,
    /// The old key goes on to sign beside the new one: for a co-maintainer
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    format: FormatArg,
}

/// Why an identity signs no more
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum End {
    /// Another took its place: what it signed before counts
    Superseded,
    /// Somebody else may have it: what arrived since a date does not count
    Compromised,
}

/// Revoke a key or identity: what it signs counts no more
///
/// What arrived before the date goes on to count. Nodes learn of a revoked key from the
/// registry's revocation feed. It cannot be undone.
#[derive(Debug, clap::Args)]
pub(super) struct RevokeArgs {
    /// The namespace
    namespace: Namespace,
    /// `SHA256:…` for a key, or `oidc:<issuer>#<pattern>`
    #[arg(value_parser = pattern)]
    identity: SignerPattern,
    /// Why
    #[arg(long, value_enum)]
    reason: End,
    /// From when on, if it is compromised: `2026-11-21` or a full time
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<DateTime<Utc>>,
    /// One line for those who look it up
    #[arg(long, default_value = "", value_name = "TEXT")]
    note: String,
    #[command(flatten)]
    format: FormatArg,
}

/// Let people and jobs sign without a key of their own, on an issuer's word
#[derive(Debug, Subcommand)]
pub(super) enum IdentityCommand {
    /// Let somebody sign
    Add {
        /// The namespace
        namespace: Namespace,
        /// `oidc:<issuer>#<pattern>`; `*` stands for any characters but `/`, `**` for any
        identity: SignerPattern,
    },
    /// Take an identity away; what it signed counts no more
    Remove {
        /// The namespace
        namespace: Namespace,
        /// `oidc:<issuer>#<pattern>`, as `list` shows it
        identity: SignerPattern,
    },
    /// List who may sign on an issuer's word
    List {
        /// The namespace
        namespace: Namespace,
        #[command(flatten)]
        format: FormatArg,
    },
    Revoke(RevokeArgs),
}

fn pattern(text: &str) -> Result<SignerPattern, String> {
    if text.starts_with("SHA256:") {
        return format!("key:{text}").parse();
    }
    text.parse()
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    text.parse()
        .map_err(|_| format!("`{text}` is no time; write `2026-11-21` or `2026-11-21T08:00:00Z`"))
}

pub(super) async fn rotate(
    args: RotateArgs,
    registry: &Registry,
    session: &Session,
) -> Result<(), Failure> {
    let successor = read_public_key(&args.new)?;
    let password = args.password.existing()?;
    let old = KeyPair::load(&args.key, &password)?;
    let named = (successor.fingerprint().into(), Some(successor.to_pem()));
    let host = registry.host();
    let statement = vouch(&old, host, &args.namespace, named, !args.keep, clock::now())?;
    let accepted = registry
        .hand_in_continuity(&args.namespace, &statement)
        .await?;
    if args.format.output == Format::Json {
        return Ok(output::json(&accepted)?);
    }
    let how = if args.keep {
        "beside"
    } else {
        "in the place of"
    };
    session.say(format!(
        "{} signs for namespace {} {how} {}",
        accepted.says.successor, args.namespace, accepted.says.signer
    ));
    Ok(())
}

pub(super) async fn revoke(
    args: RevokeArgs,
    registry: &Registry,
    session: &Session,
) -> Result<(), Failure> {
    if let (End::Superseded, Some(since)) = (args.reason, args.since) {
        return Err(Failure::usage(
            format!(
                "`--since {}`: what is superseded ends now",
                since.format("%Y-%m-%d %H:%M UTC")
            ),
            "leave `--since` out, or give `--reason compromised`",
        ));
    }
    let new = NewIdentityRevocation {
        identity: args.identity,
        end: match args.reason {
            End::Superseded => IdentityEnd::Superseded,
            End::Compromised => IdentityEnd::Compromised,
        },
        since: args.since,
        note: args.note,
    };
    let revoked = registry.revoke_identity(&args.namespace, &new).await?;
    if args.format.output == Format::Json {
        return Ok(output::json(&revoked)?);
    }
    session.say(format!("{} was {}", new.identity, state(&revoked)));
    Ok(())
}

/// That something was revoked, in words.
pub(super) fn state(revoked: &IdentityRevocation) -> String {
    let since = revoked.since.format("%Y-%m-%d %H:%M UTC");
    format!("revoked as {} from {since}", revoked.end.as_str())
}

pub(super) async fn run(
    command: IdentityCommand,
    registry: &Registry,
    session: &Session,
) -> Result<(), Failure> {
    match command {
        IdentityCommand::Add {
            namespace,
            identity,
        } => {
            registry.add_identity(&namespace, &identity).await?;
            session.say(format!("{identity} may sign for namespace {namespace}"));
        }
        IdentityCommand::Remove {
            namespace,
            identity,
        } => {
            registry.remove_identity(&namespace, &identity).await?;
            session.say(format!(
                "{identity} signs no more for namespace {namespace}"
            ));
        }
        IdentityCommand::List { namespace, format } => {
            let identities = registry.identities(&namespace).await?;
            if format.output == Format::Json {
                return Ok(output::json(&identities)?);
            }
            let row = |one: &NamespaceIdentity| {
                vec![
                    one.identity.to_string(),
                    one.added_at.format("%Y-%m-%d").to_string(),
                    one.added_by.clone(),
                    one.revoked.as_ref().map(state).unwrap_or_default(),
                ]
            };
            let rows: Vec<_> = identities.iter().map(row).collect();
            output::table(&["IDENTITY", "SINCE", "BY", "STATE"], &rows)?;
        }
        IdentityCommand::Revoke(args) => return revoke(args, registry, session).await,
    }
    Ok(())
}
