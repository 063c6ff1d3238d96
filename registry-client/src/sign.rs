// SPDX-License-Identifier: Apache-2.0
//! Key pairs and signatures in the form that cosign writes and reads: a v0.3 bundle
//! that refers to the index, and a simple-signing payload under its `.sig` tag.

use std::{
    io,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use registry_schema::{
    Digest,
    canonical::{self, CanonicalError},
    exit, media_type,
    signature::{
        self, Fingerprint, IN_TOTO, PublicKey, SIGN_PREDICATE, SignatureError,
        pre_authentication_encoding,
    },
};
use sigstore::{
    crypto::{
        SigningScheme,
        signing_key::{SigStoreSigner, ecdsa::ECDSAKeys},
    },
    errors::SigstoreError,
};
use zeroize::Zeroizing;

use crate::{
    Explain, file,
    oci::{Annotations, Descriptor, Manifest, simple_manifest},
};

/// Largest private key file that is read, in bytes.
pub const MAX_KEY_BYTES: u64 = 64 << 10;

/// Why a key pair cannot be made or used.
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
    #[error("`{path}` holds no encrypted ECDSA P-256 private key: {reason}")]
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
}

impl Explain for SignError {
    fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "key::file",
            Self::Exists { .. } => "key::exists",
            Self::WrongPassword { .. } => "key::wrong_password",
            Self::NotAKey { .. } => "key::form",
            Self::Public(_) | Self::Canonical(_) | Self::Crypto(_) => "key::crypto",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                exit::NOT_FOUND
            }
            Self::File { .. } | Self::Canonical(_) | Self::Crypto(_) => exit::FAILURE,
            Self::Exists { .. } => exit::CONFLICT,
            Self::WrongPassword { .. } => exit::AUTH,
            Self::NotAKey { .. } | Self::Public(_) => exit::USAGE,
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
            Self::Canonical(_) | Self::Crypto(_) => return None,
        })
    }
}

/// A private key that signs, and its public half.
pub struct KeyPair {
    signer: SigStoreSigner,
    public: PublicKey,
}

impl KeyPair {
    /// Makes a key pair from the system's randomness.
    ///
    /// # Errors
    /// [`SignError::Crypto`] if there is none.
    pub fn generate() -> Result<Self, SignError> {
        Self::from_signer(SigningScheme::ECDSA_P256_SHA256_ASN1.create_signer()?)
    }

    /// Reads an encrypted private key.
    ///
    /// # Errors
    /// [`SignError::WrongPassword`], [`SignError::NotAKey`] or [`SignError::File`].
    pub fn load(path: &Path, password: &str) -> Result<Self, SignError> {
        let pem = file::read_bounded(path, MAX_KEY_BYTES)
            .map(Zeroizing::new)
            .map_err(|source| SignError::File {
                path: path.to_owned(),
                source,
            })?;
        let keys =
            ECDSAKeys::from_encrypted_pem(&pem, password.as_bytes()).map_err(
                |error| match error {
                    // sigstore reports a box that does not open under the name of encryption.
                    SigstoreError::PrivateKeyEncryptError(_) => SignError::WrongPassword {
                        path: path.to_owned(),
                    },
                    other => SignError::NotAKey {
                        path: path.to_owned(),
                        reason: other.to_string(),
                    },
                },
            )?;
        if !matches!(keys, ECDSAKeys::P256(_)) {
            let reason = "it is on another curve".to_owned();
            return Err(SignError::NotAKey {
                path: path.to_owned(),
                reason,
            });
        }
        Self::from_signer(keys.to_sigstore_signer()?)
    }

    fn from_signer(signer: SigStoreSigner) -> Result<Self, SignError> {
        let public = PublicKey::from_pem(&signer.to_sigstore_keypair()?.public_key_to_pem()?)?;
        Ok(Self { signer, public })
    }

    /// Writes the private key, encrypted, mode 0600, and the public key beside it.
    ///
    /// # Errors
    /// [`SignError::Exists`] if one of the files is there, [`SignError::File`].
    pub fn save(&self, private: &Path, public: &Path, password: &str) -> Result<(), SignError> {
        for path in [private, public] {
            if path.symlink_metadata().is_ok() {
                return Err(SignError::Exists {
                    path: path.to_owned(),
                });
            }
        }
        let pem = self
            .signer
            .to_sigstore_keypair()?
            .private_key_to_encrypted_pem(password.as_bytes())?;
        let pem = Zeroizing::new(pem.replace("\r\n", "\n"));
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| SignError::File { path, source }
        };
        file::write_private(private, pem.as_bytes()).map_err(failed(private))?;
        std::fs::write(public, self.public.to_pem()).map_err(failed(public))
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The fingerprint of the public half.
    pub fn fingerprint(&self) -> Fingerprint {
        self.public.fingerprint()
    }

    /// Signs bytes as they are: a DER signature over their sha256.
    ///
    /// # Errors
    /// [`SignError::Crypto`] if signing fails.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.signer.sign(bytes)?)
    }

    /// Signs `subject` as a bundle, and puts it in a manifest that refers to the
    /// index `subject_entry` describes.
    ///
    /// # Errors
    /// [`SignError::Crypto`] if signing fails.
    pub fn sign_bundle(
        &self,
        subject: Descriptor,
        now: DateTime<Utc>,
    ) -> Result<SignatureManifest, SignError> {
        let statement = signature::statement(&subject.digest);
        let signed = self
            .signer
            .sign(&pre_authentication_encoding(IN_TOTO, &statement))?;
        let bundle = signature::bundle(&self.fingerprint(), &statement, &signed);
        let annotations = Annotations::from([
            (
                "dev.sigstore.bundle.content".to_owned(),
                "dsse-envelope".to_owned(),
            ),
            (
                "dev.sigstore.bundle.predicateType".to_owned(),
                SIGN_PREDICATE.to_owned(),
            ),
            (
                "org.opencontainers.image.created".to_owned(),
                now.to_rfc3339_opts(SecondsFormat::Secs, true),
            ),
        ]);
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

    /// Signs `subject` as simple signing. `earlier` are the layers that the `.sig`
    /// tag has already.
    ///
    /// # Errors
    /// [`SignError::Crypto`] if signing fails.
    pub fn sign_simple(
        &self,
        repository: &str,
        subject: &Digest,
        earlier: Vec<Descriptor>,
    ) -> Result<SignatureManifest, SignError> {
        let payload = signature::simple_signing(repository, subject);
        let signed = STANDARD.encode(self.signer.sign(&payload)?);
        let mut layer = Descriptor::of(media_type::SIMPLE_SIGNING, &payload);
        layer
            .annotations
            .insert(media_type::SIMPLE_SIGNING_SIGNATURE.to_owned(), signed);
        let layers: Vec<_> = earlier.into_iter().chain([layer]).collect();
        let (bytes, config) = simple_manifest(layers)?;
        let entry = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
        Ok(SignatureManifest {
            entry,
            bytes: bytes.into(),
            blobs: vec![config.into(), payload.into()],
        })
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
