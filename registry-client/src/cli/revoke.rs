// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg revoke`.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use registry_schema::{
    Reference,
    trust::revocation::{NewRevocation, Reason, Subject},
};

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};

/// Say that a key, a digest or a version counts no more
///
/// It reaches everybody who trusts the registry's root, also those who run it already. It
/// cannot be taken back.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `namespace/name:version`, `sha256:…`, `key:SHA256:…` or `oidc:issuer#subject`
    subject: What,
    /// Why: `compromised`, `superseded`, `malicious` or `defective`
    #[arg(long)]
    reason: Reason,
    /// What there is to say about it
    #[arg(long, default_value = "", value_name = "TEXT")]
    note: String,
    /// From when on, as in 2026-11-21T08:00:00Z; now if absent
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
    /// You know that it cannot be taken back
    #[arg(long, short, required = true)]
    yes: bool,
    #[command(flatten)]
    format: FormatArg,
}

/// What is revoked, at which registry.
#[derive(Debug, Clone)]
struct What {
    registry: Option<String>,
    subject: Subject,
}

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(subject) = text.parse() {
            let registry = None;
            return Ok(Self { registry, subject });
        }
        let reference: Reference = text.parse().map_err(|_| {
            "write `namespace/name:version`, `sha256:…`, `key:SHA256:…` or `oidc:issuer#subject`"
                .to_owned()
        })?;
        let version = reference.version().cloned();
        let version = version.ok_or("name the version: `namespace/name:version`")?;
        Ok(Self {
            registry: reference.registry,
            subject: Subject::Version(reference.package, version),
        })
    }
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let What { registry, subject } = args.subject.clone();
    let host = registry.map_or_else(|| session.default_registry(), Ok)?;
    let new = NewRevocation {
        subject,
        at: args.at,
        reason: args.reason,
        note: args.note.clone(),
    };
    let revoked = session.connect(&host)?.revoke(&new).await?;
    if args.format.output == Format::Json {
        return Ok(output::json(&revoked)?);
    }
    session.say(format!("{host}: {revoked}"));
    Ok(())
}
