// SPDX-License-Identifier: Apache-2.0
//! Signing with a key pair or keyless, in the forms that cosign writes and reads: a v0.3
//! bundle that refers to the index, and a simple-signing payload under its `.sig` tag.

mod key;
mod keyless;

use std::{io, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use registry_schema::{
    Digest,
    canonical::{self, CanonicalError},
    exit, media_type,
    signature::{self, Bundle, KeyType, SignatureError},
};
use sigstore::errors::SigstoreError;

pub use self::{
    key::{KeyPair, MAX_KEY_BYTES},
    keyless::{Keyless, RekorVersion, Services},
};
use crate::{
    Explain,
    oci::{Annotations, Descriptor, Manifest, simple_manifest},
};

/// Why something cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A key file cannot be read or written.
    #[error("key file `{path}` cannot be used: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key file is there already. It is not touched.
    #[error("key file `{path}` exists already and was not touched")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The password does not open the key.
    #[error("the password does not open private key `{path}`")]
    WrongPassword {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no private key that can sign.
    #[error("`{path}` holds no encrypted ECDSA P-256 or Ed25519 private key: {reason}")]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The public half cannot be used.
    #[error(transparent)]
    Public(#[from] SignatureError),
    /// A document has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// The cryptography fails.
    #[error("the key cannot be used: {0}")]
    Crypto(#[from] SigstoreError),
    /// The identity token is none.
    #[error("the identity token cannot be used: {0}")]
    Token(String),
    /// The identity token is not valid any more.
    #[error("the identity token has expired")]
    TokenExpired,
    /// The services cannot sign together.
    #[error("keyless signing needs a timestamp authority beside a Rekor v2 log")]
    NoTimestamps,
    /// A service of keyless signing refused, or did not answer as it should.
    #[error("keyless signing failed: {0}")]
    Keyless(#[from] Box<sigstore_sign::Error>),
}

impl Explain for SignError {
    fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "key::file",
            Self::Exists { .. } => "key::exists",
            Self::WrongPassword { .. } => "key::wrong_password",
            Self::NotAKey { .. } => "key::form",
            Self::Public(_) | Self::Canonical(_) | Self::Crypto(_) => "key::crypto",
            Self::Token(_) | Self::TokenExpired => "keyless::token",
            Self::NoTimestamps => "keyless::services",
            Self::Keyless(_) => "keyless::failed",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                exit::NOT_FOUND
            }
            Self::File { .. } | Self::Canonical(_) | Self::Crypto(_) => exit::FAILURE,
            Self::Exists { .. } => exit::CONFLICT,
            Self::WrongPassword { .. } | Self::TokenExpired => exit::AUTH,
            Self::NotAKey { .. } | Self::Public(_) | Self::Token(_) | Self::NoTimestamps => {
                exit::USAGE
            }
            Self::Keyless(error) => keyless::exit_code(error),
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "make a key pair with `bpfpkg keygen`".to_owned()
            }
            Self::File { .. } => "check the file's owner and mode".to_owned(),
            Self::Exists { .. } => {
                "name another file with `--output`; a lost key cannot be made again".to_owned()
            }
            Self::WrongPassword { .. } => {
                "set BPFPKG_PASSWORD, or name a file with `--password-file`".to_owned()
            }
            Self::NotAKey { .. } | Self::Public(_) => {
                "use a key that `bpfpkg keygen` or `cosign generate-key-pair` made".to_owned()
            }
            Self::Token(_) | Self::TokenExpired => {
                "get a new token from your identity provider, made out for `sigstore`".to_owned()
            }
            Self::NoTimestamps => "name one with `--tsa-url`".to_owned(),
            Self::Canonical(_) | Self::Crypto(_) | Self::Keyless(_) => return None,
        })
    }
}

/// Who signs.
pub enum Signatory {
    /// Who holds a key pair.
    Key(Box<KeyPair>),
    /// Who holds an identity token.
    Keyless(Box<Keyless>),
}

impl Signatory {
    /// Who signs, for a person.
    pub fn name(&self) -> String {
        match self {
            Self::Key(key) => key.fingerprint().to_string(),
            Self::Keyless(keyless) => keyless.name(),
        }
    }

    /// Signs an in-toto statement; gives a v0.3 bundle.
    ///
    /// # Errors
    /// [`SignError::Crypto`] or [`SignError::Keyless`] if signing fails.
    pub async fn sign_statement(&self, statement: &[u8]) -> Result<Vec<u8>, SignError> {
        match self {
            Self::Key(key) => key.sign_statement(statement),
            Self::Keyless(keyless) => keyless.sign_statement(statement).await,
        }
    }

    /// Signs a file; gives a v0.3 bundle: over its bytes, or with an Ed25519 key, which few
    /// verifiers check over bytes, a statement about its digest.
    ///
    /// # Errors
    /// As [`Self::sign_statement`].
    pub async fn sign_file(&self, content: &[u8]) -> Result<Vec<u8>, SignError> {
        match self {
            Self::Key(key) => {
                let digest = Digest::sha256(content);
                if key.public().key_type() == KeyType::Ed25519 {
                    return key.sign_statement(&signature::statement(&digest));
                }
                let signed = key.sign(content)?;
                Ok(signature::message_bundle(
                    &key.fingerprint(),
                    &digest,
                    &signed,
                ))
            }
            Self::Keyless(keyless) => keyless.sign_file(content).await,
        }
    }

    /// Signs `subject` for a `.sig` tag. `earlier` are the layers that the tag has
    /// already. None where the log gives no promise that such a tag could carry.
    ///
    /// # Errors
    /// As [`Self::sign_statement`].
    pub async fn sign_simple(
        &self,
        repository: &str,
        subject: &Digest,
        earlier: Vec<Descriptor>,
    ) -> Result<Option<SignatureManifest>, SignError> {
        let payload = signature::simple_signing(repository, subject);
        let annotations = match self {
            Self::Key(key) => {
                let name = media_type::SIMPLE_SIGNING_SIGNATURE.to_owned();
                Annotations::from([(name, STANDARD.encode(key.sign(&payload)?))])
            }
            Self::Keyless(keyless) => match keyless.sign_simple(&payload).await? {
                Some(annotations) => annotations,
                None => return Ok(None),
            },
        };
        let mut layer = Descriptor::of(media_type::SIMPLE_SIGNING, &payload);
        layer.annotations = annotations;
        let layers: Vec<_> = earlier.into_iter().chain([layer]).collect();
        let (bytes, config) = simple_manifest(layers)?;
        let entry = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
        Ok(Some(SignatureManifest {
            entry,
            bytes: bytes.into(),
            blobs: vec![config.into(), payload.into()],
        }))
    }
}

/// A signature, ready to be stored.
#[derive(Debug, Clone)]
pub struct SignatureManifest {
    /// Describes the manifest, as a list of referrers does.
    pub entry: Descriptor,
    /// The manifest.
    pub bytes: Bytes,
    /// Its config and new layers.
    pub blobs: Vec<Bytes>,
}

/// Puts a bundle in a manifest that refers to `subject`.
///
/// # Errors
/// [`SignError::Public`] if it is no bundle, [`SignError::Canonical`].
pub fn referrer(
    bundle: Vec<u8>,
    subject: Descriptor,
    now: DateTime<Utc>,
) -> Result<SignatureManifest, SignError> {
    let parsed = Bundle::parse(&bundle)?;
    let mut annotations = Annotations::from([(
        "org.opencontainers.image.created".to_owned(),
        now.to_rfc3339_opts(SecondsFormat::Secs, true),
    )]);
    let content = match parsed.statement() {
        Some(statement) => {
            let name = "dev.sigstore.bundle.predicateType".to_owned();
            annotations.insert(name, statement.predicate_type.clone());
            "dsse-envelope"
        }
        None => "message-signature",
    };
    annotations.insert("dev.sigstore.bundle.content".to_owned(), content.to_owned());
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        artifact_type: Some(media_type::SIGSTORE_BUNDLE.to_owned()),
        config: Descriptor::of(media_type::OCI_EMPTY, b"{}"),
        layers: vec![Descriptor::of(media_type::SIGSTORE_BUNDLE, &bundle)],
        subject: Some(subject),
        annotations: annotations.clone(),
    };
    let bytes = canonical::to_vec(&manifest)?;
    let mut entry = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
    entry.artifact_type = manifest.artifact_type;
    entry.annotations = annotations;
    let blobs = vec![Bytes::from_static(b"{}"), bundle.into()];
    Ok(SignatureManifest {
        entry,
        bytes: bytes.into(),
        blobs,
    })
}

/// Signs exactly `subject`, and puts the bundle in a manifest that refers to it.
///
/// # Errors
/// As [`Signatory::sign_statement`].
pub async fn sign_descriptor(
    signatory: &Signatory,
    subject: Descriptor,
    now: DateTime<Utc>,
) -> Result<SignatureManifest, SignError> {
    let statement = signature::statement(&subject.digest);
    referrer(signatory.sign_statement(&statement).await?, subject, now)
}
