// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg trust add HOST` and `bpfpkg trust rotate`: the trust root of a registry.

use std::path::Path;

use registry_schema::{
    Digest, exit,
    trust::root::{MAX_ROOT, SignedRoot},
};

use super::confirm;
use crate::{
    Explain as _,
    cli::{
        clock,
        failure::Failure,
        output,
        session::{Session, memory},
        verify_file,
    },
    file,
    layout::Layout,
    trust::{RefreshError, TrustedRoot, refresh},
};

/// Pins the trust root of a registry.
pub(super) async fn add(
    host: &str,
    from: Option<&Path>,
    digest: Option<&Digest>,
    yes: bool,
    session: &Session,
) -> Result<(), Failure> {
    let mut store = session.trust()?;
    let bytes = match from {
        Some(path) => read(path, host)?,
        None => session.connect(host)?.trust_root(None).await?.ok_or_else(|| {
            Failure::new("trust::no_root", format!("`{host}` has published no trust root"))
                .with_help("ask its operator for one; keys of namespaces can be trusted without: `bpfpkg trust add NAMESPACE`")
                .with_exit(exit::NOT_FOUND)
        })?,
    };
    let refused = |error| Failure::from(RefreshError::Root(error));
    let signed = SignedRoot::open(&bytes).map_err(refused)?;
    signed.check_registry(host).map_err(refused)?;
    signed.check_current(clock::now()).map_err(refused)?;
    if let Some(wanted) = digest.filter(|wanted| **wanted != signed.digest()) {
        return Err(Failure::new(
            "trust::other_root",
            format!("the trust root is {}, not {wanted}", signed.digest()),
        )
        .with_help("do not trust it; ask the registry's operator")
        .with_exit(exit::VERIFICATION));
    }
    if let Some(pinned) = store.root_of(host) {
        if *pinned.signed() == signed {
            session.say(format!("was trusted already: {}", signed.digest()));
            return Ok(());
        }
        if pinned.signed().check_next(&signed).is_err() {
            return Err(Failure::usage(
                format!(
                    "another trust root is pinned for `{host}`, and this one does not follow it"
                ),
                format!(
                    "`bpfpkg trust rotate {host}` goes on from the pinned one; to begin anew, run `bpfpkg trust remove {host}` first"
                ),
            ));
        }
    }
    describe(&signed, session);
    if !yes {
        confirm(
            "Trust this root? Compare its digest with the one that the registry's operator tells you.",
        )?;
    }
    let said = format!("trusted: {}", signed.digest());
    store.pin(TrustedRoot::new(signed, Some(clock::now()))?);
    store.save(&session.trust_path()?)?;
    session.say(said);
    Ok(())
}

/// Reads a root from a file of its own or from an exported archive.
fn read(path: &Path, host: &str) -> Result<Vec<u8>, Failure> {
    if let Ok(layout) = Layout::open(path) {
        return layout.trust_roots(host)?.pop().ok_or_else(|| {
            let message = format!("`{}` holds no trust root of `{host}`", path.display());
            Failure::new("trust::no_root", message)
                .with_help("export it again from a machine where the root is pinned")
                .with_exit(exit::NOT_FOUND)
        });
    }
    file::read_bounded(path, MAX_ROOT as u64).map_err(|error| verify_file::refuse(path, &error))
}

fn describe(signed: &SignedRoot, session: &Session) {
    let root = signed.root();
    session.say(format!(
        "trust root of {}, version {}, until {}:",
        root.registry,
        root.version,
        root.expires_at.format("%Y-%m-%d")
    ));
    session.say(format!("  {}", signed.digest()));
    session.say(format!("  {} of these keys may change it:", root.threshold));
    for key in signed.fingerprints() {
        session.say(format!("    {key}"));
    }
    if let Some(log) = &root.log {
        session.say(format!("  publish log {}", output::printable(&log.origin)));
    }
    if let Some((keys, needed)) = signed.revocation_keys() {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| key.fingerprint().to_string())
            .collect();
        session.say(format!("  {needed} of {} may revoke", keys.join(", ")));
    }
    for issuer in &root.issuers {
        session.say(format!("  believes issuer {}", output::printable(issuer)));
    }
    if !root.sigstore.is_empty() {
        let count = root.sigstore.len();
        session.say(format!("  Sigstore roots for keyless signatures: {count}"));
    }
}

/// Goes on to the newest root of one registry, or of all.
pub(super) async fn rotate(registry: Option<String>, session: &Session) -> Result<(), Failure> {
    let mut store = session.trust()?;
    let all = store.roots().iter().map(|root| root.registry().to_owned());
    let mut hosts: Vec<_> = all.collect();
    if let Some(named) = registry {
        if !hosts.contains(&named) {
            return Err(Failure::new(
                "trust::no_root",
                format!("no trust root is pinned for `{named}`"),
            )
            .with_help(format!("run `bpfpkg trust add {named}`"))
            .with_exit(exit::NOT_FOUND));
        }
        hosts = vec![named];
    }
    let memory = memory()?;
    let mut failed = None;
    for host in hosts {
        let registry = session.connect(&host)?;
        let refreshed = refresh(&registry, &mut store, &memory, clock::now()).await;
        store.save(&session.trust_path()?)?;
        let version = store
            .root_of(&host)
            .map(|root| root.signed().root().version);
        session.say(match (refreshed.root, version) {
            (Some(version), _) => format!("{host}: went on to version {version}"),
            (None, Some(version)) => format!("{host}: version {version} stays"),
            (None, None) => format!("{host}: nothing is pinned"),
        });
        for problem in refreshed.problems {
            session.say(format!("{host}: {problem} [{}]", problem.code()));
            failed = failed.or(Some(problem));
        }
    }
    match failed {
        Some(problem) => Err(problem.into()),
        None => Ok(()),
    }
}
