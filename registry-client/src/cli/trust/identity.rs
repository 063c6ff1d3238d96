// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg trust add --identity`.

use std::path::Path;

use registry_schema::{Namespace, trust::policy::SignerPattern};

use super::confirm;
use crate::{
    cli::{clock, failure::Failure, session::Session, verify_file},
    file,
    trust::TrustedIdentity,
    verify::signature::MAX_ROOT_BYTES,
};

/// Trusts subjects of an issuer.
pub(super) fn add(
    host: &str,
    namespace: Namespace,
    signer: &SignerPattern,
    sigstore_root: Option<&Path>,
    yes: bool,
    session: &Session,
) -> Result<(), Failure> {
    let mut store = session.trust()?;
    let document = match sigstore_root {
        Some(path) => {
            let bytes = file::read_bounded(path, MAX_ROOT_BYTES as u64)
                .map_err(|error| verify_file::refuse(path, &error))?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        None => None,
    };
    let vouched = document.is_some()
        || store
            .root_of(host)
            .is_some_and(|root| !root.signed().root().sigstore.is_empty());
    if !vouched {
        return Err(Failure::usage(
            format!(
                "nobody vouches for identities at `{host}`: no trust root is pinned for it that names a Sigstore root"
            ),
            format!("run `bpfpkg trust add {host}` first, or add `--sigstore-root FILE`"),
        ));
    }
    session.say(format!("namespace {namespace} of {host}:\n  {signer}"));
    if !yes {
        confirm(&format!(
            "Trust what whoever this is signs in namespace {namespace}?"
        ))?;
    }
    let now = Some(clock::now());
    let identity = TrustedIdentity::new(host, namespace, signer.clone(), document, now)?;
    if store.add_identity(identity) {
        session.say(format!("trusted: {signer}"));
    } else {
        session.say(format!("was trusted already: {signer}"));
    }
    Ok(store.save(&session.trust_path()?)?)
}
