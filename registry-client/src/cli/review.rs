// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg review`.

use clap::Subcommand;
use registry_schema::{
    Digest, Reference,
    notice::Notice,
    review::{NewReview, QueuedVersion},
};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
    yank::version_of,
};

/// Decide about versions that wait, in a registry where people vet
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the versions that wait, the longest wait first
    List {
        #[command(flatten)]
        format: FormatArg,
    },
    /// Show a version to everybody
    Approve(Decision),
    /// Take the tag of a version away; its number may be pushed again
    Refuse(Decision),
}

/// A decision about one version
#[derive(Debug, clap::Args)]
pub(super) struct Decision {
    /// The version, `[host/]namespace/name:version`
    reference: Reference,
    /// Why, in one line, for its publisher and its users
    #[arg(long, value_name = "TEXT")]
    reason: Notice,
    /// Digest of the index that you looked at; another one is not decided about
    #[arg(long)]
    digest: Option<Digest>,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::List { format } => list(format, session).await,
        Command::Approve(decision) => decide(decision, true, session).await,
        Command::Refuse(decision) => decide(decision, false, session).await,
    }
}

async fn list(format: FormatArg, session: &Session) -> Result<(), Failure> {
    let registry = session.connect(&session.default_registry()?)?;
    let queue = registry.review_queue().await?;
    if format.output == Format::Json {
        return Ok(output::json(&queue)?);
    }
    let row = |one: &QueuedVersion| {
        vec![
            format!("{}:{}", one.package, one.version),
            one.pending.pushed_at.format("%Y-%m-%d %H:%M").to_string(),
            one.pending.pushed_by.clone(),
            one.pending.signers.join(" "),
            one.pending.notes.join("; "),
        ]
    };
    let rows: Vec<_> = queue.iter().map(row).collect();
    let head = ["VERSION", "PUSHED", "BY", "SIGNED BY", "NOTES"];
    Ok(output::table(&head, &rows)?)
}

async fn decide(decision: Decision, approve: bool, session: &Session) -> Result<(), Failure> {
    let Decision {
        reference,
        reason,
        digest,
        format,
    } = decision;
    let (name, version) = (&reference.package, version_of(&reference)?);
    let registry = session.connect(&session.registry_of(&reference)?)?;
    let new = NewReview {
        approve,
        reason,
        digest,
    };
    let review = registry.review(name, version, &new).await?;
    if format.output == Format::Json {
        return Ok(output::json(&review)?);
    }
    session.say(format!(
        "{} {name}:{version}, {}",
        review.decided.decision.as_str(),
        review.decided.digest
    ));
    Ok(())
}
