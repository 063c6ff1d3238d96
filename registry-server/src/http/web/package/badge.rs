// SPDX-License-Identifier: Apache-2.0
//! Badges, each with its reason. All are computed from the package; none can be claimed.

use registry_schema::api::{SignatureState, VersionDetail};
use registry_schema::manifest::Weave;
use registry_schema::profile::{ObjectProfile, Severity};

use crate::http::web::format::{self, Tone};

/// A statement that was checked, and why it came out so.
pub(super) struct Badge {
    pub(super) tone: Tone,
    pub(super) word: String,
    pub(super) why: String,
}

fn badge(tone: Tone, word: &str, why: impl Into<String>) -> Badge {
    Badge {
        tone,
        word: word.to_owned(),
        why: why.into(),
    }
}

/// The row of badges.
pub(super) fn badges(version: &VersionDetail, profile: Option<&ObjectProfile>) -> Vec<Badge> {
    let mut row = vec![signature(version), checked(version)];
    row.extend(profile.map(portable));
    row.extend(chains(version));
    row.push(source(version));
    if version.summary.version.is_prerelease() {
        row.push(badge(
            Tone::Care,
            "Pre-release",
            "the publisher does not call it stable",
        ));
    }
    row
}

fn signature(version: &VersionDetail) -> Badge {
    let namespace = version.name.namespace();
    match version.summary.signature {
        SignatureState::Signed => badge(Tone::Good, "Signed", format!("by {namespace}")),
        SignatureState::Revoked => badge(
            Tone::Bad,
            "Revoked",
            format!("by an identity that {namespace} has revoked"),
        ),
        SignatureState::UnknownKey => badge(
            Tone::Care,
            "Unknown key",
            format!("not registered for {namespace}"),
        ),
        SignatureState::Unsigned => badge(Tone::Bad, "Unsigned", "nobody vouches for it"),
    }
}

fn checked(version: &VersionDetail) -> Badge {
    let findings = || version.profiles.iter().flat_map(|target| &target.findings);
    let count = |severity| {
        findings()
            .filter(|finding| finding.severity == severity)
            .count() as u64
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if errors > 0 {
        badge(
            Tone::Bad,
            "Checked",
            format!("{} against the manifest", format::count(errors, "error")),
        )
    } else if warnings > 0 {
        badge(Tone::Care, "Checked", format::count(warnings, "warning"))
    } else {
        badge(
            Tone::Good,
            "Checked",
            "objects hold what the manifest declares",
        )
    }
}

fn portable(profile: &ObjectProfile) -> Badge {
    match (profile.btf, profile.core_fields.len()) {
        (false, _) => badge(Tone::Care, "No BTF", "tied to the kernel it was built for"),
        (true, 0) => badge(
            Tone::Good,
            "Portable",
            "has BTF and reads no kernel structures",
        ),
        (true, fields) => badge(
            Tone::Good,
            "Portable",
            format!(
                "CO-RE: {} found at load",
                format::count(fields as u64, "kernel field")
            ),
        ),
    }
}

fn chains(version: &VersionDetail) -> Option<Badge> {
    let programs = &version.manifest.programs;
    programs
        .iter()
        .any(|program| program.program_type.chains())
        .then(|| match version.manifest.weave {
            Weave::Allow => badge(Tone::Good, "Chains", "runs before or after other programs"),
            Weave::Deny => badge(
                Tone::Plain,
                "Alone",
                "its publisher does not want it in a chain",
            ),
        })
}

fn source(version: &VersionDetail) -> Badge {
    match &version.manifest.package.repository {
        Some(_) => badge(
            Tone::Plain,
            "Source",
            "linked by the publisher, not compared",
        ),
        None => badge(
            Tone::Care,
            "No source",
            "only the compiled programs are published",
        ),
    }
}
