// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg verify`.

use serde_json::json;

use super::{
    failure::Failure,
    fetching::PackageArgs,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::verify::{Check, Link, Outcome, Report};

/// Say whether a package is what it claims to be, signed by someone you trust
///
/// The chain that is checked: the registry's trust root, signers, index, package manifest,
/// name and version, object, publish log, revocations, versions seen before.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    package: PackageArgs,
    /// Show each link of the chain: what was checked, what was not, and why
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    if args.explain {
        return explain(args, session).await;
    }
    let fetched = args.package.fetch_verified(session).await?;
    let verified = fetched.verified;
    if args.format.output == Format::Json {
        return Ok(output::json(&json!({
            "registry": verified.registry,
            "package": verified.package(),
            "version": verified.version(),
            "target": verified.target,
            "digest": verified.digest,
            "object": verified.object_digest,
            "signer": verified.signed_by(),
            "signers": verified.signers,
            "level": verified.level,
        }))?);
    }
    Ok(output::fields(&[
        (
            "verified",
            format!("{}:{}", verified.package(), verified.version()),
        ),
        ("registry", verified.registry.clone()),
        ("signed by", verified.signed_by()),
        (
            "trust level",
            format!("{}, {}", verified.level, verified.level.word()),
        ),
        ("digest", verified.digest.to_string()),
        (
            "object",
            format!(
                "{} ({}, {} bytes)",
                verified.object_digest,
                verified.target,
                verified.object.0.len()
            ),
        ),
    ])?)
}

/// Shows the whole chain, whether it holds or not; the error tells that it does not.
async fn explain(args: &Args, session: &Session) -> Result<(), Failure> {
    let examined = args.package.fetch_examined(session).await?;
    match args.format.output {
        Format::Json => output::json(&examined.report)?,
        Format::Text => describe(&examined.report)?,
    }
    examined.accept()?;
    Ok(())
}

fn describe(report: &Report) -> Result<(), Failure> {
    let width = report.checks.iter().map(|check| name(check).len()).max();
    for check in &report.checks {
        let (mark, prefix) = match check.outcome {
            Outcome::Held => ('✓', ""),
            Outcome::NotChecked => ('–', "not checked: "),
            Outcome::Broke => ('✗', ""),
        };
        let (name, width) = (name(check), width.unwrap_or(0));
        output::line(format!("{mark} {name:width$}  {prefix}{}", check.detail))?;
    }
    let broke = |check: &Check| check.outcome == Outcome::Broke;
    let verdict = if report.checks.iter().any(broke) {
        "refused".to_owned()
    } else {
        format!("trust level {}, {}", report.level, report.level.word())
    };
    Ok(output::line(format!(
        "{} {} of {}: {verdict}; checked {} UTC by {}",
        report.package,
        report.digest,
        report.registry,
        report.checked_at.format("%Y-%m-%d %H:%M:%S"),
        report.checked_by,
    ))?)
}

fn name(check: &Check) -> &'static str {
    check.link.map_or("trust", Link::as_str)
}
