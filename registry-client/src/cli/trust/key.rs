// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg trust add` for the keys of a namespace.

use std::path::Path;

use registry_schema::{
    Namespace, api::NamespaceKey, exit, namespace_identity::AcceptedContinuity,
    signature::Fingerprint,
};

use super::confirm;
use crate::{
    cli::{clock, failure::Failure, namespace::read_public_key, session::Session},
    registry::Registry,
    trust::{TrustStore, TrustedKey},
    vouch::vouched_by,
};

/// Trusts the keys that the registry names, or the one in `file`.
pub(super) async fn add(
    host: &str,
    namespace: &Namespace,
    file: Option<&Path>,
    fingerprint: Option<Fingerprint>,
    yes: bool,
    session: &Session,
) -> Result<(), Failure> {
    let mut store = session.trust()?;
    let now = clock::now();
    let mut keys = Vec::new();
    if let Some(path) = file {
        let pem = read_public_key(path)?.to_pem();
        session.say(format!("namespace {namespace} of {host}:"));
        let key = TrustedKey::new(host, namespace.clone(), &pem, Some(now))?;
        session.say(format!(
            "  {}\n      from file {}",
            key.fingerprint(),
            path.display()
        ));
        keys.push(key);
    } else {
        let registry = session.connect(host)?;
        let mut registered = registry.keys(namespace).await?;
        registered.retain(|key| key.revoked.is_none());
        let statements = statements(&registry, &store, namespace).await?;
        session.say(format!("namespace {namespace} of {host}:"));
        for entry in &registered {
            let key = TrustedKey::new(host, namespace.clone(), &entry.pem, Some(now))?;
            // The fingerprint is that of the key, whatever the registry says it is.
            session.say(format!(
                "  {}\n      {}",
                key.fingerprint(),
                evidence(entry)
            ));
            if let Some(old) = named_by(&statements, &store, &key) {
                session.say(format!(
                    "      named as its successor by {old}, which you trust"
                ));
            }
            keys.push(key);
        }
    }
    if let Some(wanted) = fingerprint {
        keys.retain(|key| key.fingerprint() == wanted);
    }
    if keys.is_empty() {
        let message = match fingerprint {
            Some(wanted) => format!("namespace `{namespace}` of `{host}` has no key {wanted}"),
            None => format!("namespace `{namespace}` of `{host}` has registered no key"),
        };
        return Err(Failure::new("trust::no_key", message)
            .with_help("ask the publisher for the public key, and add it with `--key FILE`; `bpfpkg namespace identity list` shows who signs without one, for `--identity`")
            .with_exit(exit::NOT_FOUND));
    }
    if !yes {
        confirm(&format!(
            "Trust what {} signs in namespace {}? Compare the fingerprint with the publisher's.",
            these(keys.len()),
            namespace
        ))?;
    }
    for key in keys {
        let fingerprint = key.fingerprint();
        if store.add(key) {
            session.say(format!("trusted: {fingerprint}"));
        } else {
            session.say(format!("was trusted already: {fingerprint}"));
        }
    }
    Ok(store.save(&session.trust_path()?)?)
}

/// Who was named as successor in the namespace: asked for if somebody is trusted there.
async fn statements(
    registry: &Registry,
    store: &TrustStore,
    namespace: &Namespace,
) -> Result<Vec<AcceptedContinuity>, Failure> {
    if store.keys_for(registry.host(), namespace).next().is_none() {
        return Ok(Vec::new());
    }
    Ok(registry.continuity(namespace).await?)
}

/// The trusted key that has named this one, by a statement that it signed.
fn named_by(
    statements: &[AcceptedContinuity],
    store: &TrustStore,
    key: &TrustedKey,
) -> Option<Fingerprint> {
    let (host, namespace) = (key.registry(), key.namespace());
    let keys = store.keys_for(host, namespace);
    let keys: Vec<_> = keys.map(|known| known.key().clone()).collect();
    vouched_by(
        statements,
        &keys,
        host,
        namespace,
        &key.fingerprint().into(),
    )
}

/// What speaks for a key.
fn evidence(key: &NamespaceKey) -> String {
    let unit = if key.versions_signed == 1 {
        "version"
    } else {
        "versions"
    };
    let who: String = key
        .registered_by
        .chars()
        .filter(|c| !c.is_control())
        .take(64)
        .collect();
    format!(
        "registered {} by {who}; signed {} {unit}",
        key.registered_at.format("%Y-%m-%d"),
        key.versions_signed
    )
}

fn these(count: usize) -> String {
    if count == 1 {
        "this key".to_owned()
    } else {
        format!("these {count} keys")
    }
}
