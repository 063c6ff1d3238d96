// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg info`.

use std::collections::BTreeSet;

use registry_schema::{
    Reference,
    api::{Deprecation, PackageDetail, VersionDetail},
    namespace_identity::Epoch,
    reference::Selector,
    review::Wait,
};

use crate::pull::resolve;

use super::{
    failure::Failure,
    inspect::describe_profile,
    output::{self, Format, FormatArg},
    search::signature,
    session::Session,
};

/// Show what a registry knows of a package or of one version
///
/// This is the registry's word. `bpfpkg verify` finds out for yourself.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The package, `[host/]namespace/name[:version]`
    reference: Reference,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let registry = session.connect(&session.registry_of(&args.reference)?)?;
    let name = &args.reference.package;
    let reference = resolve(&registry, &args.reference).await?;
    match &reference.selector {
        Selector::Version(version) => {
            let detail = registry.version(name, version).await?;
            if args.format.output == Format::Json {
                Ok(output::json(&detail)?)
            } else {
                show_version(&detail)
            }
        }
        Selector::Latest => {
            let detail = registry.package(name).await?;
            if args.format.output == Format::Json {
                Ok(output::json(&detail)?)
            } else {
                show_package(&detail)
            }
        }
        Selector::Range(range) => Err(Failure::usage(
            format!("`{range}` and a digest cannot both be shown"),
            "leave out one of them",
        )),
        Selector::Tag(tag) => Err(Failure::usage(
            format!("`{tag}` is a tag, and only versions are catalogued"),
            "name a version, or look at the tag with `bpfpkg inspect`",
        )),
    }
}

fn show_package(detail: &PackageDetail) -> Result<(), Failure> {
    let package = &detail.summary;
    output::fields(&[
        ("package", package.name.to_string()),
        ("summary", package.summary.clone()),
        ("latest", package.version.to_string()),
        ("licence", package.license.clone()),
        ("programs", package.program_types.join(", ")),
        ("pulls", package.pulls.to_string()),
        ("stars", package.stars.to_string()),
        ("signers", epoch(detail.epochs.last())),
    ])?;
    if let Some(advice) = &package.deprecated {
        output::line(format!("\n{}", deprecated(advice)))?;
    }
    output::line("")?;
    let rows: Vec<_> = detail
        .versions
        .iter()
        .map(|version| {
            let state = if version.pending.is_some() {
                "waits"
            } else if version.yanked {
                "yanked"
            } else if version.deprecated.is_some() {
                "deprecated"
            } else {
                signature(version.signature)
            };
            vec![
                version.version.to_string(),
                version.published_at.format("%Y-%m-%d").to_string(),
                state.to_owned(),
                version.digest.to_string(),
            ]
        })
        .collect();
    Ok(output::table(
        &["VERSION", "PUBLISHED", "STATE", "DIGEST"],
        &rows,
    )?)
}

/// Who vouches for a package, and since when.
fn epoch(epoch: Option<&Epoch>) -> String {
    let Some(epoch) = epoch else {
        return "nobody".to_owned();
    };
    let signers: Vec<_> = epoch.signers.iter().map(ToString::to_string).collect();
    let signers = if signers.is_empty() {
        "nobody".to_owned()
    } else {
        signers.join(", ")
    };
    let since = epoch.began_at.format("%Y-%m-%d");
    format!("{signers} since {since} (epoch {})", epoch.number)
}

fn deprecated(advice: &Deprecation) -> String {
    let message = &advice.message;
    match &advice.replacement {
        Some(replacement) => format!("deprecated: {message}; use {replacement} instead"),
        None => format!("deprecated: {message}"),
    }
}

fn stars(detail: &VersionDetail) -> String {
    let (stars, here) = (detail.stars, detail.version_stars);
    match detail.former_stars {
        0 => format!("{stars}, {here} on this version"),
        former => format!(
            "{stars}, {here} on this version ({former} earned under earlier signers, which count nothing)"
        ),
    }
}

/// Who signed a version, and whose signature does not count.
fn signers(detail: &VersionDetail) -> String {
    let signers: BTreeSet<_> = detail
        .signatures
        .iter()
        .map(|signature| {
            let key = match (signature.key, &signature.signer, &signature.reason) {
                (Some(key), ..) => key.to_string(),
                (None, Some(signer), _) => signer.to_string(),
                // The reason names an identity.
                (None, None, Some(reason)) => return reason.clone(),
                (None, None, None) => "a key it does not name".to_owned(),
            };
            match &signature.reason {
                _ if signature.registered => key,
                Some(reason) => format!("{key} ({reason})"),
                None => format!("{key} (not registered)"),
            }
        })
        .collect();
    if signers.is_empty() {
        "nobody".to_owned()
    } else {
        signers.into_iter().collect::<Vec<_>>().join(", ")
    }
}

fn show_version(detail: &VersionDetail) -> Result<(), Failure> {
    let package = &detail.manifest.package;
    let signed = signers(detail);
    let place = detail.place.as_ref();
    let size = format!("{} bytes", detail.size);
    output::fields(&[
        (
            "package",
            format!("{}:{}", detail.name, detail.summary.version),
        ),
        ("summary", package.summary.clone()),
        (
            "published",
            detail
                .summary
                .published_at
                .format("%Y-%m-%d %H:%M UTC")
                .to_string(),
        ),
        ("signed by", signed),
        (
            "trust level",
            format!("{}: {}", detail.level, detail.level_reasons.join("; ")),
        ),
        ("signers", epoch(detail.epoch.as_ref())),
        ("licence", package.license.clone()),
        (
            "source",
            package
                .repository
                .clone()
                .unwrap_or_else(|| "no source".to_owned()),
        ),
        ("digest", detail.summary.digest.to_string()),
        (
            "size",
            place.map_or_else(|| size.clone(), |place| format!("{size}, kept at {place}")),
        ),
        ("pulls", detail.summary.pulls.to_string()),
        ("stars", stars(detail)),
    ])?;
    if let Some(pending) = &detail.summary.pending {
        let waits = match pending.waits_for {
            Wait::Signature => format!(
                "waits: {} of {} signatures",
                pending.signers.len(),
                pending.threshold
            ),
            Wait::Review => "waits for a reviewer".to_owned(),
        };
        output::line(format!("\n{waits}; only publishers and reviewers see it"))?;
    }
    if let Some(revoked) = &detail.revoked {
        output::line(format!("\nREVOKED: {revoked}"))?;
    }
    if detail.summary.yanked {
        let reason = detail.summary.yank_reason.as_ref();
        let reason = reason.map_or("no reason is known", |reason| reason.as_str());
        output::line(format!("\nyanked: {reason}"))?;
    }
    if let Some(advice) = &detail.summary.deprecated {
        output::line(format!("\n{}", deprecated(advice)))?;
    }
    for target in &detail.profiles {
        output::line(format!("\nobject {} ({})", target.object, target.target))?;
        if let Some(profile) = &target.profile {
            describe_profile(profile)?;
        }
    }
    Ok(())
}
