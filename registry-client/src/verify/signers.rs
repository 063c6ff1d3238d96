// SPDX-License-Identifier: Apache-2.0
//! Who signed, and who of them counts.

use std::collections::BTreeMap;

use registry_schema::{Identity, signature::PublicKey, trust::policy::Mode};

use super::{
    Examination, Link, Report, VerifyError,
    signature::{self, SignatureFault, Signer},
};

/// Signers in words; `nobody` if there are none.
pub(super) fn in_words(signers: &[Signer]) -> String {
    if signers.is_empty() {
        return "nobody".to_owned();
    }
    let names: Vec<_> = signers
        .iter()
        .map(|signer| name(&signer.identity))
        .collect();
    names.join(" and ")
}

/// A key is known by its fingerprint alone; an identity needs its kind before it.
fn name(identity: &Identity) -> String {
    match identity {
        Identity::Key(key) => key.to_string(),
        Identity::Oidc(oidc) => format!("{} ({})", oidc.subject(), oidc.issuer()),
    }
}

/// What all signatures of a package came to.
#[derive(Default)]
struct Verdicts {
    /// Those who count; each once, however often they signed.
    counting: BTreeMap<Identity, Signer>,
    /// Those who do not, in words.
    strangers: Vec<String>,
    /// The first signature that is damaged, or forged in the name of somebody known.
    broken: Option<SignatureFault>,
}

/// Judges all signatures. Gives those who count: as many as are demanded, or fewer where the
/// policy lets unsigned packages pass.
pub(super) fn judge(
    examination: &Examination<'_>,
    report: &mut Report,
) -> Result<Vec<Signer>, VerifyError> {
    let Examination {
        fetched,
        asked,
        demands,
        ..
    } = examination;
    let verdicts = verdicts(examination)?;
    let found = verdicts.counting.len();
    if found >= examination.threshold() {
        let signers: Vec<_> = verdicts.counting.into_values().collect();
        let unit = if found == 1 { "signer" } else { "signers" };
        report.held(
            Link::Signers,
            format!(
                "{}; {} {unit} demanded",
                in_words(&signers),
                demands.threshold.value
            ),
        );
        return Ok(signers);
    }
    let package = asked.package.clone();
    if let Some(reason) = verdicts.broken {
        let reason = Box::new(reason);
        return Err(VerifyError::Signature { package, reason });
    }
    if demands.mode.value == Mode::Normal {
        report.skipped(
            Link::Signers,
            &format!(
                "signed by nobody who counts ({}); the policy lets unsigned packages pass",
                words(&verdicts.strangers)
            ),
        );
        return Ok(verdicts.counting.into_values().collect());
    }
    if found > 0 {
        let signers: Vec<_> = verdicts.counting.into_values().collect();
        return Err(VerifyError::Threshold {
            package,
            found,
            needed: demands.threshold.value,
            signers: in_words(&signers),
        });
    }
    Err(refusal(
        examination,
        &fetched.signatures,
        &verdicts.strangers,
    ))
}

fn words(strangers: &[String]) -> String {
    if strangers.is_empty() {
        "unsigned".to_owned()
    } else {
        strangers.join(", ")
    }
}

/// Why nobody counts.
fn refusal(
    examination: &Examination<'_>,
    signatures: &[crate::pull::FetchedSignature],
    strangers: &[String],
) -> VerifyError {
    let Examination { fetched, asked, .. } = examination;
    let package = asked.package.clone();
    if signatures.is_empty() {
        return VerifyError::Unsigned {
            package,
            digest: fetched.digest(),
        };
    }
    let (signers, trusted) = (strangers.join(", "), trusted(examination));
    if trusted.is_empty() {
        return VerifyError::NobodyTrusted {
            namespace: package.namespace().to_string(),
            package,
            registry: asked.registry.clone(),
            signers,
        };
    }
    VerifyError::UntrustedSigner {
        package,
        signers,
        trusted: trusted.join(", "),
    }
}

/// Those who would count, in words.
fn trusted(examination: &Examination<'_>) -> Vec<String> {
    let (asked, trust) = (examination.asked, &examination.basis.trust);
    if let Some(patterns) = &examination.demands.signers.value {
        return patterns.iter().map(ToString::to_string).collect();
    }
    let namespace = asked.package.namespace();
    let keys = trust.keys_for(&asked.registry, namespace);
    let keys = keys.map(|key| key.fingerprint().to_string());
    let identities = trust.identities_for(&asked.registry, namespace);
    keys.chain(identities.map(|one| one.signer().to_string()))
        .collect()
}

fn verdicts(examination: &Examination<'_>) -> Result<Verdicts, VerifyError> {
    let Examination { fetched, asked, .. } = examination;
    let keys = keys(examination);
    let namespace = asked.package.namespace();
    let roots = examination
        .basis
        .trust
        .sigstore_roots(&asked.registry, namespace)?;
    let mut verdicts = Verdicts::default();
    for found in &fetched.signatures {
        match signature::judge(found, &fetched.digest(), &keys, &roots) {
            Ok(signer) if counts(examination, &signer.identity) => {
                let entry = verdicts.counting.entry(signer.identity.clone());
                // Of several signatures by one, the one that is proven to be older says more.
                let older = |known: &mut Signer| {
                    let earlier = match (known.signed_at, signer.signed_at) {
                        (Some(known), Some(new)) => new < known,
                        (None, Some(_)) => true,
                        (_, None) => false,
                    };
                    if earlier {
                        known.clone_from(&signer);
                    }
                };
                entry.and_modify(older).or_insert_with(|| signer.clone());
            }
            Ok(signer) => verdicts.strangers.push(name(&signer.identity)),
            // Not a fault: it is simply somebody else's signature.
            Err(SignatureFault::UnknownKey { named }) => {
                let nameless = || "a key it does not name".to_owned();
                let stranger = named.map_or_else(nameless, |key| key.to_string());
                verdicts.strangers.push(stranger);
            }
            Err(
                fault @ (SignatureFault::NoRoot
                | SignatureFault::UntrustedCertificate(_)
                | SignatureFault::UnknownLog(_)),
            ) => verdicts
                .strangers
                .push(format!("somebody unknown ({fault})")),
            Err(fault) => verdicts.broken = verdicts.broken.or(Some(fault)),
        }
    }
    Ok(verdicts)
}

/// The keys that a signature may be checked with. A rule of the policy may name any key
/// that the trust file holds.
fn keys(examination: &Examination<'_>) -> Vec<PublicKey> {
    let (asked, trust) = (examination.asked, &examination.basis.trust);
    let Some(patterns) = &examination.demands.signers.value else {
        let keys = trust.keys_for(&asked.registry, asked.package.namespace());
        return keys.map(|key| key.key().clone()).collect();
    };
    let named = |key: &PublicKey| {
        let identity = key.fingerprint().into();
        patterns.iter().any(|pattern| pattern.matches(&identity))
    };
    let keys = trust.keys().iter().map(|key| key.key().clone());
    keys.filter(named).collect()
}

/// Whether a signature of `identity` counts: the policy says so or, where it does not, the
/// trust file; and the issuer is one that the registry's trust root names, if it names any.
fn counts(examination: &Examination<'_>, identity: &Identity) -> bool {
    let asked = examination.asked;
    let named = match &examination.demands.signers.value {
        Some(patterns) => patterns.iter().any(|pattern| pattern.matches(identity)),
        None => {
            examination
                .basis
                .trust
                .accepts(&asked.registry, asked.package.namespace(), identity)
        }
    };
    let issuers = examination
        .root
        .map_or(&[][..], |root| &root.signed().root().issuers);
    let issuer_fits = match identity {
        Identity::Oidc(oidc) => {
            issuers.is_empty() || issuers.iter().any(|issuer| issuer == oidc.issuer())
        }
        Identity::Key(_) => true,
    };
    named && issuer_fits
}
