// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg namespace transfer` and `namespace proof`: whose a namespace is.

use clap::Subcommand;
use registry_schema::{
    Namespace,
    namespace_identity::{NewProof, Proof, ProofKind, Transfer},
    trust::policy::SignerPattern,
};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::registry::Registry;

/// Hand a namespace over to another account
#[derive(Debug, Subcommand)]
pub(super) enum TransferCommand {
    /// Offer it
    ///
    /// Nothing happens until the account accepts, and then some days later. What the packages
    /// have earned counts nothing after, unless your key names the new one before that
    /// (`bpfpkg namespace key rotate`).
    Offer {
        /// The namespace
        namespace: Namespace,
        /// The account
        account: String,
    },
    /// Accept one that was offered to you
    Accept {
        /// The namespace
        namespace: Namespace,
    },
    /// Call it off, as an owner or as whom it was offered
    Cancel {
        /// The namespace
        namespace: Namespace,
    },
    /// Show to whom a namespace is being handed over
    Show {
        /// The namespace
        namespace: Namespace,
        #[command(flatten)]
        format: FormatArg,
    },
}

/// Show who stands behind a namespace: a domain, or an account at a forge
#[derive(Debug, Subcommand)]
pub(super) enum ProofCommand {
    /// Add one, or have it looked at again
    ///
    /// A domain carries a line under `/.well-known/bpfpkg.txt`. An account at a forge is
    /// named as `oidc:<issuer>#<pattern>` and seen when one of its jobs publishes here.
    Add {
        /// The namespace
        namespace: Namespace,
        /// `example.org`, or `oidc:<issuer>#<pattern>`
        subject: String,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Take one back
    Remove {
        /// The namespace
        namespace: Namespace,
        /// As `list` shows it
        subject: String,
    },
    /// List what shows who stands behind a namespace
    List {
        /// The namespace
        namespace: Namespace,
        #[command(flatten)]
        format: FormatArg,
    },
}

pub(super) async fn transfer(
    command: TransferCommand,
    registry: &Registry,
    session: &Session,
) -> Result<(), Failure> {
    match command {
        TransferCommand::Offer { namespace, account } => {
            let offered = registry.offer_transfer(&namespace, &account).await?;
            session.say(format!("{namespace} is offered to {}", offered.to));
        }
        TransferCommand::Accept { namespace } => {
            let accepted = registry.accept_transfer(&namespace).await?;
            session.say(sentence(&namespace, &accepted));
        }
        TransferCommand::Cancel { namespace } => {
            registry.cancel_transfer(&namespace).await?;
            session.say(format!("{namespace} stays with its owner"));
        }
        TransferCommand::Show { namespace, format } => {
            let found = registry.transfer(&namespace).await?;
            if format.output == Format::Json {
                return Ok(output::json(&found)?);
            }
            let text = found.map_or_else(
                || format!("{namespace} is not being handed over"),
                |found| sentence(&namespace, &found),
            );
            output::line(text)?;
        }
    }
    Ok(())
}

fn sentence(namespace: &Namespace, transfer: &Transfer) -> String {
    match transfer.due_at {
        Some(due) => format!(
            "{namespace} is handed over from {} to {} on {}",
            transfer.from,
            transfer.to,
            due.format("%Y-%m-%d %H:%M UTC")
        ),
        None => format!(
            "{namespace} is offered by {} to {}, who has not accepted",
            transfer.from, transfer.to
        ),
    }
}

pub(super) async fn proof(
    command: ProofCommand,
    registry: &Registry,
    session: &Session,
) -> Result<(), Failure> {
    match command {
        ProofCommand::Add {
            namespace,
            subject,
            format,
        } => {
            let found = registry.add_proof(&namespace, &new(&subject)?).await?;
            if format.output == Format::Json {
                return Ok(output::json(&found)?);
            }
            session.say(format!("{}: {}", found.subject, state(&found)));
            if let Some(line) = found.line.as_ref().filter(|_| !found.valid) {
                let subject = &found.subject;
                session.say(format!(
                    "put this line into https://{subject}/.well-known/bpfpkg.txt, and repeat:"
                ));
                output::line(line)?;
            }
            if found.kind == ProofKind::Forge && !found.valid {
                session.say(format!(
                    "it is seen when one of its jobs runs `bpfpkg token exchange --namespace {namespace}`"
                ));
            }
        }
        ProofCommand::Remove { namespace, subject } => {
            let kind = match new(&subject)? {
                NewProof::Domain(_) => ProofKind::Domain,
                NewProof::Forge(_) => ProofKind::Forge,
            };
            registry.remove_proof(&namespace, kind, &subject).await?;
            session.say(format!("{subject} stands behind {namespace} no more"));
        }
        ProofCommand::List { namespace, format } => {
            let proofs = registry.proofs(&namespace).await?;
            if format.output == Format::Json {
                return Ok(output::json(&proofs)?);
            }
            let row = |proof: &Proof| {
                vec![
                    proof.kind.as_str().to_owned(),
                    proof.subject.clone(),
                    state(proof),
                ]
            };
            let rows: Vec<_> = proofs.iter().map(row).collect();
            output::table(&["KIND", "SUBJECT", "STATE"], &rows)?;
        }
    }
    Ok(())
}

fn new(subject: &str) -> Result<NewProof, Failure> {
    if !subject.starts_with("oidc:") {
        return Ok(NewProof::Domain(subject.to_owned()));
    }
    let pattern: Result<SignerPattern, String> = subject.parse();
    pattern.map(NewProof::Forge).map_err(|error| {
        Failure::usage(
            error,
            "write `oidc:https://issuer#pattern`, or a domain such as `example.org`",
        )
    })
}

fn state(proof: &Proof) -> String {
    let day = |at: &chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d").to_string();
    let seen = proof.proved_at.as_ref().map(day);
    let lapses = proof.lapses_at.as_ref().map(day).unwrap_or_default();
    match (proof.valid, seen, &proof.failure) {
        (true, Some(seen), None) => format!("seen on {seen}, counts until {lapses}"),
        (true, Some(seen), Some(failure)) => {
            format!("seen on {seen}, counts until {lapses}; since then: {failure}")
        }
        (_, Some(_), _) => format!("lapsed on {lapses}"),
        (_, None, Some(failure)) => format!("not shown yet: {failure}"),
        (_, None, None) => "not shown yet".to_owned(),
    }
}
