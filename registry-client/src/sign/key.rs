// SPDX-License-Identifier: Apache-2.0
//! Key pairs in files that cosign reads and writes.

use std::{io, path::Path};

use registry_schema::signature::{
    Fingerprint, IN_TOTO, KeyType, PublicKey, bundle, pre_authentication_encoding,
};
use sigstore::{
    crypto::{
        SigningScheme,
        signing_key::{SigStoreSigner, ecdsa::ECDSAKeys, ed25519::Ed25519Keys},
    },
    errors::SigstoreError,
};
use zeroize::Zeroizing;

use super::SignError;
use crate::file;

/// Largest private key file that is read, in bytes.
pub const MAX_KEY_BYTES: u64 = 64 << 10;

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
    pub fn generate(key_type: KeyType) -> Result<Self, SignError> {
        let scheme = match key_type {
            KeyType::EcdsaP256 => SigningScheme::ECDSA_P256_SHA256_ASN1,
            KeyType::Ed25519 => SigningScheme::ED25519,
        };
        Self::from_signer(scheme.create_signer()?)
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
        let password = password.as_bytes();
        let not_a_key = |reason: String| SignError::NotAKey {
            path: path.to_owned(),
            reason,
        };
        match ECDSAKeys::from_encrypted_pem(&pem, password) {
            Ok(keys @ ECDSAKeys::P256(_)) => Self::from_signer(keys.to_sigstore_signer()?),
            Ok(_) => Err(not_a_key("it is on another curve".to_owned())),
            // sigstore reports a box that does not open under the name of encryption.
            Err(SigstoreError::PrivateKeyEncryptError(_)) => Err(SignError::WrongPassword {
                path: path.to_owned(),
            }),
            Err(reason) => match Ed25519Keys::from_encrypted_pem(&pem, password) {
                Ok(keys) => Self::from_signer(keys.to_sigstore_signer()?),
                Err(_) => Err(not_a_key(reason.to_string())),
            },
        }
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
            |source: io::Error| SignError::File { path, source }
        };
        file::write_private(private, pem.as_bytes()).map_err(failed(private))?;
        std::fs::write(public, self.public.to_pem()).map_err(failed(public))
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The fingerprint of the public half.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.public.fingerprint()
    }

    /// Signs bytes as they are: DER over their sha256 for ECDSA, 64 bytes over all of them
    /// for Ed25519.
    ///
    /// # Errors
    /// [`SignError::Crypto`] if signing fails.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.signer.sign(bytes)?)
    }

    /// Signs an in-toto statement; gives a v0.3 bundle.
    ///
    /// # Errors
    /// [`SignError::Crypto`] if signing fails.
    pub fn sign_statement(&self, statement: &[u8]) -> Result<Vec<u8>, SignError> {
        let signed = self.sign(&pre_authentication_encoding(IN_TOTO, statement))?;
        Ok(bundle(&self.fingerprint(), statement, &signed))
    }
}
