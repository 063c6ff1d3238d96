// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg review`.

use clap::Subcommand;
use registry_schema::{
    Digest, Reference, exit,
    notice::Notice,
    review::{Decided, NewReview, QueuedVersion, REVIEW_PREDICATE, Review},
    signature::PublicKey,
};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
    yank::version_of,
};
use crate::{
    registry::Registry,
    verify::signature::{Roots, judge_attestation},
};

/// Decide about versions that wait, in a registry where people vet
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the versions that wait, the longest wait first
    List {
        #[command(flatten)]
        format: FormatArg,
    },
    /// Show what was decided about a version, from records that the registry has signed
    Show {
        /// The version, `[host/]namespace/name:version`
        reference: Reference,
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
        Command::Show { reference, format } => show(&reference, format, session).await,
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

async fn show(reference: &Reference, format: FormatArg, session: &Session) -> Result<(), Failure> {
    let (name, version) = (&reference.package, version_of(reference)?);
    let registry = session.connect(&session.registry_of(reference)?)?;
    let reviews = registry.reviews(name, version).await?;
    let key = registry.detail().await?.record_key;
    let key = PublicKey::from_pem(&key).map_err(|error| {
        let context = registry.context("the key of its records");
        context.malformed(error.to_string())
    })?;
    for review in &reviews {
        check(review, &key, &registry)?;
    }
    if format.output == Format::Json {
        return Ok(output::json(&reviews)?);
    }
    let row = |Review { decided, .. }: &Review| {
        vec![
            decided.decision.as_str().to_owned(),
            decided.decided_at.format("%Y-%m-%d %H:%M").to_string(),
            match decided.decided_by.as_str() {
                "" => "(rules)".to_owned(),
                somebody => somebody.to_owned(),
            },
            decided.digest.to_string(),
            decided.reason.clone(),
        ]
    };
    let rows: Vec<_> = reviews.iter().map(row).collect();
    Ok(output::table(
        &["DECISION", "WHEN", "BY", "DIGEST", "REASON"],
        &rows,
    )?)
}

/// The record must say what the list says: only what is signed can be shown to others later.
fn check(review: &Review, key: &PublicKey, registry: &Registry) -> Result<(), Failure> {
    let decided = &review.decided;
    let broken = |reason: String| {
        let host = registry.host();
        Failure::new(
            "review::record",
            format!(
                "the record of {host} that says `{}` does not hold: {reason}",
                decided.reason
            ),
        )
        .with_help("ask the operator of the registry what happened")
        .with_exit(exit::VERIFICATION)
    };
    let bundle = review.record.to_string();
    let keys = [key.clone()];
    let stated = judge_attestation(bundle.as_bytes(), &decided.digest, &keys, &Roots::default())
        .map_err(|fault| broken(fault.to_string()))?
        .statement;
    if stated.predicate_type != REVIEW_PREDICATE {
        return Err(broken(format!("it is a {}", stated.predicate_type)));
    }
    let says: Decided =
        serde_json::from_value(stated.predicate).map_err(|error| broken(error.to_string()))?;
    if says == *decided {
        Ok(())
    } else {
        Err(broken("it says something else".to_owned()))
    }
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
