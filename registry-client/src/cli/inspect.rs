// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg inspect`.

use std::path::{Path, PathBuf};

use registry_schema::{
    Digest, PackageManifest, Reference,
    profile::{Finding, ObjectProfile, Severity},
};
use registry_schema::{exit, signature::Fingerprint};
use serde_json::json;

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::{
    build::{BuildError, read_object},
    pull::{FetchedPackage, PullError, Target, fetch},
    verify::read_signature,
};

/// Show what an object can do, derived from its bytes alone
///
/// For a package, object and manifest are compared as well. Nothing is believed and
/// nothing is verified: that is `bpfpkg verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An object file, or a package `[host/]namespace/name[:version]`
    what: String,
    /// Which object of a package: `bpfel`, `bpfeb` or `os/arch`
    #[arg(long, value_name = "TARGET")]
    target: Option<Target>,
    /// Exit with 22 if a finding is at least this grave
    #[arg(long, value_enum, default_value_t = Grade::Error, value_name = "SEVERITY")]
    fail_on: Grade,
    #[command(flatten)]
    format: FormatArg,
}

/// How grave a finding is
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Grade {
    /// Worth knowing
    Note,
    /// Worth mending
    Warning,
    /// The package is refused
    Error,
}

/// What was looked at.
struct Subject {
    name: String,
    bytes: Vec<u8>,
    manifest: Option<PackageManifest>,
    signers: Vec<Option<Fingerprint>>,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let subject = match file_named(&args.what) {
        Some(path) => Subject {
            name: args.what.clone(),
            bytes: read_object(&path)?,
            manifest: None,
            signers: Vec::new(),
        },
        None => from_registry(args, session).await?,
    };
    let profile = bpf_object::inspect(&subject.bytes).map_err(|source| BuildError::Object {
        path: subject.name.clone().into(),
        source,
    })?;
    let findings = subject
        .manifest
        .as_ref()
        .map(|manifest| bpf_object::check(manifest, &profile))
        .unwrap_or_default();
    show(args.format.output, &subject, &profile, &findings)?;
    let threshold = match args.fail_on {
        Grade::Note => Severity::Note,
        Grade::Warning => Severity::Warning,
        Grade::Error => Severity::Error,
    };
    if findings.iter().any(|finding| finding.severity >= threshold) {
        return Err(Failure::silent(exit::FINDINGS));
    }
    Ok(())
}

/// Whether a text means a file: one that exists, or that can be nothing else.
pub(super) fn file_named(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let only_a_file = text.starts_with(['/', '.'])
        || path.extension().is_some_and(|extension| extension == "o")
        || text.parse::<Reference>().is_err();
    (path.is_file() || only_a_file).then(|| path.to_owned())
}

async fn from_registry(args: &Args, session: &Session) -> Result<Subject, Failure> {
    let reference: Reference =
        args.what
            .parse()
            .map_err(|error: registry_schema::reference::ReferenceError| {
                Failure::usage(error.to_string(), "name a file or a package")
            })?;
    let registry = session.connect(&session.registry_of(&reference)?)?;
    let target = args.target.clone().unwrap_or_else(Target::native);
    let FetchedPackage {
        config,
        object,
        signatures,
        ..
    } = fetch(&registry, &reference, target).await?;
    let manifest = PackageManifest::from_json(&config.0).map_err(|error| PullError::Malformed {
        which: "config",
        reference: reference.to_string(),
        reason: error.to_string(),
    })?;
    let signers = signatures
        .iter()
        .filter_map(|s| read_signature(s).ok())
        .map(|bundle| bundle.key())
        .collect();
    Ok(Subject {
        name: format!("{}:{}", manifest.package.name, manifest.package.version),
        bytes: object.0,
        manifest: Some(manifest),
        signers,
    })
}

fn show(
    format: Format,
    subject: &Subject,
    profile: &ObjectProfile,
    findings: &[Finding],
) -> Result<(), Failure> {
    let digest = Digest::sha256(&subject.bytes);
    if format == Format::Json {
        return Ok(output::json(&json!({
            "name": subject.name,
            "digest": digest,
            "profile": profile,
            "findings": findings,
            "claimed_signers": subject.signers,
        }))?);
    }
    output::line(format!("{} ({digest})", subject.name))?;
    describe_profile(profile)?;
    for signer in &subject.signers {
        let signer = signer.map_or_else(
            || "a key it does not name".to_owned(),
            |key| key.to_string(),
        );
        output::line(format!("claims to be signed by {signer}; not verified"))?;
    }
    for finding in findings {
        let severity = match finding.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        output::line(format!(
            "{severity} [{}]: {}; {}",
            finding.code, finding.message, finding.fix
        ))?;
    }
    Ok(())
}

/// Writes a profile: what the object can do in words, then programs and maps.
pub(super) fn describe_profile(profile: &ObjectProfile) -> Result<(), Failure> {
    let floor = profile.kernel_floor.as_ref();
    let order = if profile.little_endian {
        "little-endian"
    } else {
        "big-endian"
    };
    let btf = if profile.btf {
        "with BTF"
    } else {
        "without BTF"
    };
    output::fields(&[
        ("size", format!("{} bytes, {order}, {btf}", profile.size)),
        (
            "licence",
            profile.license.clone().unwrap_or_else(|| "none".to_owned()),
        ),
        (
            "kernel",
            floor.map_or_else(
                || "any that has its program types".to_owned(),
                |floor| format!("{} or newer ({})", floor.version, floor.reason),
            ),
        ),
        (
            "map memory",
            format!("{} bytes per CPU at most", profile.map_memory),
        ),
    ])?;
    for privilege in &profile.privileges {
        let mark = if privilege.is_red() { "!" } else { "-" };
        output::line(format!("{mark} can {}", privilege.sentence()))?;
    }
    let programs: Vec<_> = profile
        .programs
        .iter()
        .map(|program| {
            let kind = program
                .suggested_type
                .map_or_else(|| program.section.clone(), |kind| kind.to_string());
            let attach = program.suggested_attach.clone().unwrap_or_default();
            vec![
                program.function.clone(),
                kind,
                attach,
                program.instructions.to_string(),
                program.helpers.join(" "),
            ]
        })
        .collect();
    output::line("")?;
    output::table(
        &["PROGRAM", "TYPE", "ATTACH", "INSTRUCTIONS", "HELPERS"],
        &programs,
    )?;
    if profile.maps.is_empty() {
        return Ok(());
    }
    let maps: Vec<_> = profile
        .maps
        .iter()
        .map(|map| {
            vec![
                map.name.clone(),
                map.map_type.clone(),
                map.key_size.to_string(),
                map.value_size.to_string(),
                map.max_entries.to_string(),
            ]
        })
        .collect();
    output::line("")?;
    Ok(output::table(
        &["MAP", "TYPE", "KEY", "VALUE", "ENTRIES"],
        &maps,
    )?)
}
