// SPDX-License-Identifier: Apache-2.0
//! Who signed, since when, and what that is worth.

use registry_schema::api::{NamespaceKey, Signature, SignatureState, VersionDetail};

use crate::http::web::format::{self, Moment, Tone};

/// The first thing a page says about a version.
pub(super) struct Trust {
    pub(super) tone: Tone,
    pub(super) title: String,
    pub(super) signers: Vec<Signer>,
    pub(super) advice: String,
}

/// A key and what speaks for it.
pub(super) struct Signer {
    pub(super) fingerprint: String,
    pub(super) evidence: String,
}

impl Trust {
    pub(super) fn new(version: &VersionDetail, keys: &[NamespaceKey]) -> Self {
        let namespace = version.name.namespace();
        match version.summary.signature {
            SignatureState::Signed => Self {
                tone: Tone::Good,
                title: if version
                    .signatures
                    .iter()
                    .any(|one| one.registered && one.key.is_some())
                {
                    format!("Signed by a key of {namespace}")
                } else {
                    format!("Signed for {namespace} on an issuer’s word")
                },
                signers: distinct(version, true)
                    .map(|signature| known(signature, keys))
                    .collect(),
                advice: format!(
                    "The registry says so; you need not believe it. Compare the fingerprint with one that {namespace} \
                     gave you elsewhere, pin it once, and every later pull is checked against it."
                ),
            },
            SignatureState::Revoked => Self {
                tone: Tone::Bad,
                title: format!("Signed by an identity that {namespace} has revoked"),
                signers: distinct(version, false).map(unknown).collect(),
                advice: format!(
                    "{} Nodes that follow the revocations of this registry refuse the package.",
                    version
                        .signatures
                        .iter()
                        .find_map(|signature| signature.reason.clone())
                        .unwrap_or_default()
                ),
            },
            SignatureState::UnknownKey => Self {
                tone: Tone::Care,
                title: format!("Signed by a key that {namespace} has not registered"),
                signers: distinct(version, false).map(unknown).collect(),
                advice: format!(
                    "Anyone can sign anything. Nothing here ties this key to {namespace}; nodes refuse the package \
                     unless you pin the key yourself."
                ),
            },
            SignatureState::Unsigned => Self {
                tone: Tone::Bad,
                title: "Unsigned".to_owned(),
                signers: Vec::new(),
                advice: unsigned(version),
            },
        }
    }
}

fn unsigned(version: &VersionDetail) -> String {
    let refused = match version.signatures.len() {
        0 => "Nobody vouches for these bytes.".to_owned(),
        arrived => format!(
            "{} arrived, but none fits these bytes.",
            format::count(arrived as u64, "signature")
        ),
    };
    format!(
        "{refused} Clients and nodes refuse the package unless you allow unsigned packages explicitly."
    )
}

/// The signatures of one kind, one per key.
fn distinct(version: &VersionDetail, registered: bool) -> impl Iterator<Item = &Signature> {
    let all = &version.signatures;
    all.iter()
        .enumerate()
        .filter_map(move |(place, signature)| {
            let repeated = all[..place].iter().any(|one| {
                one.key == signature.key
                    && one.signer == signature.signer
                    && one.registered == registered
            });
            (signature.registered == registered && !repeated).then_some(signature)
        })
}

fn known(signature: &Signature, keys: &[NamespaceKey]) -> Signer {
    let key = keys
        .iter()
        .find(|key| Some(key.fingerprint) == signature.key);
    let signed = Moment::from(signature.received_at).day;
    let evidence = match key {
        Some(key) => format!(
            "In use since {}, registered by {}. It has signed {} here, this one on {signed}.",
            Moment::from(key.registered_at).day,
            key.registered_by,
            format::count(key.versions_signed, "version"),
        ),
        None => format!("It signed this version on {signed}."),
    };
    Signer {
        fingerprint: fingerprint(signature),
        evidence,
    }
}

fn unknown(signature: &Signature) -> Signer {
    let signed = Moment::from(signature.received_at).day;
    Signer {
        fingerprint: fingerprint(signature),
        evidence: format!("The signature arrived on {signed}."),
    }
}

fn fingerprint(signature: &Signature) -> String {
    match (signature.key, &signature.signer) {
        (Some(key), _) => key.to_string(),
        (None, Some(signer)) => signer.to_string(),
        (None, None) => "The signature names no key".to_owned(),
    }
}
