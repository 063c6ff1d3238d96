// SPDX-License-Identifier: Apache-2.0
//! Whom to believe for this once: keys, or identities under a Sigstore root.

use std::path::PathBuf;

use clap::ValueHint;
use registry_schema::{Identity, signature::PublicKey};

use super::{failure::Failure, namespace::read_public_key, verify_file};
use crate::{
    file,
    verify::signature::{MAX_ROOT_BYTES, Roots, Signer},
};

/// Whom to believe
#[derive(Debug, clap::Args)]
pub(super) struct BelievingArgs {
    /// Public key of the signer; may be repeated
    #[arg(long = "key", value_name = "FILE", value_hint = ValueHint::FilePath)]
    keys: Vec<PathBuf>,
    /// Root of the Sigstore instance (`trusted_root.json`) that a keyless signature was
    /// made with; may be repeated
    #[arg(
        long = "sigstore-root",
        env = "BPFPKG_SIGSTORE_ROOTS",
        value_name = "FILE",
        value_delimiter = ',',
        value_hint = ValueHint::FilePath
    )]
    roots: Vec<PathBuf>,
    /// Who signed keyless: the e-mail address or URI in the certificate
    #[arg(long, value_name = "SUBJECT", requires = "issuer")]
    identity: Option<String>,
    /// The issuer that knows the identity, by its URL
    #[arg(long, value_name = "URL", requires = "identity")]
    issuer: Option<String>,
}

impl BelievingArgs {
    /// The keys and roots.
    pub(super) fn load(&self) -> Result<(Vec<PublicKey>, Roots), Failure> {
        if self.keys.is_empty() && self.identity.is_none() {
            return Err(Failure::usage(
                "nobody is named who is to be believed",
                "add `--key FILE`, or `--sigstore-root FILE --identity SUBJECT --issuer URL`",
            ));
        }
        let keys = self.keys.iter().map(|path| read_public_key(path));
        let mut documents = Vec::new();
        for path in &self.roots {
            let document = file::read_bounded(path, MAX_ROOT_BYTES as u64)
                .map_err(|error| verify_file::refuse(path, &error))?;
            Roots::parse([&document]).map_err(|error| {
                Failure::usage(
                    format!("`{}`: {error}", path.display()),
                    "name the `trusted_root.json` of a Sigstore instance",
                )
            })?;
            documents.push(document);
        }
        let keys = keys.collect::<Result<_, _>>()?;
        let roots = Roots::parse(documents)
            .map_err(|error| Failure::usage(error.to_string(), "name another root"))?;
        Ok((keys, roots))
    }

    /// Whether this is somebody who is to be believed. A key that fits was named.
    pub(super) fn accepts(&self, signer: &Signer) -> bool {
        match &signer.identity {
            Identity::Key(_) => true,
            Identity::Oidc(oidc) => {
                self.identity.as_deref() == Some(oidc.subject())
                    && self.issuer.as_deref() == Some(oidc.issuer())
            }
        }
    }
}
